public import Logging
import NIOCore
import NIOPosix

/// Waits, where a node listens for its peer, for the peer to bring a copy of its log.
///
/// The peer dials there whether or not it has anything to bring, since it wants a link. What it says first
/// tells: if it can bring a copy it is asked to, by this node's greeting, and closes that connection; the one
/// on which it brings the copy it dials anew.
public struct CopyReceiver: Sendable {
    /// What came of it.
    public enum Outcome: Sendable {
        /// A whole copy came.
        case whole
        /// The peer is there, and brings none.
        case nothing
    }

    private let configuration: PairConfiguration
    private let greeting: PairGreeting
    private let tls: TLSContexts?
    private let logger: Logger

    /// A receiver that does not listen before ``run(canBring:take:)``.
    ///
    /// - Parameter greeting: tells the peer, in its enclosure, that a copy is wanted.
    /// - Throws: ``PairConfigurationError`` as a link's.
    public init(
        _ configuration: PairConfiguration, greeting: PairGreeting, logger: Logger
    ) throws(PairConfigurationError) {
        try configuration.check()
        try greeting.check()
        tls = try TLSContexts.made(for: configuration)
        self.configuration = configuration
        self.greeting = greeting
        self.logger = logger
    }

    /// Listens until a copy has come, or the peer has none, or the task is cancelled.
    ///
    /// - Parameters:
    ///   - canBring: whether a peer that greets so can bring a copy.
    ///   - take: gets what comes, on the receiver's thread; may block there, which the peer feels. If it
    ///     throws, the connection is closed, and the peer may bring another copy.
    /// - Throws: ``PairConfigurationError`` if the address cannot be listened on.
    public func run(
        canBring: @escaping @Sendable (PairGreeting) -> Bool,
        take: @escaping @Sendable (CopyPart) throws -> Void
    ) async throws -> Outcome {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            let outcome = try await run(on: group.next(), canBring, take)
            try await group.shutdownGracefully()
            return outcome
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
    }

    private func run(
        on loop: any EventLoop, _ canBring: @escaping @Sendable (PairGreeting) -> Bool,
        _ take: @escaping @Sendable (CopyPart) throws -> Void
    ) async throws -> Outcome {
        let promise = loop.makePromise(of: Outcome.self)
        let counter = try await loop.submit {
            NIOLoopBound(
                CopyCounter(
                    greeting: self.greeting, canBring: canBring, take: take, outcome: promise,
                    told: ToldOnce(logger: self.logger)), eventLoop: loop)
        }.get()
        let listener: any Channel
        do {
            listener = try await PairListener(address: configuration.listen, tls: tls?.accepted)
                .start(on: loop) { try counter.value.accept() }
        } catch {
            let failure = PairConfigurationError(
                "cannot listen on \(configuration.listen): \(reason(error))")
            promise.fail(failure)
            throw failure
        }
        let result = await withTaskCancellationHandler {
            do { return Result<Outcome, any Error>.success(try await promise.futureResult.get()) } catch {
                return .failure(error)
            }
        } onCancel: {
            promise.fail(CancellationError())
        }
        try? await listener.close().get()
        try await loop.submit { counter.value.stop() }.get()
        return try result.get()
    }
}

/// What all connections of a receiver share; belongs to its event loop.
private final class CopyCounter {
    let greeting: PairGreeting
    let canBring: @Sendable (PairGreeting) -> Bool
    let take: @Sendable (CopyPart) throws -> Void
    private let outcome: EventLoopPromise<CopyReceiver.Outcome>
    private var told: ToldOnce
    private var connections: [ObjectIdentifier: CopyConnection] = [:]
    /// The connection that brings a copy; the newest counts, since the peer gives up one for another.
    private var bringer: ObjectIdentifier?

    init(
        greeting: PairGreeting, canBring: @escaping @Sendable (PairGreeting) -> Bool,
        take: @escaping @Sendable (CopyPart) throws -> Void,
        outcome: EventLoopPromise<CopyReceiver.Outcome>, told: ToldOnce
    ) {
        (self.greeting, self.canBring, self.take) = (greeting, canBring, take)
        (self.outcome, self.told) = (outcome, told)
    }

    private struct TooManyConnections: Error {}

    func accept() throws -> CopyConnection {
        guard connections.count < WireLimits.ungreetedMax else { throw TooManyConnections() }
        let connection = CopyConnection(counter: self)
        connections[ObjectIdentifier(connection)] = connection
        return connection
    }

    /// Why this peer is not the right one; nil if it is.
    func refusal(of peer: PairGreeting) -> String? { greeting.refusal(of: peer) }

    func bringsNothing() { outcome.succeed(.nothing) }

    func received(_ part: CopyPart, on connection: CopyConnection) throws {
        let number = ObjectIdentifier(connection)
        if case .begin = part {
            let former = bringer.flatMap { connections[$0] }
            bringer = number
            former?.close()
        }
        guard bringer == number else { throw WireFault.unexpected(part.kind) }
        try take(part)
        guard case .end = part else { return }
        // What becomes of the connection now is of no interest.
        bringer = nil
        outcome.succeed(.whole)
    }

    func closed(_ connection: CopyConnection, reason: String?) {
        connections.removeValue(forKey: ObjectIdentifier(connection))
        if bringer == ObjectIdentifier(connection) {
            bringer = nil
            told.warn("the copy did not come to its end: \(reason ?? "the peer closed the connection")")
        } else if let reason {
            told.warn("a connection to the pair's port was closed: \(reason)")
        }
    }

    func stop() {
        bringer = nil
        for connection in connections.values { connection.close() }
    }
}

/// A connection that the peer dialled to a receiver.
private final class CopyConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let counter: CopyCounter
    private var context: ChannelHandlerContext?
    private var reader = FrameReader(byteMax: WireLimits.greetingByteMax)
    private var patience: Scheduled<Void>?
    private var hasGreeted = false
    private var isClosing = false
    private var reason: String?

    init(counter: CopyCounter) { self.counter = counter }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        patience = context.eventLoop.assumeIsolated().scheduleTask(in: WireLimits.greetingPatience) {
            self.fail("it did not greet")
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        do {
            while !isClosing, let frame = try reader.next(from: &bytes) { try take(frame) }
        } catch { fail(PairWire.reason(error)) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { fail(PairWire.reason(error)) }

    func channelInactive(context: ChannelHandlerContext) {
        isClosing = true
        patience?.cancel()
        self.context = nil
        counter.closed(self, reason: reason)
    }

    func close() {
        isClosing = true
        context?.close(promise: nil)
    }

    private func take(_ frame: Frame) throws {
        switch frame {
        case .greeting(let peer) where !hasGreeted: greet(peer)
        // It was asked for a copy, and brings it on another connection.
        case .refusal: close()
        case .copy(let part) where hasGreeted: try counter.received(part, on: self)
        default: throw WireFault.unexpected(frame.kind)
        }
    }

    private func greet(_ peer: PairGreeting) {
        hasGreeted = true
        patience?.cancel()
        if let refusal = counter.refusal(of: peer) {
            send(.refusal(refusal))
            return fail("refused: \(refusal)")
        }
        guard counter.canBring(peer) else {
            counter.bringsNothing()
            return close()
        }
        reader.byteMax = WireLimits.copyByteMax + Frame.prefixByteCount
        send(.greeting(counter.greeting))
    }

    private func send(_ frame: Frame) {
        context?.writeAndFlush(wrapOutboundOut(frame.encoded()), promise: nil)
    }

    private func fail(_ reason: String) {
        self.reason = self.reason ?? reason
        close()
    }
}
