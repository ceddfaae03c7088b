import Harness
import NIOCore
import NIOPosix
import PairProtocol
import Samples
import Synchronization
import Testing

@testable import PairWire

func identity(_ number: UInt64) -> LogIdentity { LogIdentity(bytes: [number, number]) }

func greeting(_ name: String, _ number: UInt64, pair: String = "p") -> PairGreeting {
    PairGreeting(
        pairName: pair, identity: identity(number), logFormat: 1, programVersion: "1.2", hostName: name,
        enclosure: [1, 2, 3])
}

func address(_ port: Int) -> PairAddress { PairAddress(host: "127.0.0.1", port: port) }

/// A link that notes everything it delivers.
final class Node: Sendable {
    let log = LogLines()
    private let inputs = Mutex<[PairInput]>([])
    private let box = Mutex<PairLink?>(nil)
    private let greetedAnew = Atomic<Int>(0)
    /// How often the peer said something else of itself.
    var greetedAnewCount: Int { greetedAnew.load(ordering: .relaxed) }

    init(
        _ greeting: PairGreeting, listen: Int, peer: Int, security: PairConfiguration.Security = .loopback,
        waitingByteMax: Int = WireLimits.waitingByteMax,
        enclosure: (@Sendable () -> [UInt8])? = nil,
        react: @escaping @Sendable (PairInput, Node) -> Void = { _, _ in },
        refusal: @escaping @Sendable (PairGreeting) -> String? = { _ in nil }
    ) throws {
        var configuration = PairConfiguration(
            listen: address(listen), peer: address(peer), security: security)
        configuration.waitingByteMax = waitingByteMax
        let link = try PairLink(
            configuration, greeting: greeting, enclosure: enclosure, refusal: refusal, logger: log.logger,
            didGreetAnew: { [weak self] in self?.greetedAnew.add(1, ordering: .relaxed) }
        ) { [weak self] input in
            guard let self else { return }
            inputs.withLock { $0.append(input) }
            react(input, self)
        }
        box.withLock { $0 = link }
    }

    func link() throws -> PairLink {
        guard let link = box.withLock({ $0 }) else { throw HarnessError("there is no link") }
        return link
    }

    var peer: PairGreeting? { box.withLock { $0 }?.peerGreeting }
    func send(_ message: PairMessage) { box.withLock { $0 }?.send(message) }

    var delivered: [PairInput] { inputs.withLock { $0 } }
    func count(_ input: PairInput) -> Int { inputs.withLock { $0.count { $0 == input } } }

    var received: [PairMessage] {
        delivered.compactMap { if case .received(let message) = $0 { message } else { nil } }
    }

    func waitFor(_ input: PairInput, count: Int = 1) async throws {
        do {
            try await eventually("\(count) times delivered", every: .milliseconds(5)) {
                self.count(input) >= count
            }
        } catch { throw HarnessError("\(error); logged: \(log.all)") }
    }

    func waitForLog(_ words: String) async throws {
        do {
            try await eventually("log: \(words)", every: .milliseconds(5)) { log.count(words) > 0 }
        } catch { throw HarnessError("\(error); logged: \(log.all)") }
    }

    /// Whether connections, messages and breaks came in the order that is promised.
    var isOrderly: Bool {
        var isConnected = false
        for input in delivered {
            switch input {
            case .connected where !isConnected: isConnected = true
            case .disconnected where isConnected: isConnected = false
            case .received where isConnected: break
            default: return false
            }
        }
        return true
    }
}

/// Runs links beside `body`.
func withRunning<Result: Sendable>(
    _ nodes: Node..., body: () async throws -> Result
) async throws -> Result {
    try await withThrowingTaskGroup(of: Void.self) { group in
        for node in nodes {
            let link = try node.link()
            group.addTask { try await link.run() }
        }
        let result = try await body()
        group.cancelAll()
        try await group.waitForAll()
        return result
    }
}

/// Two nodes that are connected.
func withPair(
    waitingByteMax: Int = WireLimits.waitingByteMax, security: PairConfiguration.Security = .loopback,
    react: @escaping @Sendable (PairInput, Node) -> Void = { _, _ in },
    body: (Node, Node) async throws -> Void
) async throws {
    let ports = try freePorts(count: 2)
    let first = try Node(
        greeting("a", 1), listen: ports[0], peer: ports[1], security: security,
        waitingByteMax: waitingByteMax)
    let second = try Node(
        greeting("b", 2), listen: ports[1], peer: ports[0], security: security,
        waitingByteMax: waitingByteMax, react: react)
    try await withRunning(first, second) {
        try await first.waitFor(.connected)
        try await second.waitFor(.connected)
        try await body(first, second)
    }
    #expect(first.isOrderly && second.isOrderly)
}

/// A connection that says what the test wants, byte by byte.
final class RawConnection: Sendable {
    let channel: any Channel
    private let received = Mutex<[UInt8]>([])

    fileprivate init(_ channel: any Channel) { self.channel = channel }

    /// Connects and says this at once: a slow test must not be taken for a peer that does not greet.
    static func dial(_ port: Int, saying bytes: [UInt8] = []) async throws -> RawConnection {
        try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(host: "127.0.0.1", port: port)
            .flatMapThrowing { channel in
                let connection = RawConnection(channel)
                try channel.pipeline.syncOperations.addHandler(Collector(connection))
                if !bytes.isEmpty { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }
                return connection
            }.get()
    }

    static func dial(_ port: Int, saying frame: Frame) async throws -> RawConnection {
        try await dial(port, saying: Array(frame.encoded().readableBytesView))
    }

    func say(_ bytes: [UInt8]) async throws {
        try await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()
    }
    func say(_ frame: Frame) async throws { try await channel.writeAndFlush(frame.encoded()).get() }
    func close() async throws { try await channel.close().get() }
    var isClosed: Bool { !channel.isActive }

    /// What was heard up to now.
    func frames() throws -> [Frame] {
        var bytes = ByteBuffer(bytes: received.withLock { $0 })
        var reader = FrameReader(byteMax: WireLimits.frameByteMax)
        var frames: [Frame] = []
        while let frame = try reader.next(from: &bytes) { frames.append(frame) }
        return frames
    }

    fileprivate final class Collector: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        private let connection: RawConnection
        init(_ connection: RawConnection) { self.connection = connection }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            connection.received.withLock { $0 += unwrapInboundIn(data).readableBytesView }
        }
    }
}

/// A listener that answers each first bytes with a frame, if it has one.
final class RawListener: Sendable {
    private let accepted = Mutex<[RawConnection]>([])
    var connections: [RawConnection] { accepted.withLock { $0 } }

    static func with(
        _ port: Int, answer: Frame?, body: (RawListener) async throws -> Void
    ) async throws {
        let listener = RawListener()
        let channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let connection = RawConnection(channel)
                    listener.accepted.withLock { $0.append(connection) }
                    try channel.pipeline.syncOperations.addHandler(RawConnection.Collector(connection))
                    if let answer { channel.writeAndFlush(answer.encoded(), promise: nil) }
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
        do { try await body(listener) } catch {
            try await listener.stop(channel)
            throw error
        }
        try await listener.stop(channel)
    }

    private func stop(_ channel: any Channel) async throws {
        try await channel.close().get()
        for connection in connections where !connection.isClosed { try? await connection.close() }
    }
}
