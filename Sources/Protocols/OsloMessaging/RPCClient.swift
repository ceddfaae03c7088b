package import AMQP
package import Encodings
package import Logging
import Synchronization

/// Calls the methods of oslo.messaging servers.
///
/// One connection and one reply queue carry all calls. While the broker is away calls wait for it, each for
/// as long as its own time; what was under way when the connection broke is sent again, and a server that had
/// it already tells the copy by its id.
package final class RPCClient: Sendable {
    /// Calls that may wait at once.
    package static let callMax = 100_000

    /// What the connection's thread is handed.
    fileprivate enum Item: Sendable {
        case call(ClientCore.CallID, RPCTarget, RPCRequest, Duration, Reply)
        case cast(ClientCore.CallID, RPCTarget, RPCRequest, toAll: Bool)
        case forget(ClientCore.CallID)
    }

    /// Told once what became of a call, on the connection's thread: it must be quick.
    package typealias Reply = @Sendable (ClientCore.Outcome) -> Void

    private let url: BrokerURL
    private let name: String
    private let logger: Logger
    private let mailbox = Mailbox<Item>(itemMax: RPCClient.callMax)
    private let lastID = Atomic<UInt64>(0)

    /// A client whose calls are made while ``run()`` runs.
    ///
    /// - Parameter name: shown by the broker's tools beside the connection.
    package init(_ url: BrokerURL, name: String, logger: Logger) {
        self.url = url
        self.name = name
        self.logger = logger
    }

    /// Keeps the connection until the task is cancelled; then lets the calls under way be answered.
    package func run() async {
        let (mailbox, logger, url) = (mailbox, logger, url)
        let session = Session<ClientHandler>(
            url, name: name, mailbox: mailbox, makeHandler: { ClientHandler() },
            news: { SessionLog(logger: logger).tell($0, url: url) })
        // Ends only by cancellation.
        while !Task.isCancelled { try? await Task.sleep(for: .seconds(3_600)) }
        await session.stop()
    }

    /// Calls a method and returns its result.
    ///
    /// - Parameters:
    ///   - timeout: from now to the answer; also the broker forgets the call then.
    /// - Throws: ``RPCCallError``; after a timeout the call may or may not have been made.
    package func call(
        _ target: RPCTarget, _ method: String, _ arguments: [String: JSONValue],
        version: RPCVersion = RPCVersion(1, 0), timeout: Duration
    ) async throws(RPCCallError) -> JSONValue {
        let id = nextID()
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                call(id, target, method, arguments, version: version, timeout: timeout) {
                    continuation.resume(returning: $0)
                }
                // Cancelled before there was a call to forget.
                if Task.isCancelled { mailbox.put(.forget(id)) }
            }
        } onCancel: {
            mailbox.put(.forget(id))
        }
        return try outcome.get()
    }

    /// Calls a method for callers that carry many calls and want no task for each.
    package func call(
        _ target: RPCTarget, _ method: String, _ arguments: [String: JSONValue],
        version: RPCVersion = RPCVersion(1, 0), timeout: Duration, reply: @escaping Reply
    ) {
        call(nextID(), target, method, arguments, version: version, timeout: timeout, reply: reply)
    }

    /// Tells one server something, or all servers of the topic; nobody says whether it arrived.
    package func cast(
        _ target: RPCTarget, _ method: String, _ arguments: [String: JSONValue],
        version: RPCVersion = RPCVersion(1, 0), toAll: Bool = false
    ) {
        let request = RPCRequest(
            method: method, arguments: RPCArguments(arguments), version: version.description)
        mailbox.put(.cast(nextID(), target, request, toAll: toAll))
    }

    private func call(
        _ id: ClientCore.CallID, _ target: RPCTarget, _ method: String, _ arguments: [String: JSONValue],
        version: RPCVersion, timeout: Duration, reply: @escaping Reply
    ) {
        let request = RPCRequest(
            method: method, arguments: RPCArguments(arguments), version: version.description)
        if !mailbox.put(.call(id, target, request, timeout, reply)) { reply(.failure(.notTaken)) }
    }

    private func nextID() -> ClientCore.CallID { lastID.add(1, ordering: .relaxed).newValue }
}

/// The connection thread's side of a client: hands on what the core decides.
private struct ClientHandler: SessionHandler {
    private let replyQueue = "reply_" + RandomText.hexadecimal()
    private var core: ClientCore
    private var callers: [ClientCore.CallID: RPCClient.Reply] = [:]
    private var ledger = AcknowledgementLedger()
    /// Declared on this connection.
    private var exchanges: Set<String> = []
    private var isBlocked = false
    private var isFinishing = false

    init() {
        core = ClientCore(replyQueue: replyQueue, idPrefix: RandomText.hexadecimal())
    }

    var isIdle: Bool { core.isIdle }

    mutating func connected(_ connection: Connection) throws(AMQPError) {
        try connection.openChannel()
        isBlocked = false
        ledger = AcknowledgementLedger()
        try connection.declareQueue(
            replyQueue, isDurable: false, arguments: [("x-expires", .number(Topology.unusedMilliseconds))])
        try connection.consume(replyQueue, tag: replyQueue)
    }

    mutating func disconnected() {
        core.disconnected()
        exchanges = []
    }

    mutating func received(_ events: [Connection.Event]) {
        for event in events {
            switch event {
            case .blocked(let isBlocked): self.isBlocked = isBlocked
            case .returned(let message): if let body = message.body { core.returned(body, now: .now) }
            case .delivery(let delivery):
                ledger.delivered(delivery.tag.number)
                ledger.finished(delivery.tag.number)
                if let body = delivery.body { core.received(body) }
            }
        }
    }

    mutating func take(_ items: [RPCClient.Item]) {
        let now = ContinuousClock.now
        for item in items {
            switch item {
            case .call(let id, let target, let request, let timeout, let reply):
                if isFinishing {
                    reply(.failure(.notTaken))
                } else {
                    callers[id] = reply
                    core.call(id, target, request, timeout: timeout, now: now)
                }
            case .cast(let id, let target, let request, let toAll):
                core.cast(id, target, request, toAll: toAll)
            case .forget(let id):
                core.forget(id)
                callers.removeValue(forKey: id)?(.failure(.cancelled))
            }
        }
    }

    mutating func send(on connection: Connection) throws(AMQPError) {
        answer()
        if isBlocked { return }
        let messages = core.takeMessages()
        let acknowledgements = ledger.takeAcknowledgements()
        if messages.isEmpty, acknowledgements.isEmpty { return }
        for message in messages { try declareExchange(of: message, on: connection) }
        try connection.together { () throws(AMQPError) in
            for message in messages { try connection.publish(message) }
            for frame in acknowledgements {
                try connection.acknowledge(frame.number, isMultiple: frame.isMultiple)
            }
        }
    }

    mutating func tick(_ now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        let next = core.tick(now)
        answer()
        return next
    }

    mutating func finish(on connection: Connection) throws(AMQPError) { isFinishing = true }

    mutating func end() {
        core.stop()
        answer()
    }

    /// A broker closes the channel of those who publish to an exchange that is not there, so whoever comes
    /// first declares it, as oslo.messaging's clients do.
    private mutating func declareExchange(
        of message: Publication, on connection: Connection
    ) throws(AMQPError) {
        guard exchanges.insert(message.exchange).inserted else { return }
        // Only casts to all have no routing key.
        let isFanout = message.routingKey.isEmpty
        do throws(AMQPError) {
            try connection.declareExchange(
                message.exchange, type: isFanout ? "fanout" : "topic", isDurable: false,
                isAutoDelete: isFanout)
        } catch {
            // It is there with other properties, and good as it is.
            guard error.isInequivalent else { throw error }
        }
    }

    private mutating func answer() {
        for (id, outcome) in core.takeOutcomes() { callers.removeValue(forKey: id)?(outcome) }
    }
}
