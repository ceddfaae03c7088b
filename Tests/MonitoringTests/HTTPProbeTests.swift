import Registry
import Testing

@testable import Monitoring

@Suite("The HTTP probe")
struct HTTPProbeTests {
    @Test("A 200 is an answer, with its phases timed apart and the request as the driver sends it")
    func answer() async throws {
        try await ScriptedServer.with(.answer(ScriptedServer.okay)) { server in
            let outcome = try await withBench { bench in
                await bench.probe(order(.http, "http://127.0.0.1:\(server.port)/identity/"))
            }
            #expect(outcome.meaning == .answered)
            #expect(outcome.finding.reason == .answered)
            #expect(outcome.finding.detail == 200)
            #expect(outcome.finding.roundTripMicroseconds > 0)
            #expect(outcome.phases.list.map(\.phase) == [.resolve, .connect, .answer])
            #expect(server.received.hasPrefix("GET /identity/v3 HTTP/1.1\r\n"))
            #expect(server.received.contains("Host: 127.0.0.1:\(server.port)\r\n"))
            #expect(!server.received.contains("Authorization"))
        }
    }

    @Test(
        "2xx and 3xx are answers, other statuses are failures that name the status",
        arguments: [
            (200, true), (204, true), (300, true), (302, true), (399, true), (400, false), (401, false),
            (404, false), (503, false),
        ])
    func statuses(code: Int, isAnswer: Bool) async throws {
        try await ScriptedServer.with(ScriptedServer.status(code)) { server in
            let outcome = try await withBench { bench in
                await bench.probe(order(.http, "http://127.0.0.1:\(server.port)"))
            }
            #expect(outcome.meaning == (isAnswer ? .answered : .failed))
            #expect(outcome.finding.reason == (isAnswer ? .answered : .httpStatus))
            #expect(outcome.finding.detail == UInt16(code))
        }
    }

    @Test("A redirect is not followed")
    func redirect() async throws {
        try await ScriptedServer.with(.answer(ScriptedServer.okay)) { other in
            let script = ScriptedServer.status(
                302, headers: "Location: http://127.0.0.1:\(other.port)/\r\n")
            try await ScriptedServer.with(script) { server in
                let outcome = try await withBench { bench in
                    await bench.probe(order(.http, "http://127.0.0.1:\(server.port)"))
                }
                #expect(outcome.finding.detail == 302)
                #expect(other.received.isEmpty)
            }
        }
    }

    @Test("A port where nobody listens refuses the connection")
    func refused() async throws {
        let port = try await unusedPort()
        let outcome = try await withBench { bench in
            await bench.probe(order(.http, "http://127.0.0.1:\(port)"))
        }
        #expect(outcome.meaning == .failed)
        #expect(outcome.finding.reason == .connectionRefused)
        #expect(outcome.finding.detail == 111)
        #expect(outcome.phases.list.map(\.phase) == [.resolve, .connect])
    }

    @Test("A silent server makes the probe time out in the answer")
    func silent() async throws {
        try await ScriptedServer.with(.silence) { server in
            let outcome = try await withBench { bench in
                await bench.probe(
                    order(.http, "http://127.0.0.1:\(server.port)", timeoutMilliseconds: 300))
            }
            #expect(outcome.finding.reason == .timedOut)
            #expect(outcome.finding.detail == ProbePhase.answer.rawValue)
            #expect(outcome.finding.roundTripMicroseconds >= 300_000)
        }
    }

    @Test("A server that speaks no TLS makes an https probe time out in the handshake")
    func silentTLS() async throws {
        try await ScriptedServer.with(.silence) { server in
            let outcome = try await withBench { bench in
                await bench.probe(
                    order(.http, "https://127.0.0.1:\(server.port)", timeoutMilliseconds: 300))
            }
            #expect(outcome.finding.reason == .timedOut)
            #expect(outcome.finding.detail == ProbePhase.tls.rawValue)
        }
    }

    @Test(
        "What is no HTTP is a malformed answer",
        arguments: ["SSH-2.0-OpenSSH_9.2\r\n", "\u{0}\u{1}\u{2}\r\n\r\n"])
    func garbage(text: String) async throws {
        try await ScriptedServer.with(.answer(text)) { server in
            let outcome = try await withBench { bench in
                await bench.probe(order(.http, "http://127.0.0.1:\(server.port)"))
            }
            #expect(outcome.meaning == .failed)
            #expect(outcome.finding.reason == .malformedAnswer)
            #expect(!outcome.explanation.isEmpty)
        }
    }

    @Test("An answer's head without end is cut off as malformed")
    func endlessHead() async throws {
        try await ScriptedServer.with(.endlessHead) { server in
            let outcome = try await withBench { bench in
                await bench.probe(order(.http, "http://127.0.0.1:\(server.port)"))
            }
            #expect(outcome.finding.reason == .malformedAnswer)
        }
    }

    @Test(
        "A connection closed before a whole head is told as closed",
        arguments: [
            ScriptedServer.Script.close, .answerAndClose("HTTP/1.1 200 OK\r\nContent-"),
        ])
    func closed(script: ScriptedServer.Script) async throws {
        try await ScriptedServer.with(script) { server in
            let outcome = try await withBench { bench in
                await bench.probe(order(.http, "http://127.0.0.1:\(server.port)"))
            }
            #expect(outcome.meaning == .failed)
            #expect(outcome.finding.reason == .connectionClosed)
        }
    }

    @Test("IPv6 addresses are probed")
    func version6() async throws {
        try await ScriptedServer.with(.answer(ScriptedServer.okay), host: "::1") { server in
            let outcome = try await withBench { bench in
                await bench.probe(order(.http, "http://[::1]:\(server.port)/v3"))
            }
            #expect(outcome.meaning == .answered)
            #expect(server.received.contains("Host: [::1]:\(server.port)\r\n"))
        }
    }

    @Test("A name is tried at all its addresses: localhost may be ::1 first, where nobody listens")
    func allAddresses() async throws {
        try await ScriptedServer.with(.answer(ScriptedServer.okay), host: "127.0.0.1") { server in
            let outcome = try await withBench { bench in
                await bench.probe(order(.http, "http://localhost:\(server.port)/v3"))
            }
            #expect(outcome.meaning == .answered)
        }
    }

    @Test("A name that does not exist is told as such")
    func unresolvable() async throws {
        let outcome = try await withBench { bench in
            await bench.probe(order(.http, "http://no-such-host.invalid/v3", timeoutMilliseconds: 60_000))
        }
        #expect(outcome.meaning == .failed)
        #expect(outcome.finding.reason == .resolveFailed)
        #expect(outcome.explanation.contains("no-such-host.invalid"))
    }

    @Test(
        "An auth_url that is none fails without a connection", arguments: ["", "ftp://host", "http://", "x"])
    func unusable(text: String) async throws {
        let outcome = try await withBench { await $0.probe(order(.http, text)) }
        #expect(outcome == .unusableURL)
    }

    @Test(
        "Version 3 is asked for exactly as the driver does",
        arguments: [
            ("http://k:5000", "http://k:5000/v3"), ("http://k:5000/", "http://k:5000/v3"),
            ("http://k/identity", "http://k/identity/v3"), ("http://k/identity//", "http://k/identity/v3"),
            ("http://k/identity/v3", "http://k/identity/v3"), ("http://k/v3/", "http://k/v3/"),
        ])
    func versionPath(authURL: String, expected: String) {
        #expect(HTTPProbe.keystoneURL(authURL) == expected)
    }

    @Test("A cancelled probe ends at once and proves nothing")
    func cancelled() async throws {
        try await ScriptedServer.with(.silence) { server in
            try await withBench { bench in
                let outcome = await withTaskGroup(of: ProbeOutcome.self) { group in
                    group.addTask { await bench.probe(order(.http, "http://127.0.0.1:\(server.port)")) }
                    group.cancelAll()
                    return await group.next()
                }
                #expect(outcome?.meaning == .inconclusive)
            }
        }
    }
}
