import NIOCore
import PairProtocol

/// One of a link's connections: greets, then turns bytes into frames and back.
///
/// Belongs to the link's event loop.
final class PairConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Direction: Sendable {
        case dialled
        case accepted
    }

    let number: Int
    let direction: Direction
    /// What the peer greeted with.
    private(set) var peer: PairGreeting?
    /// What this node enclosed when it greeted.
    private(set) var said: [UInt8] = []
    /// The version of the wire that both speak; 0 before the greeting.
    private var version: UInt16 = 0
    private let engine: LinkEngine
    private var context: ChannelHandlerContext?
    private var reader = FrameReader(byteMax: WireLimits.greetingByteMax)
    private var patience: Scheduled<Void>?
    private var isClosing = false
    /// Why it was closed, if there is more to say than that it was.
    private var reason: String?
    /// What the peer says before the link stands waits here; nil once it is heard.
    private var held: ByteBuffer? = ByteBuffer()

    init(number: Int, direction: Direction, engine: LinkEngine) {
        self.number = number
        self.direction = direction
        self.engine = engine
    }

    /// Whom it leads to.
    var remoteHost: String { context?.remoteAddress?.ipAddress ?? "an unknown address" }

    var isWritable: Bool { !isClosing && context?.channel.isWritable == true }

    func write(_ frame: Frame) {
        guard let context, !isClosing, let frame = spoken(frame) else { return }
        context.write(wrapOutboundOut(frame.encoded(with: context.channel.allocator)), promise: nil)
    }

    /// The frame as the peer knows it; nil if it knows none such.
    private func spoken(_ frame: Frame) -> Frame? {
        guard case .message(let message) = frame else { return frame }
        return message.spoken(in: version).map(Frame.message)
    }

    func flush() { context?.flush() }

    func close() {
        isClosing = true
        context?.close(promise: nil)
    }

    /// The link stands: the peer is heard.
    func resume() {
        guard var bytes = held else { return }
        held = nil
        read(&bytes)
        setReading(true)
    }

    // MARK: Events of the channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { start() }
    }

    func channelActive(context: ChannelHandlerContext) { start() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if peer != nil, direction == .accepted, held != nil {
            held?.writeBuffer(&bytes)
        } else {
            read(&bytes)
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if isWritable { engine.pump() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(PairWire.reason(error))
    }

    func channelInactive(context: ChannelHandlerContext) {
        isClosing = true
        patience?.cancel()
        self.context = nil
        engine.closed(self, reason: reason)
    }

    // MARK: What they mean

    private func start() {
        guard patience == nil, let context else { return }
        patience = context.eventLoop.assumeIsolated().scheduleTask(in: WireLimits.greetingPatience) {
            self.fail("it did not greet within \(WireLimits.greetingPatience.nanoseconds / 1_000_000_000) s")
        }
        if direction == .dialled { sayGreeting() }
    }

    private func read(_ bytes: inout ByteBuffer) {
        do {
            while !isClosing, let frame = try reader.next(from: &bytes) {
                try take(frame)
                if peer != nil, direction == .accepted, held != nil {
                    held?.writeBuffer(&bytes)
                    return
                }
            }
        } catch { fail(PairWire.reason(error)) }
    }

    private func take(_ frame: Frame) throws(WireFault) {
        switch frame {
        case .greeting(let greeting) where peer == nil: greet(greeting)
        case .refusal(let sentence): fail("it refuses: \(sentence)")
        case .message(let message) where peer != nil && direction == .accepted:
            engine.received(message, on: self)
        case .greeting(let greeting)
        where peer?.identity == greeting.identity && direction == .accepted
            && version >= PairGreeting.greetingAnewVersion:
            peer = greeting
            engine.greetedAnew(on: self)
        default: throw .unexpected(frame.kind)
        }
    }

    private func greet(_ greeting: PairGreeting) {
        if let refusal = engine.refusal(of: greeting, direction) {
            write(.refusal(refusal))
            flush()
            return fail("refused: \(refusal)")
        }
        peer = greeting
        version = engine.greeting.commonVersion(with: greeting) ?? 0
        patience?.cancel()
        reader.byteMax = WireLimits.frameByteMax
        if direction == .accepted {
            sayGreeting()
            setReading(false)
        }
        engine.stands(self)
    }

    private func sayGreeting() {
        writeGreeting()
        flush()
    }

    /// Writes what this node says of itself now.
    func writeGreeting() {
        let greeting = engine.greeting
        said = greeting.enclosure
        write(.greeting(greeting))
    }

    private func fail(_ reason: String) {
        self.reason = self.reason ?? reason
        close()
    }

    private func setReading(_ isReading: Bool) {
        // A channel that is closed in the meantime needs neither.
        try? context?.channel.syncOptions?.setOption(.autoRead, value: isReading)
    }
}
