import Encodings
import HTTPTypes
import Hummingbird
import NIOCore
import NIOSSL
import Registry
import Testing

@testable import VIMDrivers

@Suite("The Kubernetes driver")
struct KubernetesDriverTests {
    static func contact(_ port: Int, scheme: String = "http", _ credentials: [String: JSONValue])
        -> VIMContact
    {
        VIMContact(
            authURL: "\(scheme)://127.0.0.1:\(port)", credentials: credentials, project: ["name": "default"])
    }

    static func apiServer(_ request: SeenRequest) -> Response {
        switch request.path {
        case "/api/": return .json(["kind": "APIVersions", "versions": ["v1"]])
        case "/api/v1/namespaces":
            return .json([
                "kind": "NamespaceList",
                "items": [["metadata": ["name": "default"]], ["metadata": ["name": "kube-system"]]],
            ])
        default: return .json(["kind": "Status"], status: .notFound)
        }
    }

    @Test(
        "Each way of logging in sends its header with both calls",
        arguments: [
            (["bearer_token": "t0k"] as [String: JSONValue], "Bearer t0k"),
            (["username": "admin", "password": "se:cret"], "Basic YWRtaW46c2U6Y3JldA=="),
        ])
    func success(credentials: [String: JSONValue], header: String) async throws {
        let requests = try await TestServer.run(Self.apiServer) { port, seen in
            try await withClient { client in
                let placement = try await KubernetesDriver(client: client).placement(
                    of: Self.contact(port, credentials))
                #expect(placement == ["regions": ["default", "kube-system"]])
            }
            return seen()
        }
        #expect(requests.map(\.path) == ["/api/", "/api/v1/namespaces"])
        #expect(requests.map { $0.headers["authorization"] } == [header, header])
    }

    @Test("An OpenID Connect login asks the provider by form and uses its id_token")
    func openID() async throws {
        let requests = try await TestServer.run({ request in
            request.path == "/token"
                ? .json(["id_token": "id-1", "access_token": "other"])
                : Self.apiServer(request)
        }) { port, seen in
            try await withClient { client in
                _ = try await KubernetesDriver(client: client).placement(
                    of: Self.contact(
                        port,
                        [
                            "oidc_token_url": .string("http://127.0.0.1:\(port)/token"),
                            "client_id": "tacker",
                            "client_secret": "s&=ß", "username": "end user", "password": "p+w",
                        ]))
            }
            return seen()
        }
        #expect(
            requests.first?.body
                == "grant_type=password&scope=openid&client_id=tacker&client_secret=s%26%3D%C3%9F"
                + "&username=end%20user&password=p%2Bw")
        #expect(requests.first?.headers["content-type"] == "application/x-www-form-urlencoded")
        #expect(requests.dropFirst().allSatisfy { $0.headers["authorization"] == "Bearer id-1" })
    }

    @Test("A provider that refuses, or answers no JSON, is told with its answer and without the secret")
    func openIDRefused() async throws {
        let credentials: @Sendable (Int) -> [String: JSONValue] = { port in
            [
                "oidc_token_url": .string("http://127.0.0.1:\(port)/token"), "client_id": "tacker",
                "client_secret": "s3cr3t", "username": "u", "password": "p455",
            ]
        }
        try await TestServer.run({ _ in .json(["error": "wrong p455 and s3cr3t"], status: .unauthorized) }) {
            port, _ in
            try await withClient { client in
                let error = await failure(
                    of: KubernetesDriver(client: client), Self.contact(port, credentials(port)))
                #expect(
                    error
                        == .unauthorized(
                            "OIDC authentication and authorization failed. Detail: response code: 401, "
                                + "body: {\"error\":\"wrong *** and ***\"}"))
            }
        }
        try await TestServer.run({ _ in Response(status: .ok, body: .init(byteBuffer: .init(string: "id"))) })
        {
            port, _ in
            try await withClient { client in
                let error = await failure(
                    of: KubernetesDriver(client: client), Self.contact(port, credentials(port)))
                #expect(error?.message.hasSuffix("response code: 200, body: no id_token") == true)
            }
        }
    }

    @Test("A refusal is worded as the Kubernetes client words it", arguments: [401, 403])
    func refused(code: Int) async throws {
        try await TestServer.run({ _ in .json(["kind": "Status"], status: .init(code: code)) }) { port, _ in
            try await withClient { client in
                let error = await failure(
                    of: KubernetesDriver(client: client), Self.contact(port, ["bearer_token": "t0k"]))
                guard case .unauthorized(let text) = error else {
                    Issue.record("expected a refusal, got \(String(describing: error))")
                    return
                }
                let phrase = code == 401 ? "Unauthorized" : "Forbidden"
                #expect(text.hasPrefix("(\(code))\nReason: \(phrase)\nHTTP response headers: "))
            }
        }
    }

    @Test("A token that cannot stand in a header is refused without being told")
    func tokenWithLineBreak() async throws {
        try await TestServer.run(Self.apiServer) { port, _ in
            try await withClient { client in
                let error = await failure(
                    of: KubernetesDriver(client: client),
                    Self.contact(port, ["bearer_token": "t0k\r\nX-Evil: 1"]))
                guard case .badCredentials(let text) = error else {
                    Issue.record("expected bad credentials, got \(String(describing: error))")
                    return
                }
                #expect(!text.contains("t0k"))
            }
        }
    }

    @Test("Credentials of no known kind are refused before anybody is contacted")
    func noCredentials() async throws {
        try await withClient { client in
            let error = await failure(
                of: KubernetesDriver(client: client), Self.contact(1, ["username": "u"]))
            guard case .badCredentials = error else {
                Issue.record("expected bad credentials, got \(String(describing: error))")
                return
            }
        }
    }

    @Test("No list of namespaces is a connection error")
    func garbage() async throws {
        try await TestServer.run({ _ in Response(status: .ok) }) { port, _ in
            try await withClient { client in
                let error = await failure(
                    of: KubernetesDriver(client: client), Self.contact(port, ["bearer_token": "t"]))
                #expect(
                    error
                        == .connection(
                            "http://127.0.0.1:\(port)/api/v1/namespaces answered no list of namespaces"))
            }
        }
    }
}

@Suite("TLS as auth_cred wants it")
struct TLSTests {
    private func serverConfiguration() throws -> TLSConfiguration {
        .makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMBytes(Array(TestCertificates.loopback.utf8))
                .map { .certificate($0) },
            privateKey: .privateKey(
                try NIOSSLPrivateKey(bytes: Array(TestCertificates.loopbackKey.utf8), format: .pem)))
    }

    /// Contacts a server with a self-signed certificate.
    private func outcome(_ credentials: [String: JSONValue]) async throws -> VIMDriverError? {
        try await TestServer.run(tls: try serverConfiguration(), KubernetesDriverTests.apiServer) { port, _ in
            try await withClient { client in
                await failure(
                    of: KubernetesDriver(client: client),
                    KubernetesDriverTests.contact(
                        port, scheme: "https", credentials.merging(["bearer_token": "t"]) { $1 }))
            }
        }
    }

    @Test("A certificate that nobody vouches for is refused, also by Kubernetes")
    func untrusted() async throws {
        let error = try await outcome([:])
        guard case .connection(let text) = error else {
            Issue.record("expected a connection error, got \(String(describing: error))")
            return
        }
        #expect(text.contains("TLS handshake failed"))
    }

    @Test("cert_verify False takes any certificate", arguments: ["False", "false", false] as [JSONValue])
    func unverified(value: JSONValue) async throws {
        #expect(try await outcome(["cert_verify": value]) == nil)
    }

    @Test("The VIM's own CA is trusted, also when its line breaks became spaces")
    func ownCA() async throws {
        #expect(try await outcome(["ssl_ca_cert": .string(TestCertificates.loopback)]) == nil)
        let flattened = TestCertificates.loopback.replacing("\n", with: " ")
        #expect(try await outcome(["ssl_ca_cert": .string(flattened)]) == nil)
    }

    @Test("Another CA is not enough")
    func otherCA() async throws {
        #expect(try await outcome(["ssl_ca_cert": .string(TestCertificates.other)]) != nil)
    }

    @Test("The words for no CA mean none", arguments: ["", "None", "NONE", "null", "NULL"])
    func noCA(word: String) async throws {
        #expect(try await outcome(["ssl_ca_cert": .string(word), "cert_verify": "False"]) == nil)
    }

    @Test("A CA that is none is refused before anybody is contacted")
    func wrongCA() async throws {
        let error = try await outcome(["ssl_ca_cert": "-----BEGIN CERTIFICATE-----\nnonsense"])
        #expect(error == .badCredentials("ssl_ca_cert holds no certificate in PEM form"))
    }
}
