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
