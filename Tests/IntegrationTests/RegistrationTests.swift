// Starts: the server, stand-in VIMs, the real OpenStack client.
import Harness
import Testing

@Suite("Registration contacts the VIM", .serialized)
struct RegistrationTests {
    @Test("A wrong password is refused as Tacker refuses it, and nothing is registered")
    func wrongPassword() async throws {
        try await withTemporaryDirectory { directory in
            try await withStandInVIM(directory: directory) { vim in
                try await withServer(dataDirectory: directory + "/data", arguments: quickMonitors) { server in
                    let reply = try await server.request(
                        .post, "/v1.0/vims.json",
                        body: ["vim": standInVIM("wrong", at: vim.url, password: "not-the-secret")])
                    #expect(reply.status == 400)
                    let error = try reply.json()["TackerError"]
                    #expect(error["type"] == "VimUnauthorizedException")
                    let message = error["message"].string ?? ""
                    #expect(
                        message.hasPrefix("The request you have made requires authentication. (HTTP 401)"),
                        "\(message)")
                    #expect(!reply.text.contains("not-the-secret"))

                    let file = directory + "/vim.yaml"
                    try write(
                        """
                        auth_url: \(vim.url)
                        username: demo
                        password: not-the-secret
                        project_name: demo
                        project_domain_name: Default
                        user_domain_name: Default
                        """, to: file)
                    let client = try await server.openstack("register", "--config-file", file, "wrong")
                    #expect(client.exitCode == 1)
                    #expect(client.errorOutput.contains("requires authentication"))
                    #expect(try await server.request(.get, "/v1.0/vims").json()["vims"] == [])
                }
                #expect(try files(below: directory, holding: ["not-the-secret"]) == ["vim.yaml"])
            }
        }
    }

    @Test("With legacy status codes the same refusals are Tacker's 500s")
    func legacyStatusCodes() async throws {
        try await withTemporaryDirectory { directory in
            try await withStandInVIM(directory: directory) { vim in
                try await withServer(
                    dataDirectory: directory + "/data", arguments: ["--legacy-status-codes"]
                ) { server in
                    let reply = try await server.request(
                        .post, "/v1.0/vims",
                        body: ["vim": standInVIM("wrong", at: vim.url, password: "x")])
                    #expect(reply.status == 500)
                    #expect(try reply.json()["TackerError"]["type"] == "VimUnauthorizedException")
                    let missing = try await server.request(
                        .get, "/v1.0/vims/00000000-0000-4000-8000-000000000000")
                    #expect(missing.status == 500)
                    #expect(try missing.json()["TackerError"]["type"] == "VimNotFoundException")
                }
            }
        }
    }

    @Test("A VIM that is down is refused, unless checks are deferred: then its monitor speaks for it")
    func deferred() async throws {
        try await withTemporaryDirectory { directory in
            try await withStandInVIM(["--down"], directory: directory) { vim in
                try await withServer(dataDirectory: directory + "/strict") { server in
                    let reply = try await server.request(
                        .post, "/v1.0/vims", body: ["vim": standInVIM("down", at: vim.url)])
                    #expect(reply.status == 400)
                    #expect(try reply.json()["TackerError"]["type"] == "VimConnectionException")
                }
                try await withServer(
                    dataDirectory: directory + "/data",
                    arguments: quickMonitors + ["--registration-check", "deferred"]
                ) { server in
                    let reply = try await server.request(
                        .post, "/v1.0/vims", body: ["vim": standInVIM("down", at: vim.url)])
                    #expect(reply.status == 201)
                    #expect(try reply.json()["vim"]["status"] == "PENDING")
                    let id = try #require(try reply.json()["vim"]["id"].string)
                    try await server.waitForStatus("UNREACHABLE", of: id)
                    vim.comeUp()
                    try await server.waitForStatus("REACHABLE", of: id)
                }
            }
        }
    }

    @Test("The client's library pages through a list by following the links it is given")
    func paging() async throws {
        try Programs.require(Programs.clientPython)
        try await withTemporaryDirectory { directory in
            try await withStandInVIM(directory: directory) { vim in
                try await withServer(
                    dataDirectory: directory + "/data", arguments: ["--registration-check", "deferred"]
                ) { server in
                    for number in 1...7 {
                        _ = try await server.register(standInVIM("page-\(number)", at: vim.url))
                    }
                    let script = Programs.repository + "/Tests/Fixtures/client/list_pages.py"
                    let pages = try await run(
                        Programs.clientPython, [script, "http://\(server.address)", "3"])
                    #expect(pages.exitCode == 0, "\(pages.errorOutput)")
                    let names = try pages.lines.map { try JSON(text: $0).array.compactMap(\.string) }
                    #expect(
                        names == [
                            ["page-1", "page-2", "page-3"], ["page-4", "page-5", "page-6"], ["page-7"],
                        ])
                }
            }
        }
    }

    @Test("Events answer as the 1.12.0 client asks for them")
    func events() async throws {
        try await withTemporaryDirectory { directory in
            try await withStandInVIM(directory: directory) { vim in
                try await withServer(dataDirectory: directory + "/data", arguments: quickMonitors) { server in
                    let id = try await server.register(standInVIM("watched", at: vim.url))
                    let other = try await server.register(standInVIM("other", at: vim.url))
                    try await server.waitForStatus("REACHABLE", of: id)
                    #expect(
                        try await server.request(
                            .put, "/v1.0/vims/\(id).json", body: ["vim": ["description": "new"]]
                        ).status == 200)
                    #expect(
                        try await server.request(.delete, "/v1.0/vims/\(id).json").status == 204)

                    let list = try await server.request(
                        .get, "/v1.0/events.json?resource_type=vim&resource_id=\(id)")
                    let events = try list.json()["events"].array
                    #expect(
                        events.map { $0["event_type"].string } == ["CREATE", "MONITOR", "UPDATE", "DELETE"])
                    #expect(
                        events.map { $0["resource_state"].string } == [
                            "PENDING", "REACHABLE", "REACHABLE", "REACHABLE",
                        ])
                    let numbers = events.compactMap { $0["id"].integer }
                    #expect(numbers.count == 4 && numbers == numbers.sorted())
                    let one = try await server.request(.get, "/v1.0/events/\(numbers[1]).json")
                    #expect(try one.json()["event"] == events[1])
                    #expect(events.allSatisfy { $0["resource_id"].string == id })
                    let others = try await server.request(.get, "/v1.0/events?resource_id=\(other)")
                    #expect(try others.json()["events"][0]["event_type"] == "CREATE")
                    let missing = try await server.request(.get, "/v1.0/events/999999999")
                    #expect(missing.status == 404)
                    #expect(try missing.json()["TackerError"]["type"] == "EventNotFoundException")
                }
            }
        }
    }
}
