// Starts: the server (twice on one data directory) and a stand-in VIM.
import Harness
import Testing

@Suite("A restart of the server", .serialized)
struct RestartTests {
    @Test("Monitors resume by themselves, under the same action id, and raise no false alarm")
    func resume() async throws {
        try await withTemporaryDirectory { directory in
            try await withStandInVIM(directory: directory) { vim in
                let dataDirectory = directory + "/data"
                let (before, exitCode) = try await withServer(
                    dataDirectory: dataDirectory, arguments: quickMonitors
                ) { server in
                    let id = try await server.register(standInVIM("site", at: vim.url))
                    try await server.waitForStatus("REACHABLE", of: id)
                    return try await shown(id, by: server)
                }
                #expect(exitCode == 0)
                let id = try #require(before["id"].string)

                try await withServer(dataDirectory: dataDirectory, arguments: quickMonitors) { server in
                    #expect(try await server.vim(id)["status"] == "REACHABLE")
                    // Some probes of the new process, before anything happens to the VIM.
                    try await eventually("the resumed monitor probes") {
                        try await shown(id, by: server)["probes"]["results"].array.count >= 2
                    }
                    let after = try await shown(id, by: server)
                    #expect(after["action_id"] == before["action_id"])
                    #expect(after["auth_cred"] == before["auth_cred"])
                    #expect(try await server.auditLog().statusChanges == ["REACHABLE"])
                    vim.goDown()
                    try await server.waitForStatus("UNREACHABLE", of: id)
                    let log = try await server.auditLog()
                    #expect(log.events("vim.monitor_assigned").count == 1)
                    #expect(log.events("conductor.epoch_started").count == 2)
                    #expect(log.statusChanges == ["REACHABLE", "UNREACHABLE"])
                    vim.comeUp()
                }
            }
        }
    }

    @Test("A new endpoint gets a new action; what the old one still says is refused and remembered")
    func newEndpoint() async throws {
        try await withTemporaryDirectory { directory in
            try await withStandInVIM(directory: directory) { first in
                try await withStandInVIM(directory: directory) { second in
                    try await withServer(dataDirectory: directory + "/data", arguments: quickMonitors) {
                        server in
                        let id = try await server.register(standInVIM("site", at: first.url))
                        try await server.waitForStatus("REACHABLE", of: id)
                        let before = try await shown(id, by: server)["action_id"]
                        let reply = try await server.request(
                            .put, "/v1.0/vims/\(id)", body: ["vim": ["auth_url": .string(second.url)]])
                        #expect(reply.status == 200, "\(reply.text)")
                        let after = try await shown(id, by: server)["action_id"]
                        #expect(before != after)
                        first.goDown()
                        try await eventually("the new action reports") {
                            try await server.auditLog("--vim", id, "--type", "vim.status_reported")
                                .contains { $0["action_id"] == after && $0["verdict"] == "accepted" }
                        }
                        let assigned = try await server.auditLog("--type", "vim.monitor_assigned")
                        #expect(assigned.map { $0["reason"] } == ["registered", "endpoint_changed"])
                        #expect(assigned.map { $0["action_id"] } == [before, after])
                        second.goDown()
                        try await server.waitForStatus("UNREACHABLE", of: id)
                    }
                }
            }
        }
    }

    private func shown(_ id: String, by server: RunningServer) async throws -> JSON {
        let finished = try await server.vedette("vim", "show", id, "--json")
        guard finished.exitCode == 0 else { throw HarnessError("vim show: \(finished.errorOutput)") }
        return try JSON(text: finished.output)
    }
}
