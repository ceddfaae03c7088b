public import Logging
import NIOCore
import NIOPosix
public import PairProtocol

/// How a node of the pair speaks with the other one.
///
/// A link is two connections, one dialled by each node, which stand and fall together. While it stands,
/// messages arrive in the order in which they were sent; when it breaks, what was on its way is lost, and the
/// link is made anew until ``run()`` ends.
public final class PairLink: Sendable {
    private let configuration: PairConfiguration
    private let greeting: PairGreeting
    private let enclosure: @Sendable () -> [UInt8]
    private let refusal: @Sendable (PairGreeting) -> String?
    private let tls: TLSContexts?
    private let logger: Logger
    private let deliver: @Sendable (PairInput) -> Void
    private let didGreetAnew: @Sendable () -> Void
    private let outbox: Outbox

    /// A link that is not made before ``run()``.
    ///
    /// - Parameters:
    ///   - greeting: what this node tells the peer of itself.
    ///   - enclosure: takes the place of the greeting's, asked anew for each connection on the link's thread;
    ///     at most ``WireLimits/enclosureByteMax`` bytes. Nil keeps the greeting's.
    ///   - refusal: why this node does not want that peer for now, in a sentence that is true on both sides;
    ///     nil if it does. Asked on the link's thread for each greeting that nothing else speaks against.
    ///   - deliver: is told `connected`, then each message as `received`, then `disconnected`, one after the
    ///     other and never two at once, on a thread of the link's own. While it works nothing is read and
    ///     nothing sent, so it must be quick.
    ///   - didGreetAnew: called as `deliver` is, between the messages, when what the peer says of itself has
    ///     changed.
    /// - Throws: ``PairConfigurationError`` if clear text would leave the machine, if a file of TLS cannot be
    ///   used, or if the greeting has texts that are empty, too long or not printable.
    public init(
        _ configuration: PairConfiguration, greeting: PairGreeting,
        enclosure: (@Sendable () -> [UInt8])? = nil,
        refusal: @escaping @Sendable (PairGreeting) -> String? = { _ in nil }, logger: Logger,
        didGreetAnew: @escaping @Sendable () -> Void = {},
        deliver: @escaping @Sendable (PairInput) -> Void
    ) throws(PairConfigurationError) {
        try configuration.check()
        try greeting.check()
        tls = try TLSContexts.made(for: configuration)
        self.configuration = configuration
        self.greeting = greeting
        self.enclosure = enclosure ?? { greeting.enclosure }
        self.refusal = refusal
        self.logger = logger
        self.deliver = deliver
        self.didGreetAnew = didGreetAnew
        outbox = Outbox(byteMax: configuration.waitingByteMax)
    }

    /// What the peer greeted with; nil while the link does not stand.
    public var peerGreeting: PairGreeting? { outbox.peer }

    /// Why there is no link, as it was seen last; nil while it stands, and before anything failed.
    public var trouble: String? { outbox.trouble }

    /// Sends a message behind those sent before; returns at once, and never calls `deliver`.
    ///
    /// Dropped while the link does not stand. If more than ``PairConfiguration/waitingByteMax`` bytes wait,
    /// the link is dropped. From any thread, and from within `deliver`.
    public func send(_ message: PairMessage) {
        let byteCount = message.byteCount
        guard byteCount <= WireLimits.frameByteMax else {
            return logger.error("a message of \(byteCount) bytes is more than the pair's wire can carry")
        }
        outbox.add(message)
    }

    /// Tells the peer what is enclosed now, before whatever is sent from now on; returns at once.
    ///
    /// From any thread. A peer of before the wire's fourth version hears it by a link that is made anew.
    public func greetAnew() { outbox.greetAnew() }

    /// Drops the link; it is made anew.
    ///
    /// Returns at once: `disconnected` follows, here and at the peer. What is sent from now on goes over a
    /// link that began with the enclosure as it is now, or a later one.
    public func disconnect() { outbox.drop(because: "this node wants to begin anew") }

    /// Listens and dials until the task is cancelled; to be called once.
    ///
    /// The last that is delivered is `disconnected`, if the link stood.
    ///
    /// - Throws: ``PairConfigurationError`` if the address cannot be listened on.
    public func run() async throws {
        // A thread of its own: what others have on theirs must not delay the pair.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            try await run(on: group.next())
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
        try await group.shutdownGracefully()
    }

    private func run(on loop: any EventLoop) async throws {
        let engine = try await loop.submit {
            NIOLoopBound(self.makeEngine(on: loop), eventLoop: loop)
        }.get()
        let listener: any Channel
        do {
            listener = try await PairListener(address: configuration.listen, tls: tls?.accepted)
                .start(on: loop) { try engine.value.accept() }
        } catch {
            throw PairConfigurationError("cannot listen on \(configuration.listen): \(reason(error))")
        }
        outbox.connect { loop.execute { engine.value.pump() } }
        loop.execute { engine.value.start() }
        try await withTaskCancellationHandler {
            try await listener.closeFuture.get()
        } onCancel: {
            listener.close(promise: nil)
        }
        outbox.connect(wake: nil)
        try await loop.submit { engine.value.stop() }.get()
        guard Task.isCancelled else {
            throw PairConfigurationError("\(configuration.listen) is no longer listened on")
        }
    }

    private func makeEngine(on loop: any EventLoop) -> LinkEngine {
        LinkEngine(
            greeting: greeting, enclosure: enclosure, refusal: refusal,
            dialer: PairDialer(address: configuration.peer, tls: tls?.dialled), outbox: outbox, loop: loop,
            logger: logger, deliver: deliver, didGreetAnew: didGreetAnew)
    }
}
