import NIOCore
import NIOPosix
import Synchronization

/// Brings a copy to the peer, over a connection of its own.
///
/// The connection has an event loop of its own, whose thread has the niceness of the thread that made it: so
/// neither what the nodes tell each other nor a caller waits for a copy.
public final class CopyCourier: Sendable {
    private let group: MultiThreadedEventLoopGroup
    private let channel: any Channel
    private let peer: EventLoopFuture<PairGreeting>
    /// What is on its way, the oldest first.
    private let underWay = Mutex<CircularBuffer<EventLoopFuture<Void>>>([])

    /// Connects, greets and waits for the peer's greeting; blocks.
    ///
    /// - Throws: ``CopyFault``.
    public init(to configuration: PairConfiguration, greeting: PairGreeting) throws {
        let contexts = try TLSContexts.made(for: configuration)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let promise = loop.makePromise(of: PairGreeting.self)
        do {
            let dialer = PairDialer(address: configuration.peer, tls: contexts?.dialled)
            channel = try dialer.dial(on: loop, silenceSeconds: WireLimits.copySilenceSeconds) {
                CopyGreeter(greeting, promise)
            }.wait()
        } catch {
            promise.fail(error)
            try? group.syncShutdownGracefully()
            throw CopyFault(reason(error))
        }
        self.group = group
        peer = promise.futureResult
        do {
            _ = try peer.wait()
        } catch {
            close()
            throw CopyFault(reason(error))
        }
    }

    /// What the peer greeted with.
    public func peerGreeting() throws -> PairGreeting { try peer.wait() }

    /// Sends a part; waits while too many are on their way.
    ///
    /// - Throws: ``CopyFault`` if the connection broke.
    public func send(_ part: CopyPart) throws {
        let sent = channel.writeAndFlush(Frame.copy(part).encoded(with: channel.allocator))
        let oldest = underWay.withLock { underWay in
            underWay.append(sent)
            return underWay.count > WireLimits.copyFramesMax ? underWay.popFirst() : nil
        }
        do { try oldest?.wait() } catch { throw CopyFault(reason(error)) }
    }

    /// Waits until all that was sent has left this node.
    public func flush() throws {
        while let next = underWay.withLock({ $0.popFirst() }) {
            do { try next.wait() } catch { throw CopyFault(reason(error)) }
        }
    }

    /// Breaks the connection, so that whoever sends hears of it; from any thread.
    public func abandon() { channel.close(promise: nil) }

    /// Closes the connection behind what was sent and ends its thread; to be called once, and blocks.
    public func close() {
        // One that is closed already is what is wanted.
        try? channel.close().wait()
        try? group.syncShutdownGracefully()
    }
}

/// Why a copy does not get to the peer, in a phrase.
public struct CopyFault: Error, Hashable, CustomStringConvertible {
    /// A phrase.
    public let description: String

    init(_ description: String) { self.description = description }
}

/// Greets on a courier's connection, and waits for the answer.
private final class CopyGreeter: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let greeting: PairGreeting
    private let promise: EventLoopPromise<PairGreeting>
    private var reader = FrameReader(byteMax: WireLimits.greetingByteMax)
    private var patience: Scheduled<Void>?

    init(_ greeting: PairGreeting, _ promise: EventLoopPromise<PairGreeting>) {
        (self.greeting, self.promise) = (greeting, promise)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { greet(context) }
    }

    func channelActive(context: ChannelHandlerContext) { greet(context) }

    private func greet(_ context: ChannelHandlerContext) {
        guard patience == nil else { return }
        patience = context.eventLoop.assumeIsolated().scheduleTask(in: WireLimits.greetingPatience) {
            self.promise.fail(CopyFault("it did not greet"))
            context.close(promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(Frame.greeting(greeting).encoded()), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        do {
            while let frame = try reader.next(from: &bytes) {
                switch frame {
                case .greeting(let peer):
                    patience?.cancel()
                    if let refusal = greeting.refusal(of: peer) { throw CopyFault("refused: \(refusal)") }
                    promise.succeed(peer)
                case .refusal(let sentence): throw CopyFault("it refuses: \(sentence)")
                default: throw WireFault.unexpected(frame.kind)
                }
            }
        } catch {
            promise.fail(error)
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        promise.fail(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        patience?.cancel()
        promise.fail(CopyFault("it closed the connection"))
    }
}
