import AMQP
import Encodings
import Logging
import Synchronization

/// The conductor's end of the ticket queue; a protocol, so that a test needs no broker.
protocol TicketSink: Sendable {
    /// Hands a ticket to the queue.
    func write(_ ticket: MonitorTicket)
    /// Works until the task is cancelled.
    ///
    /// - Parameter connection: told that the connection came (true) or went.
    func run(connection: @escaping @Sendable (_ isUp: Bool) -> Void) async
}

/// Writes tickets into the broker's queue, from a thread of its own that owns the connection.
final class TicketWriter: TicketSink {
    private let url: BrokerURL
    private let queue: String
    private let ticketLife: Duration
    private let logger: Logger
    private let mailbox = Mailbox<MonitorTicket>(itemMax: 1 << 20)

    /// - Parameter ticketLife: so long the broker keeps a ticket that nobody takes.
    init(_ url: BrokerURL, queue: String, ticketLife: Duration, logger: Logger) {
        self.url = url
        self.queue = queue
        self.ticketLife = ticketLife
        self.logger = logger
    }

    /// Hands a ticket to the thread.
    func write(_ ticket: MonitorTicket) { mailbox.put(ticket) }

    /// Writes until the task is cancelled.
    ///
    /// - Parameter connection: told on the thread that the connection came (true) or went.
    func run(connection: @escaping @Sendable (_ isUp: Bool) -> Void) async {
        let (url, queue, life) = (url, queue, UInt64(clamping: ticketLife.wholeMilliseconds))
        let logger = logger
        let session = Session<TicketWriterHandler>(
            url, name: "vedette-tickets", mailbox: mailbox,
            makeHandler: { TicketWriterHandler(queue: queue, lifeMilliseconds: life) },
            news: { news in
                switch news {
                case .connected: connection(true)
                case .lost, .unreachable: connection(false)
                case .blocked: break
                }
                // The RPC door's session says the same of the same broker, in words.
                logger.debug("the ticket queue's connection: \(news)")
            })
        await untilCancelled()
        await session.stop()
    }
}

/// Returns when the task is cancelled.
func untilCancelled() async {
    while !Task.isCancelled { try? await Task.sleep(for: .seconds(3_600)) }
}

private struct TicketWriterHandler: SessionHandler {
    let queue: String
    let lifeMilliseconds: UInt64
    private var outbox: [MonitorTicket] = []
    private var isBlocked = false

    init(queue: String, lifeMilliseconds: UInt64) {
        self.queue = queue
        self.lifeMilliseconds = lifeMilliseconds
    }

    var isIdle: Bool { outbox.isEmpty }

    mutating func connected(_ connection: Connection) throws(AMQPError) {
        try connection.openChannel()
        try TicketQueue.declare(queue, on: connection)
    }

    /// All that waits is written again when there is a connection: the desk sees to it.
    mutating func disconnected() {
        outbox = []
        isBlocked = false
    }

    mutating func received(_ events: [Connection.Event]) {
        for case .blocked(let isBlocked) in events { self.isBlocked = isBlocked }
    }

    mutating func take(_ items: [MonitorTicket]) { outbox += items }

    mutating func send(on connection: Connection) throws(AMQPError) {
        guard !isBlocked, !outbox.isEmpty else { return }
        try connection.together { () throws(AMQPError) in
            for ticket in outbox {
                try connection.publish(
                    Publication(
                        exchange: "", routingKey: queue, isPersistent: true,
                        expirationMilliseconds: lifeMilliseconds, body: ticket.json.encoded))
            }
        }
        outbox = []
    }

    mutating func tick(_ now: ContinuousClock.Instant) -> ContinuousClock.Instant? { nil }

    mutating func finish(on connection: Connection) throws(AMQPError) {}

    mutating func end() {}
}
