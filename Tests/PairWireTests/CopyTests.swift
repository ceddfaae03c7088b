// Starts nothing but threads of this process: couriers, receivers and links speak over loopback.
import Harness
import Logging
import NIOCore
import NIOPosix
import PairProtocol
import Samples
import Synchronization
import Testing

@testable import PairWire

/// A receiver that notes what it is brought.
private final class Receiving: Sendable {
    let lines = LogLines()
    private let parts = Mutex<[CopyPart]>([])
    private let receiver: CopyReceiver
    /// What it throws at the first bytes that come.
    private let fault: Mutex<WireFault?>

    init(listen: Int, peer: Int, fault: WireFault? = nil) throws {
        receiver = try CopyReceiver(
            PairConfiguration(listen: address(listen), peer: address(peer), security: .loopback),
            greeting: greeting("empty", 9), logger: lines.logger)
        self.fault = Mutex(fault)
    }

    var received: [CopyPart] { parts.withLock { $0 } }

    func run(canBring: Bool = true) async throws -> CopyReceiver.Outcome {
        try await receiver.run(canBring: { _ in canBring }) { [self] part in
            if case .bytes = part, let fault = fault.withLock({ $0.take() }) { throw fault }
            parts.withLock { $0.append(part) }
        }
    }
}

/// Does what blocks on a thread of its own.
private func blocking<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await NIOThreadPool.singleton.runIfActive { try body() }
}

private func bring(_ parts: [CopyPart], to port: Int, as name: String = "full", pair: String = "p")
    async throws
{
    let configuration = PairConfiguration(listen: address(1), peer: address(port), security: .loopback)
    try await blocking {
        let courier = try CopyCourier(to: configuration, greeting: greeting(name, 1, pair: pair))
        defer { courier.close() }
        #expect(try courier.peerGreeting().hostName == "empty")
        for part in parts { try courier.send(part) }
        try courier.flush()
    }
}

/// Connects as soon as the receiver listens.
private func bringSoon(_ parts: [CopyPart], to port: Int) async throws {
    try await eventually("somebody listens", every: .milliseconds(10)) {
        do { try await bring(parts, to: port) } catch let fault as CopyFault
            where fault.description.contains("Connection refused")
        { return false }
        return true
    }
}

@Suite("Bringing a copy")
struct CopyTests {
    private func parts(_ count: Int) -> [CopyPart] {
        var random = SeededGenerator(seed: runSeed)
        return [.begin(byteCount: 7), .file(name: "a/b")]
            + (0..<count).map { _ in .bytes(random.bytes(WireLimits.copyByteMax)) }
            + [.fileEnd(sha256: String(repeating: "0", count: 64)), .end]
    }

    @Test("What a courier brings comes whole and in order, also more than may be on its way at once")
    func brings() async throws {
        let ports = try freePorts(count: 2)
        let receiving = try Receiving(listen: ports[0], peer: ports[1])
        let parts = parts(3 * WireLimits.copyFramesMax)
        async let outcome = receiving.run()
        try await bringSoon(parts, to: ports[0])
        guard case .whole = try await outcome else { return #expect(Bool(false)) }
        #expect(receiving.received == parts)
    }

    @Test("A link that finds a receiver is told that a copy is wanted, and hears nothing else")
    func asks() async throws {
        let ports = try freePorts(count: 2)
        let receiving = try Receiving(listen: ports[0], peer: ports[1])
        let asked = Mutex<[String]>([])
        let node = try Node(
            greeting("full", 1), listen: ports[1], peer: ports[0],
            refusal: { peer in
                asked.withLock { $0.append(peer.hostName) }
                return "a copy comes first"
            })
        let parts = parts(1)
        try await withRunning(node) {
            async let outcome = receiving.run()
            try await eventually("the link asked", every: .milliseconds(10)) {
                asked.withLock { $0.contains("empty") }
            }
            try await bring(parts, to: ports[0])
            guard case .whole = try await outcome else { return #expect(Bool(false)) }
        }
        #expect(receiving.received == parts)
        #expect(node.delivered.isEmpty)
    }

    @Test("A peer that brings nothing ends the waiting")
    func nothing() async throws {
        let ports = try freePorts(count: 2)
        let receiving = try Receiving(listen: ports[0], peer: ports[1])
        let node = try Node(greeting("short", 1), listen: ports[1], peer: ports[0])
        try await withRunning(node) {
            guard case .nothing = try await receiving.run(canBring: false) else {
                return #expect(Bool(false))
            }
        }
        #expect(receiving.received.isEmpty)
    }

    @Test("A copy that is cut off, or refused in the middle, is followed by another from its beginning")
    func again() async throws {
        let ports = try freePorts(count: 2)
        let receiving = try Receiving(listen: ports[0], peer: ports[1], fault: .unknownKind(99))
        async let outcome = receiving.run()
        // The first bytes are refused, and the connection is closed.
        try? await bringSoon(parts(1), to: ports[0])
        try await bring([.begin(byteCount: 1), .file(name: "cut off")], to: ports[0])
        let parts = parts(1)
        try await bring(parts, to: ports[0])
        guard case .whole = try await outcome else { return #expect(Bool(false)) }
        #expect(Array(receiving.received.suffix(parts.count)) == parts)
        #expect(receiving.lines.count("a frame of the unknown kind 99") == 1)
    }

    @Test("Who belongs to another pair brings nothing")
    func foreign() async throws {
        let ports = try freePorts(count: 2)
        let receiving = try Receiving(listen: ports[0], peer: ports[1])
        async let outcome = receiving.run()
        try await eventually("it is refused", every: .milliseconds(10)) {
            do {
                try await bring(parts(1), to: ports[0], pair: "another")
                return false
            } catch let fault as CopyFault { return fault.description.contains("belongs to the pair") }
        }
        #expect(receiving.received.isEmpty)
        try await bring(parts(1), to: ports[0])
        _ = try await outcome
    }
}
