// Starts nothing.
import NIOCore
import Samples
import Testing

@testable import PairWire

@Suite("What a link has to know")
struct ConfigurationTests {
    private func link(
        _ listen: String, _ peer: String, _ security: PairConfiguration.Security = .loopback,
        greeting hello: PairGreeting = greeting("a", 1)
    ) throws -> PairLink {
        let addresses = try [listen, peer].map { try #require(PairAddress($0)) }
        return try PairLink(
            .init(listen: addresses[0], peer: addresses[1], security: security), greeting: hello,
            logger: LogLines().logger
        ) { _ in }
    }

    @Test("Clear text stays on the machine unless it is allowed to leave")
    func loopback() throws {
        for other in ["192.0.2.1:1", "node-b:1", "127.0.0.1.example:1", "127.1:1", "0.0.0.0:1", "[::]:1"] {
            for (listen, peer) in [("127.0.0.1:2", other), (other, "127.0.0.1:2")] {
                let error = #expect(throws: PairConfigurationError.self) { try link(listen, peer) }
                #expect(error?.description.contains("loopback") == true)
                #expect(throws: Never.self) { try link(listen, peer, .insecure) }
            }
        }
        for own in ["127.0.0.1:1", "127.9.9.9:1", "localhost:1", "[::1]:1"] {
            #expect(throws: Never.self) { try link(own, "localhost:2") }
        }
    }

    @Test("Addresses are host and port, and written as they are read")
    func addresses() {
        for text in ["a:1", "[::1]:7000", "127.0.0.1:65535"] {
            #expect(PairAddress(text)?.description == text)
        }
        for text in ["", "a", "a:", ":1", "a:65536", "a:-1", "::1", "::1:80", "[]:1"] {
            #expect(PairAddress(text) == nil, "\(text)")
        }
    }

    @Test("A greeting that could not be put on the wire is refused before")
    func greetings() {
        let texts = ["", String(repeating: "é", count: 128), "a\nb"]
        for text in texts {
            #expect(throws: PairConfigurationError.self) {
                try link("localhost:1", "localhost:2", greeting: greeting("a", 1, pair: text))
            }
            #expect(throws: PairConfigurationError.self) {
                try link("localhost:1", "localhost:2", greeting: greeting(text, 1))
            }
        }
        var hello = greeting("a", 1)
        hello.enclosure = [UInt8](repeating: 0, count: WireLimits.enclosureByteMax)
        #expect(throws: Never.self) { try link("localhost:1", "localhost:2", greeting: hello) }
        #expect(Frame.greeting(hello).encoded().readableBytes < WireLimits.greetingByteMax)
        hello.enclosure.append(0)
        #expect(throws: PairConfigurationError.self) {
            try link("localhost:1", "localhost:2", greeting: hello)
        }
    }
}
