// Starts: the server and a stand-in VIM.
import Foundation
import Harness
import Testing

@Suite("What operators ask of a running server")
struct OperatorTests {
    @Test("The archive takes old events in beside a server and without one, and everything still reads")
    func archive() async throws {
        try await withTemporaryDirectory { directory in
            let data = directory + "/data"
            try await withServer(dataDirectory: data, arguments: quickMonitors) { server in
                try await withStandInVIM(directory: directory) { endpoint in
                    let id = try await server.register(standInVIM("archived", at: endpoint.url))
                    try await server.waitForStatus("REACHABLE", of: id)
                    let asked = try await server.vedette("archive", "--before", "0s", "--json")
                    #expect(asked.exitCode == 0, "\(asked.errorOutput)")
                    #expect(try JSON(text: asked.output)["events"].integer ?? 0 >= 4, "\(asked.output)")
                    try await expectWhole(data, holding: id)
                    // It serves as before.
                    #expect(try await server.request(.delete, "/v1.0/vims/\(id)").status == 204)
                }
            }
            // The server has written its last; what a dry run tells and what then moves is the same.
            try await Task.sleep(for: .milliseconds(20))
            let now = ISO8601DateFormatter().string(from: Date(timeIntervalSinceNow: 1))
            try await Task.sleep(for: .seconds(1))
            let before = ["archive", "--before", now, "--json", "--data-directory", data]
            let planned = try await runVedette(before + ["--dry-run"])
            #expect(planned.exitCode == 0, "\(planned.errorOutput)")
            let plan = try JSON(text: planned.output)
            #expect(plan["events"].integer ?? 0 > 0 && plan["segments"].integer == 1)
            let alone = try await runVedette(before)
            #expect(alone.exitCode == 0, "\(alone.errorOutput)")
            let moved = try JSON(text: alone.output)
            #expect(moved["events"] == plan["events"] && moved["batch_bytes"] == plan["batch_bytes"])
            let log = try await runVedette([
                "audit", "log", "--type", "log.archived", "--data-directory", data,
            ])
            let lines = log.output.split(separator: "\n")
            #expect(lines.count == 2, "\(log.output)")
            // Beside the server and without one, the log says who asked.
            #expect(lines.allSatisfy { $0.contains(" by \(NSUserName())") }, "\(log.output)")
            let verified = try await runVedette(["audit", "verify", "--data-directory", data])
            #expect(verified.exitCode == 0, "\(verified.errorOutput)")
        }
    }

    @Test("A server archives what is old without being asked, says so, and everything still reads")
    func policy() async throws {
        try await withTemporaryDirectory { directory in
            let data = directory + "/data"
            let options = quickMonitors + ["--report-interval", "1", "--archive-after", "1s"]
            try await withServer(dataDirectory: data, arguments: options) { server in
                try await withStandInVIM(directory: directory) { endpoint in
                    let id = try await server.register(standInVIM("old", at: endpoint.url))
                    try await server.waitForStatus("REACHABLE", of: id)
                    try await eventually("two rounds are archived") {
                        let log = try await server.vedette("audit", "log", "--type", "log.archived")
                        return log.output.split(separator: "\n").count >= 2
                            && log.output.contains(" by vedette serve")
                    }
                    #expect(server.process.logText().contains("archived what is old"))
                    try await expectWhole(data, holding: id)
                }
            }
            let nonsense = try await runVedette(["serve", "--archive-after", "soon"])
            #expect(nonsense.exitCode == 2)
            #expect(nonsense.errorOutput.contains("--archive-after"), "\(nonsense.errorOutput)")
        }
    }

    @Test("The oldest files of the archive are dropped after a yes; everything else goes on and still proves")
    func drop() async throws {
        try await withTemporaryDirectory { directory in
            let data = directory + "/data"
            try await withServer(dataDirectory: data, arguments: quickMonitors) { server in
                try await withStandInVIM(directory: directory) { endpoint in
                    let id = try await server.register(standInVIM("kept", at: endpoint.url))
                    try await server.waitForStatus("REACHABLE", of: id)
                    try await checkDropping(server, directory: directory, id: id)
                }
            }
            // Without a server, too; and a second start goes on from the base alone.
            let arguments = ["archive", "--data-directory", data]
            #expect(try await runVedette(arguments + ["--before", "0s"]).exitCode == 0)
            let second = try await runVedette(arguments + ["--drop-before", "0s", "--yes", "--json"])
            #expect(second.exitCode == 0, "\(second.errorOutput)")
            #expect(try JSON(text: second.output)["segments"].integer == 1)
            let checked = try await runVedette(["rebuild", "--check", "--data-directory", data])
            #expect(checked.exitCode == 0, "\(checked.output)\(checked.errorOutput)")
            try await withServer(dataDirectory: data, arguments: quickMonitors) { server in
                let shown = try await server.vedette("vim", "list")
                #expect(shown.output.contains("kept"), "\(shown.output)")
            }
        }
    }

    private func checkDropping(_ server: RunningServer, directory: String, id: String) async throws {
        func lines(_ arguments: String...) async throws -> String {
            let done = try await runVedette(arguments + ["--data-directory", server.dataDirectory])
            #expect(done.exitCode == 0, "\(arguments): \(done.output)\(done.errorOutput)")
            return done.output + done.errorOutput
        }
        let early = try await server.vedette("audit", "export", "--format", "cloudevents")
        let key = try await runVedette(["audit", "key", "--name", "k", "--out", directory + "/k"])
        #expect(key.exitCode == 0, "\(key.errorOutput)")
        _ = try await lines("archive", "--before", "0s")
        let head = try await server.vedette("audit", "head", "--sign", directory + "/k")
        try Data(head.output.utf8).write(to: URL(fileURLWithPath: directory + "/late.note"))

        let planned = try JSON(text: try await lines("archive", "--drop-before", "0s", "--dry-run", "--json"))
        let end = try #require(planned["dropped_end"].integer)
        #expect(planned["events"].integer == end && planned["first_position"].integer == 1)
        let unasked = try await server.vedette("archive", "--drop-before", "0s")
        #expect(unasked.exitCode == 2 && unasked.errorOutput.contains("--yes"), "\(unasked.errorOutput)")
        let neither = try await server.vedette("archive", "--yes")
        #expect(neither.exitCode == 2 && neither.errorOutput.contains("--drop-before"))
        let dropped = try JSON(text: try await lines("archive", "--drop-before", "0s", "--yes", "--json"))
        #expect(dropped["events"] == planned["events"] && dropped["left_files"].integer == 0)
        #expect(try FileManager.default.contentsOfDirectory(atPath: server.dataDirectory + "/archive") == [])

        let verified = try await lines("audit", "verify", "--head", directory + "/late.note")
        #expect(verified.contains("up to position \(end) was dropped on"), "\(verified)")
        #expect(verified.contains("is part of this log"), "\(verified)")
        let noted = try await lines("audit", "log", "--type", "log.dropped", "--json")
        let event = try JSON(text: String(noted.split(separator: "\n").first { $0.hasPrefix("{") } ?? ""))
        #expect(event["last_position"].integer == end)
        #expect(event["actor"]["user_name"].string == NSUserName())
        // What is asked for and gone is said; the registry is as before.
        #expect(try await lines("vim", "history", "kept").contains("was dropped on"))
        let past = try await server.vedette("audit", "state", "--at", "2")
        #expect(past.exitCode == 1 && past.errorOutput.contains("it was dropped on"), "\(past.errorOutput)")
        let longAgo = try await server.vedette("audit", "state", "--at", "1h")
        #expect(longAgo.exitCode == 1 || longAgo.output.contains("No VIM"), "\(longAgo.output)")
        #expect(try await server.vim(id)["status"].string == "REACHABLE")
        // The log keeps its name in exports.
        let late = try await server.vedette("audit", "export", "--format", "cloudevents")
        func source(_ output: String) throws -> JSON {
            try JSON(text: String(output.prefix { $0 != "\n" }))["source"]
        }
        #expect(try source(late.output) == source(early.output))
        // A backup of what is left restores.
        _ = try await lines("backup", directory + "/backup")
        let restored = try await runVedette([
            "restore", directory + "/backup", "--data-directory", directory + "/elsewhere",
        ])
        #expect(restored.exitCode == 0, "\(restored.errorOutput)")
        let whole = try await runVedette(["audit", "verify", "--data-directory", directory + "/elsewhere"])
        #expect(whole.exitCode == 0, "\(whole.output)")
    }

    @Test("Workers are asked for in words where there are none")
    func noWorkers() async throws {
        try await withTemporaryDirectory { directory in
            try await withServer(dataDirectory: directory + "/data") { server in
                let shown = try await server.vedette("workers")
                #expect(shown.exitCode == 1)
                #expect(shown.errorOutput.contains("--workflows workers"), "\(shown.errorOutput)")
            }
            let nobody = try await runVedette(["workers", "--data-directory", directory + "/data"])
            #expect(nobody.exitCode == 1)
            #expect(nobody.errorOutput.contains("no server answers"), "\(nobody.errorOutput)")
        }
    }

    private func expectWhole(_ data: String, holding id: String) async throws {
        let verified = try await runVedette(["audit", "verify", "--json", "--data-directory", data])
        #expect(verified.exitCode == 0, "\(verified.errorOutput)")
        let log = try await runVedette(["audit", "log", "--json", "--data-directory", data])
        #expect(log.output.contains(id))
        #expect(try JSON(text: String(log.output.prefix { $0 != "\n" }))["position"].integer == 1)
    }
}
