import Registry
import Testing

@testable import Monitoring

@Suite("The Kubernetes probe")
struct KubernetesProbeTests {
    private func probe(
        _ script: ScriptedServer.Script, credentials: String?, path: String = ""
    ) async throws -> (ProbeOutcome, String) {
        try await ScriptedServer.with(script) { server in
            let outcome = try await withBench(credentials: StubCredentials(credentials)) { bench in
                await bench.probe(order(.kubernetes, "http://127.0.0.1:\(server.port)\(path)"))
            }
            return (outcome, server.received)
        }
    }

    @Test("A bearer token is sent with GET /version", arguments: ["", "/", "/cluster/"])
    func bearer(path: String) async throws {
        let (outcome, received) = try await probe(
            .answer(ScriptedServer.okay), credentials: #"{"bearer_token": "abc.def\n"}"#, path: path)
        #expect(outcome.meaning == .answered)
        let prefix = path == "/cluster/" ? "/cluster" : ""
        #expect(received.hasPrefix("GET \(prefix)/version HTTP/1.1\r\n"))
        #expect(received.contains("Authorization: Bearer abc.def\r\n"))
    }

    @Test("User name and password are sent as basic authentication")
    func basic() async throws {
        let (_, received) = try await probe(
            .answer(ScriptedServer.okay), credentials: #"{"username": "user", "password": "pässword"}"#)
        #expect(received.contains("Authorization: Basic dXNlcjpww6Rzc3dvcmQ=\r\n"))
    }

    @Test("The password of an OIDC user is for the token's issuer: it is never sent to the cluster")
    func oidc() async throws {
        let (outcome, received) = try await probe(
            ScriptedServer.status(401),
            credentials: """
                {"username": "u", "password": "p", "oidc_token_url": "https://issuer/token", "client_id": "c"}
                """)
        #expect(!received.contains("Authorization"))
        #expect(outcome.meaning == .answered)
        #expect(outcome.finding.detail == 401)
    }

    @Test(
        "What counts as an answer depends on whether credentials were sent",
        arguments: [
            (401, "{}", true), (403, "{}", true), (401, #"{"bearer_token": "t"}"#, false),
            (403, #"{"bearer_token": "t"}"#, true), (500, "{}", false),
            (500, #"{"bearer_token": "t"}"#, false),
        ])
    func statuses(code: Int, credentials: String, isAnswer: Bool) async throws {
        let (outcome, _) = try await probe(ScriptedServer.status(code), credentials: credentials)
        #expect(outcome.meaning == (isAnswer ? .answered : .failed))
        #expect(outcome.finding.detail == UInt16(code))
    }

    @Test("A token that would break the header out of its line is not sent")
    func smuggling() async throws {
        let (_, received) = try await probe(
            .answer(ScriptedServer.okay), credentials: #"{"bearer_token": "a\u0000b"}"#)
        #expect(!received.contains("Authorization"))
    }

    @Test("Without readable credentials the cluster is probed all the same")
    func noCredentials() async throws {
        let (outcome, _) = try await probe(ScriptedServer.status(403), credentials: nil)
        #expect(outcome.meaning == .answered)
    }

    @Test("Access to a VIM does not show its secrets when it is printed")
    func printing() {
        let access = VIMAccess(JSONText(#"{"bearer_token": "secret-token"}"#))
        #expect(!"\(access)".contains("secret-token"))
    }
}
