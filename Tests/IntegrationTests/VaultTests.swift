// Starts: the server, and `vedette vault` beside it and without it.
import Foundation
import Harness
import Testing

@Suite("The vault from the command line")
struct VaultTests {
    private let options = ["--registration-check", "deferred"]

    @Test("The master key is rotated beside a server and without one, and the log says so")
    func rotate() async throws {
        try await withTemporaryDirectory { directory in
            let data = directory + "/data"
            let key = data + "/master.key"
            try await withServer(dataDirectory: data, arguments: options) { server in
                for number in 0..<5 {
                    _ = try await server.register(standInVIM("vim-\(number)", at: "http://127.0.0.1:1"))
                }
                let before = try String(contentsOfFile: key, encoding: .utf8)
                let rotation = try await server.vedette("vault", "rotate", "--json")
                #expect(rotation.exitCode == 0, "\(rotation.errorOutput)")
                let report = try JSON(text: rotation.output)
                #expect(report["data_keys"].integer == 5 && report["unopened_keys"].integer == 0)
                #expect(report["master_key_file"].string == key)
                #expect(try String(contentsOfFile: key, encoding: .utf8) != before)
                // The server goes on under the new key.
                let id = try await server.register(standInVIM("later", at: "http://127.0.0.1:1"))
                let changed = try await server.request(
                    .put, "/v1.0/vims/\(id)", body: ["vim": ["auth_cred": ["password": "other"]]])
                #expect(changed.status == 200, "\(changed.text)")
            }
            let status = try await runVedette(["vault", "status", "--json", "--data-directory", data])
            let fingerprint = try #require(try JSON(text: status.output)["master_key"].string)
            #expect(try JSON(text: status.output)["data_keys"] == .object([fingerprint: 6]))

            let newKey = directory + "/new.key"
            try String(repeating: "0f", count: 32).write(toFile: newKey, atomically: false, encoding: .utf8)
            chmod(newKey, 0o600)
            let alone = try await runVedette([
                "vault", "rotate", "--new-master-key-file", newKey, "--data-directory", data,
            ])
            #expect(alone.exitCode == 0, "\(alone.errorOutput)")
            #expect(alone.output.contains("6 data keys are wrapped under the new master key"))
            try await expectWhole(data)
            let events = try await runVedette([
                "audit", "log", "--type", "vault.rotated", "--json", "--data-directory", data,
            ])
            #expect(events.lines.count == 2)
            #expect(try JSON(text: events.lines[1])["from_fingerprint"].string == fingerprint)
        }
    }

    @Test("What stands in the way is said in one sentence")
    func refused() async throws {
        try await withTemporaryDirectory { directory in
            let missing = try await runVedette(["vault", "rotate", "--data-directory", directory + "/none"])
            #expect(missing.exitCode == 1 && missing.errorOutput.contains("holds no log"))
            #expect(!FileManager.default.fileExists(atPath: directory + "/none"))
            let data = directory + "/data"
            try await withServer(dataDirectory: data, arguments: options) { server in
                let file = try await server.vedette(
                    "vault", "rotate", "--new-master-key-file", "no-such-file")
                #expect(file.exitCode == 1 && file.errorOutput.contains("there is no new master key file /"))
                // A server that does not answer is not passed over.
                try FileManager.default.removeItem(atPath: data + "/operator.socket")
                let deaf = try await server.vedette("vault", "rotate")
                #expect(deaf.exitCode == 1 && deaf.errorOutput.contains("already used by process"))
                #expect(deaf.errorOutput.contains("operator.socket"))
            }
        }
    }

    private func expectWhole(_ data: String) async throws {
        let verify = try await runVedette(["audit", "verify", "--json", "--data-directory", data])
        #expect(verify.exitCode == 0, "\(verify.output)")
        let found = try JSON(text: verify.output)
        #expect(found["master_key_checked"] == true && found["foreign_data_keys"].integer == 0)
    }
}
