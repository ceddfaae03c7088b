import Glibc
import Logging
import NIOCore
import NIOPosix
import Registry
import Testing

@testable import Monitoring

@Suite("The TCP probe")
struct TCPProbeTests {
    @Test(
        "An open port is an answer, whatever is spoken there", arguments: ["127.0.0.1", "[::1]", "localhost"])
    func open(host: String) async throws {
        try await ScriptedServer.with(.silence, host: host == "[::1]" ? "::1" : "127.0.0.1") { server in
            let outcome = try await withBench { bench in
                await bench.probe(order(.tcp, "https://\(host):\(server.port)/v3"))
            }
            #expect(outcome.meaning == .answered)
            #expect(outcome.phases.list.map(\.phase) == [.resolve, .connect])
        }
    }

    @Test("A connection that is reset before this machine looks is an answer all the same")
    func reset() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let bench = ProbeBench(group: group, credentials: StubCredentials(nil), logger: .init(label: "test"))
        await bench.start()
        try await ScriptedServer.with(.reset) { server in
            holdUp(group.next(), turns: 100)
            let outcome = await bench.probe(order(.tcp, "http://127.0.0.1:\(server.port)"))
            #expect(outcome.meaning == .answered, "\(outcome)")
        }
        await bench.stop()
        try await group.shutdownGracefully()
    }

    /// Keeps a loop busy with half a second of tasks: what is begun among them is looked at after them.
    private func holdUp(_ loop: any EventLoop, turns: Int) {
        loop.execute {
            usleep(5_000)
            if turns > 1 { holdUp(loop, turns: turns - 1) }
        }
    }

    @Test("A closed port is refused", arguments: ["127.0.0.1", "::1"])
    func refused(host: String) async throws {
        let port = try await unusedPort(host: host)
        let authority = host == "::1" ? "[::1]:\(port)" : "\(host):\(port)"
        let outcome = try await withBench { await $0.probe(order(.tcp, "http://\(authority)")) }
        #expect(outcome.finding.reason == .connectionRefused)
    }

    @Test("A look-up before the bench was started is the machine's own trouble")
    func notStarted() async throws {
        let bench = ProbeBench(
            group: .singletonMultiThreadedEventLoopGroup, credentials: StubCredentials(nil),
            logger: .init(label: "test"))
        let outcome = await bench.probe(order(.tcp, "http://localhost:1"))
        await bench.stop()
        #expect(outcome.meaning == .inconclusive)
        #expect(outcome.finding.reason == .proberFailed)
    }

    @Test(
        "The endpoint of an auth_url is read as it stands",
        arguments: [
            ("http://h", "h", 80, "/"), ("https://h", "h", 443, "/"),
            ("HTTPS://H:6443/x/y", "H", 6_443, "/x/y"),
            ("http://[fe80::1]:5000/v3", "fe80::1", 5_000, "/v3"), ("http://[::1]", "::1", 80, "/"),
            ("http://u:p@h:1/z?q#f", "h", 1, "/z"), ("http://h:/", "h", 80, "/"),
        ])
    func target(text: String, host: String, port: Int, path: String) throws {
        let target = try #require(ProbeTarget(text))
        #expect(target.host == host)
        #expect(target.port == UInt16(port))
        #expect(target.path == path)
    }

    @Test(
        "What is no endpoint is not taken for one",
        arguments: [
            "", "h", "h:80", "ftp://h", "http://", "http://:80", "http://h:0", "http://h:65536", "http://h:x",
            "http://h h/", "http://h/\r\nX: y", "http://[::1", "http://[h]", "http://::1/", "http://h/ä",
        ])
    func noTarget(text: String) { #expect(ProbeTarget(text) == nil) }
}
