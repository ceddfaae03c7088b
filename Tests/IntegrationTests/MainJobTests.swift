// Starts: the server, a real Keystone, the real OpenStack client.
import Foundation
import Harness
import Testing

@Suite("The main job", .serialized)
struct MainJobTests {
    @Test(
        "The real client registers a real Keystone, sees it go and come back, and every event is in the log")
    func mainJob() async throws {
        try Programs.require(Programs.openstack, Programs.keystonePython)
        try await withTemporaryDirectory { directory in
            let keystoneDirectory = directory + "/keystone"
            try FileManager.default.createDirectory(
                atPath: keystoneDirectory, withIntermediateDirectories: false)
            let dataDirectory = directory + "/data"
            let replies = Replies()
            let (_, exitCode) = try await withServer(dataDirectory: dataDirectory, arguments: quickMonitors) {
                server in
                let (id, port) = try await withKeystone(directory: keystoneDirectory) { keystone in
                    (try await register(keystone, on: server, in: directory, replies), keystone.port)
                }
                try await seesUnreachable(server, id, replies)
                try await withKeystone(directory: keystoneDirectory, port: port) { _ in
                    try await server.waitForStatus("REACHABLE", of: id)
                    try await changeAndDelete(server, id, replies)
                }
                try await auditTellsAll(server, id, port: port)
            }
            #expect(exitCode == 0)

            // The password stands nowhere in clear: not in the data, not in the server's log, not in a reply.
            let secret = "keystone-admin-secret"
            #expect(try files(below: dataDirectory, holding: [secret]) == [])
            let log = try String(contentsOfFile: dataDirectory + ".log", encoding: .utf8)
            #expect(!log.contains(secret))
            #expect(!replies.texts.contains { $0.contains(secret) })
            #expect(replies.texts.count > 5)
        }
    }

    /// What the server said to anybody, kept to be searched for secrets.
    private final class Replies {
        var texts: [String] = []
        func keep(_ finished: FinishedProcess) -> FinishedProcess {
            texts += [finished.output, finished.errorOutput]
            return finished
        }
    }

    private func register(
        _ keystone: RunningEndpoint, on server: RunningServer, in directory: String, _ replies: Replies
    ) async throws -> String {
        let file = directory + "/vim.yaml"
        try write(
            """
            auth_url: \(keystone.url)
            username: admin
            password: keystone-admin-secret
            project_name: admin
            project_domain_name: Default
            user_domain_name: Default
            cert_verify: 'True'
            """, to: file)
        let registered = replies.keep(
            try await server.openstack(
                "register", "--config-file", file, "--description", "first", "site-1", "-f", "json"))
        #expect(registered.exitCode == 0, "\(registered.errorOutput)")
        let vim = try JSON(text: registered.output)
        #expect(vim["name"] == "site-1")
        #expect(vim["auth_url"].string == keystone.url + "/v3")
        #expect(vim["placement_attr"]["regions"] == ["RegionOne"])
        #expect(vim["auth_cred"]["password"] == "***")
        let id = try #require(vim["id"].string)

        try await server.waitForStatus("REACHABLE", of: id)
        let listed = replies.keep(try await server.openstack("list", "-f", "json"))
        let row = try JSON(text: listed.output)[0]
        #expect(row["ID"].string == id)
        #expect(row["Status"] == "REACHABLE")

        let shown = replies.keep(try await server.openstack("show", "site-1", "-f", "json"))
        #expect(try JSON(text: shown.output)["id"].string == id)
        #expect(try JSON(text: shown.output)["status"] == "REACHABLE")
        return id
    }

    private func seesUnreachable(_ server: RunningServer, _ id: String, _ replies: Replies) async throws {
        try await server.waitForStatus("UNREACHABLE", of: id)
        let listed = replies.keep(try await server.openstack("list", "-f", "json"))
        #expect(try JSON(text: listed.output)[0]["Status"] == "UNREACHABLE")
        let events = try await server.request(.get, "/v1.0/events.json?resource_id=\(id)&event_type=MONITOR")
        replies.texts.append(events.text)
        let changes = try events.json()["events"].array
        #expect(changes.map { $0["resource_state"].string } == ["REACHABLE", "UNREACHABLE"])
        #expect(changes.last?["event_details"].string?.contains("connection refused") == true)
    }

    private func changeAndDelete(_ server: RunningServer, _ id: String, _ replies: Replies) async throws {
        let set = replies.keep(
            try await server.openstack("set", "--description", "second", "--is-default", "True", "site-1"))
        #expect(set.exitCode == 0, "\(set.errorOutput)")
        let shown = replies.keep(try await server.openstack("show", id, "-f", "json"))
        #expect(try JSON(text: shown.output)["description"] == "second")
        #expect(try JSON(text: shown.output)["is_default"] == true)
        let deleted = replies.keep(try await server.openstack("delete", "site-1"))
        #expect(deleted.exitCode == 0, "\(deleted.errorOutput)")
        let listed = replies.keep(try await server.openstack("list", "-f", "json"))
        #expect(try JSON(text: listed.output) == [])
    }

    private func auditTellsAll(_ server: RunningServer, _ id: String, port: Int) async throws {
        let log = try await server.auditLog()
        let positions = log.compactMap { $0["position"].integer }
        #expect(positions == Array(1...max(1, log.count)))
        #expect(log.first?["type"] == "conductor.epoch_started")

        let own = log.filter { $0["vim_id"].string == id }
        let once = [
            "vim.registered", "vim.monitor_assigned", "vim.monitor_launched", "vim.updated",
            "vim.deregistered",
        ]
        for type in once { #expect(own.events(type).count == 1, "\(type)") }
        #expect(own.first?["type"] == "vim.registered")
        #expect(own.statusChanges == ["REACHABLE", "UNREACHABLE", "REACHABLE"])
        #expect(own.events("vim.monitor_assigned").first?["reason"] == "registered")
        let action = own.events("vim.monitor_assigned").first?["action_id"]
        let reports = own.events("vim.status_reported")
        #expect(reports.allSatisfy { $0["action_id"] == action })
        let bad = reports.first { $0["status"] == "UNREACHABLE" }
        #expect(bad?["finding"] == "connection_refused", "\(String(describing: bad))")
        #expect(bad?["reason"] == "connection refused")
        let times = log.compactMap { $0["time"].string }
        #expect(times == times.sorted() && times.count == log.count)
        #expect(times.allSatisfy { $0.count == 27 && $0.hasSuffix("Z") }, "\(times.first ?? "")")
    }
}
