import Encodings
import HTTPTypes
import Hummingbird
import Registry
import Testing
import VIMDrivers

@testable import RESTRequests

@Suite("Updates")
struct UpdateTests {
    private func stored(_ house: House) -> JSONValue? {
        house.registry.with { $0.secrets.values.first }.flatMap { try? JSONValue($0) }
    }

    @Test("Only what is given changes, and an empty update is remembered too")
    func partial() async throws {
        try await House.run { house in
            let before = try await house.register(["description": "d"])
            let id = try #require(before["id"]?.string)
            let empty = try await house.send(.put, "/v1.0/vims/\(id).json", ["vim": [:]])
            #expect(empty.status == 200)
            let answer = try await house.send(
                .put, "/v1.0/vims/\(id).json",
                ["vim": ["name": "n2", "description": "new", "is_default": "1"]])
            var expected = before
            expected["name"] = "n2"
            expected["description"] = "new"
            expected["is_default"] = true
            expected["updated_at"] = answer.body?["vim"]?["updated_at"]
            #expect(answer.body?["vim"] == .object(expected))
            #expect(answer.body?["vim"]?["updated_at"] != .null)
            #expect(house.registry.with { $0.edits.count } == 2)
            #expect(house.openStack.with { $0.contacts.count } == 1)
        }
    }

    @Test("A password that only looks like the stored one is another password")
    func canonicallyEqual() async throws {
        try await House.run { house in
            let credentials: JSONValue = ["username": "u", "password": "p\u{E9}", "user_domain_name": "D"]
            let before = try await house.register(["auth_cred": credentials])
            let id = try #require(before["id"]?.string)
            let answer = try await house.send(
                .put, "/v1.0/vims/\(id)", ["vim": ["auth_cred": ["password": "pe\u{301}"]]])
            #expect(answer.status == 200)
            let password = try #require(stored(house)?["password"]?.string)
            #expect(password.utf8.elementsEqual("pe\u{301}".utf8))
        }
    }

    @Test("Many updates of one VIM at once are all taken, one after another")
    func parallel() async throws {
        try await House.run { house in
            let id = try await house.registerID()
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<40 {
                    group.addTask {
                        let body: JSONValue = ["vim": ["extra": .object(["k\(number)": .integer(1)])]]
                        return try await house.send(.put, "/v1.0/vims/\(id)", body).status
                    }
                }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(statuses == [Int](repeating: 200, count: 40))
            let shown = try await house.send(.get, "/v1.0/vims/\(id)").body?["vim"]?["extra"]?.object
            #expect(shown?.count == 40)
        }
    }

    @Test("vim_project merges deeply and alone contacts nobody")
    func project() async throws {
        try await House.run { house in
            let id = try await house.registerID()
            let answer = try await house.send(
                .put, "/v1.0/vims/\(id)", ["vim": ["vim_project": ["name": "other"]]])
            #expect(
                answer.body?["vim"]?["vim_project"] == ["name": "other", "project_domain_name": "Default"])
            #expect(answer.body?["vim"]?["auth_cred"]?["project_name"] == "other")
            #expect(house.openStack.with { $0.contacts.count } == 1)
            #expect(house.registry.with { $0.edits.last?.credentials } == nil)
        }
    }

    @Test("username alone keeps the stored password, and the VIM is asked with both")
    func usernameAlone() async throws {
        try await House.run { house in
            let id = try await house.registerID()
            house.openStack.with { $0.placement = ["regions": ["New"]] }
            let answer = try await house.send(
                .put, "/v1.0/vims/\(id)", ["vim": ["auth_cred": ["username": "other"]]])
            #expect(answer.status == 200)
            #expect(answer.body?["vim"]?["placement_attr"] == ["regions": ["New"]])
            #expect(answer.body?["vim"]?["auth_cred"]?["password"] == "***")
            let contact = try #require(house.openStack.with { $0.contacts.last })
            #expect(
                contact.credentials["username"] == "other" && contact.credentials["password"] == "hunter-22")
            #expect(stored(house)?["password"] == "hunter-22" && stored(house)?["username"] == "other")
        }
    }

    @Test("Sending back what was shown keeps the secrets")
    func shownCredentials() async throws {
        try await House.run { house in
            let vim = try await house.register()
            let id = try #require(vim["id"]?.string)
            let before = stored(house)
            let answer = try await house.send(
                .put, "/v1.0/vims/\(id)", ["vim": ["auth_cred": vim["auth_cred"] ?? [:]]])
            #expect(answer.status == 200)
            #expect(stored(house) == before)
            // The same credentials are no change: the monitor action goes on. The VIM is asked all the same.
            #expect(house.registry.with { $0.edits.last?.credentials } == nil)
            #expect(house.openStack.with { $0.contacts.count } == 2)
        }
    }

    @Test(
        "One way of logging in replaces another",
        arguments: [
            (
                ["bearer_token": "t"], ["username": "u", "password": "p"], ["username": "u", "password": "p"]
            ),
            (["username": "u", "password": "p"], ["bearer_token": "t"], ["bearer_token": "t"]),
            (
                [
                    "oidc_token_url": "http://i", "client_id": "c", "client_secret": "s", "username": "u",
                    "password": "p",
                ],
                ["bearer_token": "t"], ["bearer_token": "t"]
            ),
            (
                [
                    "oidc_token_url": "http://i", "client_id": "c", "client_secret": "s", "username": "u",
                    "password": "p",
                ],
                ["username": "v", "password": "q"], ["username": "v", "password": "q"]
            ),
            (
                ["bearer_token": "t", "ssl_ca_cert": "None"],
                ["oidc_token_url": "http://i", "client_id": "c", "username": "u", "password": "p"],
                [
                    "oidc_token_url": "http://i", "client_id": "c", "username": "u", "password": "p",
                    "ssl_ca_cert": "None",
                ]
            ),
            (
                ["username": "u", "password": "p", "cert_verify": "True"], ["password": "q"],
                ["username": "u", "password": "q", "cert_verify": "True"]
            ),
            (["username": "u", "password": "p"], ["password": "***"], ["username": "u", "password": "p"]),
            (["bearer_token": "t"], ["password": "***"], ["bearer_token": "t", "password": "***"]),
        ] as [([String: JSONValue], [String: JSONValue], [String: JSONValue])])
    func kinds(before: [String: JSONValue], given: [String: JSONValue], after: [String: JSONValue]) {
        #expect(Credentials.merged(stored: before, given: given) == after)
    }

    @Test("A new auth_url is stored, checked with the stored credentials, and normalised")
    func authURL() async throws {
        try await House.run { house in
            let id = try await house.registerID()
            let answer = try await house.send(
                .put, "/v1.0/vims/\(id)", ["vim": ["auth_url": "http://other:5000/"]])
            #expect(answer.body?["vim"]?["auth_url"] == "http://other:5000/v3")
            let contact = try #require(house.openStack.with { $0.contacts.last })
            #expect(contact.authURL == "http://other:5000/v3")
            #expect(contact.credentials["password"] == "hunter-22")
            // The same URL again is no change and contacts nobody.
            _ = try await house.send(.put, "/v1.0/vims/\(id)", ["vim": ["auth_url": "http://other:5000"]])
            #expect(house.openStack.with { $0.contacts.count } == 2)
            #expect(house.registry.with { $0.edits.last?.authURL } == nil)
            let wrong = try await house.send(.put, "/v1.0/vims/\(id)", ["vim": ["auth_url": "http://u:p@h"]])
            #expect(wrong.status == 400)
        }
    }

    @Test("A VIM that refuses the new credentials leaves the old record", arguments: [false, true])
    func refused(legacy: Bool) async throws {
        try await House.run(legacy: legacy) { house in
            let id = try await house.registerID()
            house.openStack.with { $0.failure = .unauthorized("No. (HTTP 401)") }
            let answer = try await house.send(
                .put, "/v1.0/vims/\(id)", ["vim": ["auth_cred": ["password": "wrong"], "name": "n2"]])
            #expect(answer.status == (legacy ? 500 : 400) && answer.errorType == "VimUnauthorizedException")
            #expect(stored(house)?["password"] == "hunter-22")
            #expect(house.registry.registeredVIMs().first?.configuration.name == "n1")
        }
    }

    @Test("An update that others overtook is computed anew; the VIM is asked once")
    func conflict() async throws {
        try await House.run { house in
            let id = try await house.registerID()
            house.registry.with { $0.conflicts = 4 }
            let answer = try await house.send(
                .put, "/v1.0/vims/\(id)", ["vim": ["auth_cred": ["password": "new"]]])
            #expect(answer.status == 200)
            #expect(house.openStack.with { $0.contacts.count } == 2)
        }
    }

    @Test("An update that is overtaken again and again is a conflict")
    func endlessConflict() async throws {
        try await House.run { house in
            let id = try await house.registerID()
            house.registry.with { $0.conflicts = VIMResource.updateAttemptMax }
            let answer = try await house.send(.put, "/v1.0/vims/\(id)", ["vim": ["name": "x"]])
            #expect(answer.status == 409 && answer.errorType == "HTTPConflict")
        }
    }

    @Test("A VIM that goes while it is updated is missing")
    func gone() async throws {
        try await House.run { house in
            let id = try await house.registerID()
            let vimID = try #require(VIMID(id))
            house.registry.with { $0.failure = .refused(.vimNotFound(vimID)) }
            let answer = try await house.send(.put, "/v1.0/vims/\(id)", ["vim": ["name": "x"]])
            #expect(answer.status == 404 && answer.errorType == "VimNotFoundException")
        }
    }
}
