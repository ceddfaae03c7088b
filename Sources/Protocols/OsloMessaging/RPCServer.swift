package import AMQP
import Encodings
package import Logging
import Synchronization

/// Serves an interface on a topic: an oslo.messaging RPC server.
///
/// A broker that is away is tried again for ever; calls that are being answered then are answered later.
package final class RPCServer: Sendable {
    /// How a server is set up.
    package struct Options: Sendable {
        /// What is listened to, and how it is declared.
        package var topology: Topology
        /// How many calls may be under way at once.
        ///
        /// More than the callers of one moment make the conductor's batches no larger, fewer make them wait.
        package var prefetch: UInt16 = 512

        /// Options for a topology.
        package init(topology: Topology) { self.topology = topology }
    }

    /// What the connection's thread is handed.
    fileprivate struct Answers: Sendable {
        var answers: [(index: Int, outcome: RPCOutcome)]
        /// By index.
        var ids: [ServerCore.CallID]
    }

    private let url: BrokerURL
    private let options: Options
    private let interface: RPCInterface
    private let logger: Logger
    private let counts = Mutex(ServerCore.Statistics())
    private let isHearing = Atomic<Bool>(false)

    /// A server that begins with ``run()``.
    package init(_ url: BrokerURL, options: Options, interface: RPCInterface, logger: Logger) {
        self.url = url
        self.options = options
        self.interface = interface
        self.logger = logger
    }

    /// What has been counted since the start.
    package var statistics: ServerCore.Statistics { counts.withLock { $0 } }

    /// Whether calls can come in now: false while the broker cannot be reached, or takes no messages.
    package var canHear: Bool { isHearing.load(ordering: .relaxed) }

    /// Serves until the task is cancelled; then lets the calls under way be answered.
    package func run() async {
        let mailbox = Mailbox<Answers>(itemMax: .max)  // bounded by the prefetch count
        let (url, options, interface, logger) = (url, options, interface, logger)
        let session = Session<ServerHandler>(
            url, name: "vedette-rpc", mailbox: mailbox,
            makeHandler: { [self] in
                ServerHandler(
                    options: options, interface: interface, mailbox: mailbox, logger: logger,
                    publish: { [self] statistics in counts.withLock { $0 = statistics } })
            },
            news: { [self] news in
                switch news {
                case .connected, .blocked(false): isHearing.store(true, ordering: .relaxed)
                case .lost, .unreachable, .blocked(true): isHearing.store(false, ordering: .relaxed)
                }
                SessionLog(logger: logger).tell(news, url: url)
            })
        // Ends only by cancellation.
        while !Task.isCancelled { try? await Task.sleep(for: .seconds(3_600)) }
        await session.stop()
    }
}

/// The connection thread's side of a server: hands on what the core decides.
private struct ServerHandler: SessionHandler {
    private let options: RPCServer.Options
    private let interface: RPCInterface
    private let mailbox: Mailbox<RPCServer.Answers>
    private let logger: Logger
    private let publish: (ServerCore.Statistics) -> Void
    private let fanoutID = RandomText.hexadecimal()
    private var core: ServerCore
    private var consumers: [String] = []
    private var isBlocked = false
    private var isFinishing = false
    private var throttle = LogThrottle()

    init(
        options: RPCServer.Options, interface: RPCInterface, mailbox: Mailbox<RPCServer.Answers>,
        logger: Logger,
        publish: @escaping (ServerCore.Statistics) -> Void
    ) {
        self.options = options
        self.interface = interface
        self.mailbox = mailbox
        self.logger = logger
        self.publish = publish
        core = ServerCore(
            version: interface.version, methods: Array(interface.methods.keys),
            replyPrefix: RandomText.hexadecimal())
    }

    var isIdle: Bool { core.isIdle }

    mutating func connected(_ connection: Connection) throws(AMQPError) {
        try connection.openChannel()
        core.connected(connection.number)
        isBlocked = false
        let logger = logger
        consumers = try options.topology.declare(
            on: connection, prefetch: options.prefetch, fanoutID: fanoutID
        ) {
            logger.notice(
                "declared already with other properties; used as it is", metadata: ["broker": "\($0)"])
        }
    }

    mutating func disconnected() { core.disconnected() }

    mutating func received(_ events: [Connection.Event]) {
        let now = ContinuousClock.now
        // By method; nearly always one.
        var groups: [[ServerCore.Call]] = []
        for event in events {
            switch event {
            case .blocked(let isBlocked): self.isBlocked = isBlocked
            case .returned(let message): core.returned(message, now: now)
            case .delivery(let delivery):
                // Not acknowledged, so that it goes to another server.
                if isFinishing { continue }
                guard let call = core.received(delivery, now: now) else {
                    complain()
                    continue
                }
                if let index = groups.firstIndex(where: { $0[0].method == call.method }) {
                    groups[index].append(call)
                } else {
                    groups.append([call])
                }
            }
        }
        for calls in groups { make(calls) }
    }

    private func make(_ calls: [ServerCore.Call]) {
        guard let method = interface.methods[calls[0].method] else { return }
        let (ids, mailbox) = (calls.map(\.id), mailbox)
        method.call(calls.map(\.arguments), mayBlock: !core.owesSignsOfLife) {
            mailbox.put(.init(answers: $0, ids: ids))
        }
    }

    mutating func take(_ items: [RPCServer.Answers]) {
        let now = ContinuousClock.now
        for item in items {
            for answer in item.answers { core.answered(item.ids[answer.index], answer.outcome, now: now) }
        }
    }

    mutating func send(on connection: Connection) throws(AMQPError) {
        // A broker that is short of memory would not take them, and this thread would wait for it.
        if isBlocked { return }
        let (replies, acknowledgements) = core.takeOutput()
        if replies.isEmpty, acknowledgements.isEmpty { return }
        do throws(AMQPError) {
            try connection.together { () throws(AMQPError) in
                for reply in replies { try connection.publish(reply) }
                for frame in acknowledgements {
                    try connection.acknowledge(frame.number, isMultiple: frame.isMultiple)
                }
            }
        } catch {
            // Some of them may arrive twice then, which clients ignore.
            core.takeBack(replies)
            throw error
        }
        publish(core.statistics)
    }

    mutating func tick(_ now: ContinuousClock.Instant) -> ContinuousClock.Instant? { core.tick(now) }

    mutating func finish(on connection: Connection) throws(AMQPError) {
        isFinishing = true
        for consumer in consumers { try connection.cancelConsumer(consumer) }
    }

    // Nobody here waits for what was not answered; the broker gives it to another server.
    mutating func end() {}

    private mutating func complain() {
        guard let reason = core.takeComplaint() else { return }
        guard let skippedCount = throttle.admit(.now) else { return }
        logger.warning(
            "a message could not be read",
            metadata: ["reason": "\(reason)", "skipped": "\(skippedCount)"])
    }
}
