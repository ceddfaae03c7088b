import Encodings
import HTTPTypes
import Hummingbird
import NIOCore
import Registry
import Testing

@testable import VIMDrivers

@Suite("The OpenStack driver")
struct OpenStackDriverTests {
    static let credentials: [String: JSONValue] = [
        "username": "nfv_user", "password": "hunter-22", "user_domain_name": "Default", "cert_verify": "True",
    ]
    static let project: [String: JSONValue] = ["name": "nfv", "project_domain_name": "Default"]

    static func contact(
        _ port: Int, path: String = "/v3", _ changes: [String: JSONValue] = [:],
        project: [String: JSONValue] = project
    ) -> VIMContact {
        VIMContact(
            authURL: "http://127.0.0.1:\(port)\(path)",
            credentials: credentials.merging(changes) { $1 }, project: project)
    }

    /// A Keystone that lets everybody in.
    static func keystone(_ request: SeenRequest) -> Response {
        switch (request.method, request.path) {
        case ("GET", "/v3"): return .json(["version": ["id": "v3.14"]])
        case ("POST", "/v3/auth/tokens"):
            var headers = HTTPFields()
            if let name = HTTPField.Name("X-Subject-Token") { headers[name] = "token-1" }
            return .json(["token": [:]], status: .created, headers: headers)
        case ("GET", "/v3/regions"):
            return .json(["regions": [["id": "RegionOne"], ["id": "RegionTwo"]], "links": [:]])
        default: return .json(["error": "no such path"], status: .notFound)
        }
    }

    @Test("A healthy Keystone is asked for its version, a token and its regions, in that order")
    func success() async throws {
        let requests = try await TestServer.run(Self.keystone) { port, seen in
            try await withClient { client in
                let placement = try await OpenStackDriver(client: client).placement(of: Self.contact(port))
                #expect(placement == ["regions": ["RegionOne", "RegionTwo"]])
            }
            return seen()
        }
        #expect(requests.map(\.method) == ["GET", "POST", "GET"])
        #expect(requests.map(\.path) == ["/v3", "/v3/auth/tokens", "/v3/regions"])
        #expect(requests.last?.headers["x-auth-token"] == "token-1")
        let expected: JSONValue = [
            "auth": [
                "identity": [
                    "methods": ["password"],
                    "password": [
                        "user": ["name": "nfv_user", "password": "hunter-22", "domain": ["name": "Default"]]
                    ],
                ],
                "scope": ["project": ["name": "nfv", "domain": ["name": "Default"]]],
            ]
        ]
        #expect(try JSONValue(json: (requests.dropFirst().first?.body ?? "").utf8) == expected)
    }

    @Test("A trailing slash in auth_url makes no double slash")
    func trailingSlash() async throws {
        let paths = try await TestServer.run(Self.keystone) { port, seen in
            try await withClient { client in
                _ = try await OpenStackDriver(client: client).placement(of: Self.contact(port, path: "/v3/"))
            }
            return seen().map(\.path)
        }
        #expect(paths == ["/v3", "/v3/auth/tokens", "/v3/regions"])
    }

    @Test("A project known by id alone, and a domain by id, are scoped by id")
    func identifiers() async throws {
        let bodies = try await TestServer.run(Self.keystone) { port, seen in
            try await withClient { client in
                _ = try await OpenStackDriver(client: client).placement(
                    of: Self.contact(
                        port, ["user_domain_name": nil, "user_domain_id": "d1"], project: ["id": "p1"]))
            }
            return seen().map(\.body)
        }
        let auth = try JSONValue(json: bodies[1].utf8)["auth"]
        #expect(auth?["scope"] == ["project": ["id": "p1"]])
        #expect(auth?["identity"]?["password"]?["user"]?["domain"] == ["id": "d1"])
    }

    @Test(
        "Keystone's refusal of the login is told in its own words",
        arguments: [(401, true), (400, true), (403, true)])
    func refusedLogin(code: Int, isUnauthorized: Bool) async throws {
        try await TestServer.run({ request in
            request.method == "POST" ? .keystoneError(code, "Keystone says no.") : Self.keystone(request)
        }) { port, _ in
            try await withClient { client in
                let error = await failure(of: OpenStackDriver(client: client), Self.contact(port))
                #expect(error == .unauthorized("Keystone says no. (HTTP \(code)) (Request-ID: req-abc)"))
            }
        }
    }

    @Test("A Keystone in trouble is a connection error, not a refusal", arguments: [404, 500, 503])
    func brokenLogin(code: Int) async throws {
        try await TestServer.run({ request in
            request.method == "POST" ? .keystoneError(code, "Trouble.") : Self.keystone(request)
        }) { port, _ in
            try await withClient { client in
                let error = await failure(of: OpenStackDriver(client: client), Self.contact(port))
                #expect(error == .connection("Trouble. (HTTP \(code)) (Request-ID: req-abc)"))
            }
        }
    }

    @Test("An URL behind which nothing is found is a connection error")
    func notFound() async throws {
        try await TestServer.run({ _ in Response(status: .notFound) }) { port, _ in
            try await withClient { client in
                let error = await failure(of: OpenStackDriver(client: client), Self.contact(port))
                #expect(error == .connection("Not Found (HTTP 404)"))
            }
        }
    }

    @Test("A redirect is not followed: the credentials go to the named host only")
    func redirect() async throws {
        try await TestServer.run({ _ in
            Response(status: .movedPermanently, headers: [.location: "http://127.0.0.1:1/v3"])
        }) { port, seen in
            try await withClient { client in
                let error = await failure(of: OpenStackDriver(client: client), Self.contact(port))
                #expect(error == .connection("Moved Permanently (HTTP 301)"))
            }
            #expect(seen().count == 1)
        }
    }

    @Test("A refused connection is told at once and with the URL")
    func refusedConnection() async throws {
        let port = try await TestServer.closedPort()
        try await withClient { client in
            let error = await failure(of: OpenStackDriver(client: client), Self.contact(port))
            #expect(
                error
                    == .connection(
                        "Unable to establish connection to http://127.0.0.1:\(port)/v3: Connection refused"))
        }
    }

    @Test("A silent VIM costs no more than the time limit")
    func silent() async throws {
        try await TestServer.raw { port in
            try await withClient(VIMContactLimits(contactTimeout: .milliseconds(300))) { client in
                let error = await failure(of: OpenStackDriver(client: client), Self.contact(port))
                guard case .connection(let text) = error else {
                    Issue.record("expected a connection error, got \(String(describing: error))")
                    return
                }
                #expect(text.contains("timed out"))
            }
        }
    }

    @Test("Garbage instead of HTTP is a connection error")
    func garbage() async throws {
        try await TestServer.raw(saying: "SSH-2.0-OpenSSH_9.2\r\n\r\n") { port in
            try await withClient { client in
                let error = await failure(of: OpenStackDriver(client: client), Self.contact(port))
                guard case .connection(let text) = error else {
                    Issue.record("expected a connection error, got \(String(describing: error))")
                    return
                }
                #expect(text.hasPrefix("Unable to establish connection to http://127.0.0.1:\(port)/v3: "))
            }
        }
    }

    @Test("Garbage instead of a list of regions, and a login without token, are connection errors")
    func garbledDocuments() async throws {
        try await TestServer.run({ request in
            request.path == "/v3/regions"
                ? Response(status: .ok, body: .init(byteBuffer: .init(string: "<html>")))
                : Self.keystone(request)
        }) { port, _ in
            try await withClient { client in
                let error = await failure(of: OpenStackDriver(client: client), Self.contact(port))
                #expect(
                    error == .connection("http://127.0.0.1:\(port)/v3/regions answered no list of regions"))
            }
        }
        try await TestServer.run({ _ in .json([:]) }) { port, _ in
            try await withClient { client in
                let error = await failure(of: OpenStackDriver(client: client), Self.contact(port))
                #expect(error?.message.hasSuffix("answered without a token: this is no Keystone") == true)
            }
        }
    }

    @Test("An answer longer than the limit is not read to its end")
    func hugeAnswer() async throws {
        let filler = String(repeating: "x", count: 200_000)
        try await TestServer.run({ request in
            request.path == "/v3/regions"
                ? .json(["regions": [["id": .string(filler)]]])
                : Self.keystone(request)
        }) { port, _ in
            try await withClient(VIMContactLimits(answerByteMax: 100_000)) { client in
                let error = await failure(of: OpenStackDriver(client: client), Self.contact(port))
                #expect(
                    error
                        == .connection(
                            "The answer of http://127.0.0.1:\(port)/v3/regions is longer than 100000 bytes"))
            }
        }
    }

    @Test("A VIM that echoes the password does not get it into the error, and long texts are cut")
    func echoedSecret() async throws {
        let echo = "bad: hunter-22! hunter-22\u{301} " + String(repeating: "y", count: 5_000)
        try await TestServer.run({ request in
            request.method == "POST" ? .keystoneError(401, echo) : Self.keystone(request)
        }) { port, _ in
            try await withClient { client in
                let message = await failure(of: OpenStackDriver(client: client), Self.contact(port))?.message
                #expect(message?.hasPrefix("bad: ***! ***\u{301} yyy") == true)
                #expect((message?.count ?? 0) < 500)
            }
        }
    }

    @Test(
        "cert_verify is taken as a boolean or its word in any case, and nothing else",
        arguments: [
            (JSONValue.string("True"), true), ("true", true), ("FALSE", false), ("False", false),
            (true, true), (false, false),
        ])
    func certVerify(value: JSONValue, verifies: Bool) throws {
        #expect(try TLSSettings.verifies(value) == verifies)
        #expect(try TLSSettings.verifies(nil))
        #expect(throws: VIMDriverError.self) { try TLSSettings.verifies(.null) }
    }

    @Test(
        "A wrong cert_verify is refused before anybody is contacted",
        arguments: ["yes", "", 0, 1] as [JSONValue])
    func wrongCertVerify(value: JSONValue) async throws {
        try await withClient { client in
            let error = await failure(
                of: OpenStackDriver(client: client), Self.contact(1, ["cert_verify": value]))
            #expect(error == .badCredentials("cert_verify must be True or False"))
        }
    }
}
