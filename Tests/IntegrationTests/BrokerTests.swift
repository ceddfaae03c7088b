// Starts a real RabbitMQ: shows that the fixture is what other tests take it for.
import Foundation
import Harness
import Testing

@Suite("The RabbitMQ of the tests")
struct BrokerTests {
    @Test("No port is given out twice")
    func ports() throws {
        let ports = try (0..<100).flatMap { _ in try freePorts(count: 3) }
        #expect(Set(ports).count == 300)
    }

    @Test("It runs on a port of its own, dies, comes back with what was durable, and leaves nothing behind")
    func life() async throws {
        try await withTemporaryDirectory { directory in
            let (port, id) = try await withBroker(directory: directory) { broker in
                #expect(try await broker.control("list_users").contains { $0.hasPrefix("guest") })
                _ = try await broker.control("add_user", "monitor", "secret")
                let first = try #require(broker.processID)
                try await broker.kill9()
                #expect(!isListening(broker.port))
                try await broker.start()
                #expect(broker.processID != first)
                #expect(try await broker.control("list_users").contains { $0.hasPrefix("monitor") })
                return (broker.port, try #require(broker.processID))
            }
            #expect(!isListening(port))
            #expect(!isRunning(id))
        }
    }

    private func isRunning(_ id: Int32) -> Bool { kill(id, 0) == 0 }
}
