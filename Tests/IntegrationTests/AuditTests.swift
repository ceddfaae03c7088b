// Starts: the server, a stand-in VIM, `vedette audit …`, openssl, and Python with foreign implementations.
import Foundation
import Harness
import Testing

@Suite("What an auditor is given", .serialized)
struct AuditTests {
    @Test("Heads are signed and published; Python verifies ours, we verify openssl's; a changed log is told")
    func heads() async throws {
        try await withRecordedServer(arguments: {
            ["--head-key", $0 + "/head.key", "--head-file", $0 + "/note"]
        }) {
            server, directory in
            let published = try await server.request(.get, "/vedette/v1/head")
            #expect(published.status == 200)
            #expect(published.headers["content-type"] == "text/plain; charset=utf-8")
            #expect(try String(contentsOfFile: directory + "/note", encoding: .utf8) == published.text)
            let checked = try await run(
                Programs.clientPython,
                [
                    Programs.repository + "/Tests/Fixtures/audit/check_note.py", directory + "/note",
                    directory + "/head.pub",
                ])
            #expect(checked.exitCode == 0, "\(checked.output)\(checked.errorOutput)")
            // Also beside the running server.
            let verified = try await server.vedette(
                "audit", "verify", "--head", directory + "/note", "--key", directory + "/head.pub")
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

    @Test(
        "Exports are valid CADF, CloudEvents and CSV to those who defined them, and every seal is the log's")
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
            // The seal of the last event is the head's, if nothing came since.
            let whole = try await server.vedette("audit", "export")
            let last = try JSON(text: whole.lines.last ?? "")
            let position = last["seal_position"].integer ?? 0
            let state = try await server.vedette("audit", "state", "--at", "\(position)")
            #expect(state.exitCode == 0)
            #expect(last["seal"].string?.count == 64)
            #expect(!whole.output.contains("s3cr3t") && !one.output.contains("s3cr3t"))

            let none = try await server.vedette("audit", "export", "--vim", "nobody")
            #expect(none.exitCode == 1 && none.errorOutput.contains("nobody"))
            let future = try await server.vedette("audit", "export", "--since", "2099-01-01")
            #expect(future.exitCode == 0 && future.output.isEmpty)
            let refused = try await server.vedette("audit", "export", "--out", directory + "/none/x")
            #expect(refused.exitCode == 1 && refused.errorOutput.contains("cannot be written"))
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
                    try await server.waitForStatus("REACHABLE", of: id)
                    let reply = try await server.request(
                        .put, "/v1.0/vims/\(id)", body: ["vim": ["description": "comma, \"quote\"\nline"]])
                    #expect(reply.status == 200)
                    #expect(try await server.request(.delete, "/v1.0/vims/\(gone)").status == 204)
                    _ = try await server.request(.delete, "/v1.0/vims/\(gone)")
                    try await body(server, directory)
                }
            }
        }
    }
}
