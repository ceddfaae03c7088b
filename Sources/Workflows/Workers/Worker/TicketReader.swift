package import AMQP
package import Logging

/// What comes from the ticket queue.
package enum TicketEvent: Sendable {
    /// A ticket, or what lies in its place.
    case delivered([UInt8], DeliveryTag)
    /// Connected; nothing is consumed yet.
    case connected
    /// Deliveries so far are somebody else's again.
    case disconnected
}

/// What the ticket queue is told.
package enum TicketOrder: Sendable {
    /// Deliveries that are done with.
    case acknowledge([DeliveryTag])
    /// Deliveries that somebody else should get.
    case requeue([DeliveryTag])
    /// So many deliveries may wait at a time; 0 ends the consumer.
    case consume(Int)
}

/// A worker's end of the ticket queue; a protocol, so that a test needs no broker.
package protocol TicketSource: Sendable {
    /// Reads until the task is cancelled; events are bounded by what was ordered.
    func run(_ event: @escaping @Sendable (TicketEvent) -> Void) async
    /// Tells the queue something.
    func order(_ order: TicketOrder)
}

/// Reads tickets from the broker's queue, on a thread of its own that owns the connection.
package final class TicketReader: TicketSource {
    private let url: BrokerURL
    private let queue: String
    private let logger: Logger
    private let mailbox = Mailbox<TicketOrder>(itemMax: 1 << 20)

    /// A reader of the queue of a conductor's topic.
    package init(_ url: BrokerURL, topic: String, logger: Logger) {
        self.url = url
        queue = TicketQueue.name(topic: topic)
        self.logger = logger
    }

    /// Tells the queue something.
    package func order(_ order: TicketOrder) { mailbox.put(order) }

    /// Reads until the task is cancelled.
    package func run(_ event: @escaping @Sendable (TicketEvent) -> Void) async {
        let (queue, logger) = (queue, logger)
        let session = Session<TicketReaderHandler>(
            url, name: "vedette-worker", mailbox: mailbox,
            makeHandler: { TicketReaderHandler(queue: queue, event: event) },
            // The RPC client's session says the same of the same broker, in words.
            news: { news in logger.debug("the ticket queue's connection: \(news)") })
        await untilCancelled()
        await session.stop()
    }
}

private struct TicketReaderHandler: SessionHandler {
    private static let consumer = "worker"

    let queue: String
    let event: @Sendable (TicketEvent) -> Void
    private var orders: [TicketOrder] = []
    private var isConsuming = false
    private var connection: UInt64 = 0

    init(queue: String, event: @escaping @Sendable (TicketEvent) -> Void) {
        self.queue = queue
        self.event = event
    }

    var isIdle: Bool { orders.isEmpty }

    mutating func connected(_ connection: Connection) throws(AMQPError) {
        try connection.openChannel()
        try TicketQueue.declare(queue, on: connection)
        isConsuming = false
        self.connection = connection.number
        // What was ordered before belongs to the last connection.
        orders = []
        event(.connected)
    }

    mutating func disconnected() {
        orders = []
        connection = 0
        event(.disconnected)
    }

    mutating func received(_ events: [Connection.Event]) {
        for case .delivery(let delivery) in events {
            event(.delivered(delivery.body ?? [], delivery.tag))
        }
    }

    mutating func take(_ items: [TicketOrder]) { orders += items }

    mutating func send(on connection: Connection) throws(AMQPError) {
        guard !orders.isEmpty else { return }
        let taken = orders
        orders = []
        for order in taken { try perform(order, on: connection) }
    }

    private mutating func perform(_ order: TicketOrder, on connection: Connection) throws(AMQPError) {
        switch order {
        case .acknowledge(let tags):
            for tag in tags where tag.connection == connection.number {
                try connection.acknowledge(tag.number)
            }
        case .requeue(let tags):
            for tag in tags where tag.connection == connection.number {
                try connection.reject(tag.number, requeues: true)
            }
        case .consume(let count):
            if isConsuming { try connection.cancelConsumer(TicketReaderHandler.consumer) }
            isConsuming = count > 0
            guard isConsuming else { return }
            // A prefetch count holds for the consumers that come after it.
            try connection.setPrefetch(UInt16(clamping: count))
            try connection.consume(queue, tag: TicketReaderHandler.consumer)
        }
    }

    mutating func tick(_ now: ContinuousClock.Instant) -> ContinuousClock.Instant? { nil }

    mutating func finish(on connection: Connection) throws(AMQPError) {}

    mutating func end() {}
}
