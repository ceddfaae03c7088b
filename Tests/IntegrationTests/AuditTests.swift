// Starts: the server, a stand-in VIM, `vedette audit …`, openssl, and Python with foreign implementations.
import Foundation
import Harness
import Testing

@Suite("What an auditor is given", .serialized)
struct AuditTests {
    @Test("Heads are signed and published, with our key or openssl's, and Python verifies them")
    func heads() async throws {
        try await withRecordedServer(arguments: {
            ["--head-key", $0 + "/head.key", "--head-file", $0 + "/note"]
        }) {
            server, directory in
            // A newer head may be signed between the two readings.
            let published = try await eventually("page and file have the same head") { () -> Reply? in
                let reply = try await server.request(.get, "/vedette/v1/head")
                let file = try String(contentsOfFile: directory + "/note", encoding: .utf8)
                return reply.text == file ? reply : nil
            }
            #expect(published.status == 200)
            try write(published.text, to: directory + "/held")
            #expect(published.headers["content-type"] == "text/plain; charset=utf-8")
            let checked = try await run(
                Programs.clientPython,
                [
                    Programs.repository + "/Tests/Fixtures/audit/check_note.py", directory + "/held",
                    directory + "/head.pub",
                ])
            #expect(checked.exitCode == 0, "\(checked.output)\(checked.errorOutput)")
            // Also beside the running server.
            let verified = try await server.vedette(
                "audit", "verify", "--head", directory + "/held", "--key", directory + "/head.pub")
            #expect(verified.exitCode == 0, "\(verified.output)\(verified.errorOutput)")
            #expect(verified.output.contains("signature checked"))
            #expect(verified.output.contains("the log is whole"))

            let made = try await run(
                "/usr/bin/openssl", ["genpkey", "-algorithm", "ed25519", "-out", directory + "/pem"])
            #expect(made.exitCode == 0)
            let signed = try await server.vedette(
                "audit", "head", "--sign", directory + "/pem", "--name", "pem.example")
            #expect(signed.exitCode == 0, "\(signed.errorOutput)")
            #expect(signed.output.hasPrefix("pem.example\n"))
            try write(signed.output, to: directory + "/signed")
            let opened = try await run(
                Programs.clientPython,
                [
                    Programs.repository + "/Tests/Fixtures/audit/check_note.py", directory + "/signed",
                    directory + "/pem",
                ])
            #expect(opened.exitCode == 0, "\(opened.output)\(opened.errorOutput)")

            // A note that was changed after it was signed, and one of another log.
            try write(published.text.replacing("epoch 1", with: "epoch 2"), to: directory + "/changed")
            let changed = try await server.vedette(
                "audit", "verify", "--head", directory + "/changed", "--key", directory + "/head.pub")
            #expect(changed.exitCode == 1)
            #expect(changed.errorOutput.contains("the signature of 'test.example' does not hold"))
            let lines = published.text.split(separator: "\n", omittingEmptySubsequences: false)
            try write(
                published.text.replacing(lines[2], with: String(repeating: "A", count: 43) + "="),
                to: directory + "/foreign")
            let foreign = try await server.vedette(
                "audit", "verify", "--head", directory + "/foreign", "--json")
            #expect(foreign.exitCode == 1)
            #expect(try JSON(text: foreign.output)["faults"].array.count == 1, "\(foreign.output)")
        }
    }

    @Test("Exports are valid CADF, CloudEvents and CSV to those who defined them, and have the log's seals")
    func exports() async throws {
        try await withRecordedServer(arguments: { _ in [] }) { server, directory in
            for format in ["jsonl", "cloudevents", "cadf", "csv"] {
                let out = directory + "/export." + format
                let exported = try await server.vedette("audit", "export", "--format", format, "--out", out)
                #expect(exported.exitCode == 0, "\(exported.errorOutput)")
                let python = format == "cadf" ? Programs.keystonePython : Programs.clientPython
                let checked = try await run(
                    python, [Programs.repository + "/Tests/Fixtures/audit/check_export.py", format, out])
                #expect(checked.exitCode == 0, "\(format): \(checked.output)\(checked.errorOutput)")
            }
            let one = try await server.vedette("audit", "export", "--vim", "site-1")
            let events = try one.lines.map { try JSON(text: $0) }
            #expect(!events.isEmpty && events.allSatisfy { $0["vim_name"] == "site-1" })
            #expect(events.first?["type"] == "vim.registered")
            // The seal beside an event is the one that the log's head had there.
            let head = try JSON(text: try await server.vedette("audit", "head", "--json").output)
            let whole = try await server.vedette("audit", "export")
            let sealed = try whole.lines.map { try JSON(text: $0) }.filter {
                $0["seal_position"].integer == head["position"].integer
            }
            #expect(!sealed.isEmpty && sealed.allSatisfy { $0["seal"] == head["seal"] })
            #expect(!whole.output.contains("s3cr3t") && !one.output.contains("s3cr3t"))

            let none = try await server.vedette("audit", "export", "--vim", "nobody")
            #expect(none.exitCode == 1 && none.errorOutput.contains("nobody"))
            let future = try await server.vedette("audit", "export", "--since", "2099-01-01")
            #expect(future.exitCode == 0 && future.output.isEmpty)
            let refused = try await server.vedette("audit", "export", "--out", directory + "/none/x")
            #expect(refused.exitCode == 1 && refused.errorOutput.contains("cannot be written"))
        }
    }

    @Test("A changed byte is told with its position by every command that proves, and nothing is exported")
    func damagedLog() async throws {
        try await withTemporaryDirectory { directory in
            let dataDirectory = directory + "/data"
            try await withServer(
                dataDirectory: dataDirectory, arguments: ["--registration-check", "deferred"]
            ) { server in
                _ = try await server.register(standInVIM("site-1", at: "http://127.0.0.1:1"))
            }
            let note = try await runVedette(["audit", "head", "--json", "--data-directory", dataDirectory])
            #expect(note.exitCode == 0)
            let file = URL(fileURLWithPath: dataDirectory + "/events.lmdb")
            var bytes = try Data(contentsOf: file)
            var start = bytes.startIndex
            while let range = bytes[start...].firstRange(of: Data("site-1".utf8)) {
                bytes[range.lowerBound] ^= 1
                start = range.upperBound
            }
            #expect(start > bytes.startIndex)
            try bytes.write(to: file)

            let verified = try await runVedette(["audit", "verify", "--data-directory", dataDirectory])
            #expect(verified.exitCode == 1)
            #expect(
                verified.output.contains("is damaged at position 2: the batch does not match its seal"),
                "\(verified.output)")
            let json = try await runVedette(["audit", "verify", "--json", "--data-directory", dataDirectory])
            #expect(json.exitCode == 1)
            #expect(try JSON(text: json.output)["bad_position"] == 2, "\(json.output)")
            let exported = try await runVedette(
                ["audit", "export", "--out", directory + "/out", "--data-directory", dataDirectory])
            #expect(exported.exitCode == 1 && exported.errorOutput.contains("position 2"))
            let left = try FileManager.default.contentsOfDirectory(atPath: directory)
            #expect(!left.contains { $0.hasPrefix("out") }, "\(left)")
        }
    }

    @Test("Without a key no head is published, and keys that are none are refused in words")
    func noKey() async throws {
        try await withTemporaryDirectory { directory in
            try await withServer(dataDirectory: directory + "/data") { server in
                let reply = try await server.request(.get, "/vedette/v1/head")
                #expect(reply.status == 404 && reply.text.contains("--head-key"))
            }
            try write("no key", to: directory + "/bad")
            let bad = try await runVedette(
                ["serve", "--data-directory", directory + "/data", "--head-key", directory + "/bad"])
            #expect(bad.exitCode == 1 && bad.errorOutput.contains("vedette audit key"), "\(bad.errorOutput)")
            let lone = try await runVedette(["serve", "--head-file", "x", "--data-directory", directory])
            #expect(lone.exitCode == 2)
            let again = try await runVedette(["audit", "key", "--name", "a", "--out", directory + "/bad"])
            #expect(again.exitCode == 1 && again.errorOutput.contains("File exists"))
        }
    }

    /// A server with some history and a key pair beside it.
    private func withRecordedServer(
        arguments: (String) -> [String], _ body: @Sendable (RunningServer, String) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            let key = try await runVedette(
                ["audit", "key", "--name", "test.example", "--out", directory + "/head.key"])
            #expect(key.exitCode == 0, "\(key.errorOutput)")
            try write(key.output, to: directory + "/head.pub")
            try await withStandInVIM(directory: directory) { vim in
                let all = arguments(directory) + quickMonitors + ["--head-interval", "0.02"]
                let extra = arguments(directory).isEmpty ? quickMonitors : all
                try await withServer(dataDirectory: directory + "/data", arguments: extra) { server in
                    let id = try await server.register(standInVIM("site-1", at: vim.url))
                    let gone = try await server.register(standInVIM("=1+1", at: vim.url))
                    _ = try await server.register(standInVIM("nul\u{0}\"\u{301}", at: vim.url))
                    try await server.waitForStatus("REACHABLE", of: id)
                    let reply = try await server.request(
                        .put, "/v1.0/vims/\(id)",
                        body: ["vim": ["description": "comma, \"quote\"\u{301}\nline"]])
                    #expect(reply.status == 200)
                    #expect(try await server.request(.delete, "/v1.0/vims/\(gone)").status == 204)
                    _ = try await server.request(.delete, "/v1.0/vims/\(gone)")
                    try await body(server, directory)
                }
            }
        }
    }
}
