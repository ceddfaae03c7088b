import Registry
import Testing

@testable import Monitoring

@Suite("Probes over TLS")
struct TLSProbeTests {
    private func probe(
        _ credentials: String?, host: String = "127.0.0.1", listen: String = "127.0.0.1",
        certificate: (certificate: String, key: String) = TestCertificate.loopback
    ) async throws -> ProbeOutcome {
        try await ScriptedServer.with(
            .answer(ScriptedServer.okay), host: listen, certificate: certificate
        ) { server in
            try await withBench(credentials: StubCredentials(credentials)) { bench in
                await bench.probe(order(.http, "https://\(host):\(server.port)"))
            }
        }
    }

    @Test(
        "A certificate that nobody vouches for is refused",
        arguments: [
            nil, "{}", #"{"cert_verify": "True"}"#, #"{"cert_verify": true}"#, #"{"cert_verify": "perhaps"}"#,
            "not even JSON",
        ])
    func refused(credentials: String?) async throws {
        let outcome = try await probe(credentials)
        #expect(outcome.meaning == .failed)
        #expect(outcome.finding.reason == .certificateRefused)
        #expect(outcome.phases[.tls] != nil)
    }

    @Test(
        "It is taken with verification off",
        arguments: [
            #"{"cert_verify": "False"}"#, #"{"cert_verify": "false"}"#, #"{"cert_verify": false}"#,
        ])
    func unverified(credentials: String) async throws {
        let outcome = try await probe(credentials)
        #expect(outcome.meaning == .answered)
        #expect(outcome.phases.list.map(\.phase) == [.resolve, .connect, .tls, .answer])
    }

    @Test(
        "It is taken with its authority, by name and by address",
        arguments: [
            ("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1"), ("[::1]", "::1"),
        ])
    func withAuthority(host: String, listen: String) async throws {
        let authority = quoted(TestCertificate.loopback.certificate)
        let outcome = try await probe(#"{"ssl_ca_cert": \#(authority)}"#, host: host, listen: listen)
        #expect(outcome.meaning == .answered, "\(outcome.explanation)")
    }

    @Test("An authority whose line breaks became spaces serves as well")
    func withFlattenedAuthority() async throws {
        let flat = TestCertificate.loopback.certificate.replacing("\n", with: " ")
        let outcome = try await probe(#"{"ssl_ca_cert": \#(quoted(flat))}"#)
        #expect(outcome.meaning == .answered, "\(outcome.explanation)")
    }

    @Test("A certificate for another host is refused though its authority is known")
    func otherHost() async throws {
        let authority = quoted(TestCertificate.elsewhere.certificate)
        for host in ["127.0.0.1", "localhost"] {
            let outcome = try await probe(
                #"{"ssl_ca_cert": \#(authority)}"#, host: host, certificate: TestCertificate.elsewhere)
            #expect(outcome.finding.reason == .certificateRefused)
        }
    }

    @Test("An authority that is no certificate is told as a probe that cannot be made")
    func badAuthority() async throws {
        let outcome = try await probe(#"{"ssl_ca_cert": "-----BEGIN CERTIFICATE----- AAAA"}"#)
        #expect(outcome.meaning == .failed)
        #expect(outcome.finding.reason == .proberFailed)
        #expect(outcome.explanation.contains("TLS cannot be set up"))
    }

    @Test("A server that speaks plain HTTP fails the handshake")
    func plainServer() async throws {
        try await ScriptedServer.with(.answer(ScriptedServer.okay)) { server in
            let outcome = try await withBench { bench in
                await bench.probe(order(.http, "https://127.0.0.1:\(server.port)"))
            }
            #expect(outcome.meaning == .failed)
            #expect(outcome.finding.reason == .tlsFailed)
        }
    }

    @Test("A server that closes in the handshake is told as closed")
    func closesInHandshake() async throws {
        try await ScriptedServer.with(.close) { server in
            let outcome = try await withBench { bench in
                await bench.probe(order(.http, "https://127.0.0.1:\(server.port)"))
            }
            #expect(outcome.finding.reason == .connectionClosed)
        }
    }

    @Test("Equal profiles share one context, and their number is bounded")
    func contextCache() throws {
        let contexts = TLSContexts()
        let first = try contexts.context(for: TLSProfile(verifies: false))
        let again = try contexts.context(for: TLSProfile(verifies: false))
        #expect(first === again)
        let certificate = TestCertificate.loopback.certificate
        for number in 0..<(TLSContexts.contextsMax + 5) {
            let text = certificate + String(repeating: "\n", count: number)
            _ = try contexts.context(for: TLSProfile(authorities: text))
        }
        #expect(contexts.count == TLSContexts.contextsMax)
    }

    @Test("Credentials are fetched for https only, once an action, and anew after forgetting")
    func fetches() async throws {
        try await ScriptedServer.with(.answer(ScriptedServer.okay)) { server in
            let credentials = StubCredentials(#"{"cert_verify": "False"}"#)
            try await withBench(credentials: credentials) { bench in
                _ = await bench.probe(order(.http, "http://127.0.0.1:\(server.port)"))
                #expect(credentials.fetchCount == 0)
                _ = await bench.probe(order(.http, "https://127.0.0.1:\(server.port)"))
                _ = await bench.probe(order(.http, "https://127.0.0.1:\(server.port)"))
                #expect(credentials.fetchCount == 1)
                await bench.forgetCredentials(of: testVIM(1))
                _ = await bench.probe(order(.http, "https://127.0.0.1:\(server.port)"))
                #expect(credentials.fetchCount == 2)
            }
        }
    }
}
