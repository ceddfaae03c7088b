package import AMQP
package import Encodings

/// The server's side of oslo.messaging, pure: deliveries and results go in; calls to make, replies to send
/// and deliveries to acknowledge come out.
///
/// A delivery is acknowledged with its reply, never before: what a server takes and cannot answer goes to
/// another one.
package struct ServerCore {
    /// Names a call while it is being answered.
    package typealias CallID = UInt64

    /// What has been counted since the start.
    package struct Statistics: Hashable, Sendable {
        /// Calls and casts handed to a method.
        package var callCount = 0
        /// Answers that were failures.
        package var failureCount = 0
        /// Messages that could not be read.
        package var malformedCount = 0
        /// Second copies of a message, dropped.
        package var duplicateCount = 0
        /// Replies whose client was gone.
        package var lostReplyCount = 0

        /// Nothing yet.
        package init() {}
    }

    /// A call that a method must now answer.
    package struct Call {
        /// To answer it with ``ServerCore/answered(_:_:)``.
        package var id: CallID
        /// Which method is asked.
        package var method: String
        /// With which arguments.
        package var arguments: RPCArguments
    }

    private struct Pending {
        var tag: DeliveryTag
        var replyTo: ReplyAddress?
        var uniqueID: String
        var monitor: Monitor?

        struct Monitor {
            var interval: Duration
            var next: ContinuousClock.Instant
        }
    }

    private let version: RPCVersion
    private let methods: [String]
    /// The last version asked for that is served, as it was written: nearly all calls ask for the same.
    private var servedVersion: String?
    private let replyPrefix: String
    private var connection: UInt64 = 0
    private var isConnected = false
    private var ledger = AcknowledgementLedger()
    private var duplicates = DuplicateWindow()
    private var pending = CallTable<Pending>()
    private var replyCount: UInt64 = 0
    /// Calls whose clients want signs of life.
    private var monitored: Set<CallID> = []
    private var returns = ReturnedReplies()
    private var outbox: [Publication] = []
    private var counts = Statistics()
    /// The last reason why a message could not be read, to be logged.
    private var complaint: String?

    /// - Parameters:
    ///   - version: of the interface that is served.
    ///   - methods: the names of its methods.
    ///   - replyPrefix: makes the ids of this server's replies unlike all others'.
    package init(version: RPCVersion, methods: [String], replyPrefix: String) {
        self.version = version
        self.methods = methods
        self.replyPrefix = replyPrefix
    }

    /// What has been counted since the start.
    package var statistics: Statistics {
        var counts = counts
        counts.lostReplyCount = returns.lostCount
        return counts
    }

    /// Whether nothing is being answered and nothing waits to be sent.
    package var isIdle: Bool { pending.isEmpty && outbox.isEmpty }

    /// Whether a client waits that wants signs of life.
    package var owesSignsOfLife: Bool { !monitored.isEmpty }

    /// Why messages could not be read since the last time this was asked; the newest reason.
    package mutating func takeComplaint() -> String? {
        defer { complaint = nil }
        return complaint
    }

    // MARK: Inputs

    /// A connection is set up; deliveries of earlier ones can no longer be acknowledged.
    package mutating func connected(_ number: UInt64) {
        connection = number
        isConnected = true
        ledger = AcknowledgementLedger()
    }

    /// The connection is gone: the broker will deliver again what was not acknowledged, and it must not be
    /// taken for a second copy then.
    package mutating func disconnected() {
        isConnected = false
        for entry in pending.calls { duplicates.forget(entry.uniqueID) }
    }

    /// A delivery came: returns the call that it is, if a method must answer it.
    package mutating func received(_ delivery: Delivery, now: ContinuousClock.Instant) -> Call? {
        ledger.delivered(delivery.tag.number)
        let request: RPCRequest
        do throws(MessageFault) { request = try ServerCore.read(delivery) } catch {
            counts.malformedCount += 1
            complaint = error.sentence
            if let address = error.replyTo {
                reply(.failure(.badValue(error.sentence)), to: address, now: now)
            }
            finish(delivery.tag)
            return nil
        }
        guard duplicates.admit(request.uniqueID) else {
            counts.duplicateCount += 1
            finish(delivery.tag)
            return nil
        }
        if let failure = refusal(of: request) {
            if let address = request.replyTo { reply(.failure(failure), to: address, now: now) }
            finish(delivery.tag)
            return nil
        }
        counts.callCount += 1
        var entry = Pending(tag: delivery.tag, replyTo: request.replyTo, uniqueID: request.uniqueID)
        // As oslo.messaging does: every half of what the client waits, and nothing below two seconds.
        if let seconds = request.monitorSeconds, seconds >= 2, request.replyTo != nil {
            let interval = Duration.seconds(seconds / 2)
            entry.monitor = .init(interval: interval, next: now + interval)
        }
        let id = pending.add(entry)
        if entry.monitor != nil { monitored.insert(id) }
        return Call(id: id, method: request.method, arguments: request.arguments)
    }

    /// A method has answered; ``RPCFailure/elsewhere`` leaves the delivery to another server.
    package mutating func answered(
        _ id: CallID, _ outcome: Result<JSONValue, RPCFailure>, now: ContinuousClock.Instant
    ) {
        guard let entry = pending.remove(id) else { return }
        if entry.monitor != nil { monitored.remove(id) }
        if outcome == .failure(.elsewhere) { return duplicates.forget(entry.uniqueID) }
        if let address = entry.replyTo { reply(outcome, to: address, now: now) }
        finish(entry.tag)
    }

    /// The broker gave a reply back: its client's queue is not there.
    package mutating func returned(_ message: ReturnedMessage, now: ContinuousClock.Instant) {
        guard let body = message.body, message.exchange.isEmpty else { return }
        returns.returned(body, to: message.routingKey, now: now)
    }

    /// Does what is due, and says when to ask again.
    package mutating func tick(_ now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        outbox += returns.takeDue(now)
        var next = returns.next
        for id in monitored {
            guard var entry = pending[id], var monitor = entry.monitor, let address = entry.replyTo else {
                continue
            }
            if monitor.next <= now {
                monitor.next = now + monitor.interval
                entry.monitor = monitor
                pending[id] = entry
                // Worth nothing later: neither kept for the next connection nor tried again.
                if isConnected { sendSignOfLife(to: address) }
            }
            next = min(next ?? monitor.next, monitor.next)
        }
        return next
    }

    // MARK: Outputs

    /// What is to be sent now, in order: first the replies, then the acknowledgements.
    package mutating func takeOutput() -> (
        replies: [Publication], acknowledgements: [AcknowledgementLedger.Acknowledgement]
    ) {
        defer { outbox.removeAll(keepingCapacity: true) }
        return (outbox, ledger.takeAcknowledgements())
    }

    /// Replies that could not be sent, because the connection broke, go out on the next one.
    package mutating func takeBack(_ replies: [Publication]) { outbox = replies + outbox }

    // MARK: Parts

    private static func read(_ delivery: Delivery) throws(MessageFault) -> RPCRequest {
        guard let body = delivery.body else {
            throw MessageFault("the body is larger than \(Connection.bodyByteMax) bytes")
        }
        guard delivery.contentType.isEmpty || delivery.contentType == "application/json" else {
            throw MessageFault("content type '\(delivery.contentType.prefix(60))' is not application/json")
        }
        let encoding = delivery.contentEncoding
        guard encoding == "utf-8" || encoding.isEmpty || encoding.lowercased() == "utf-8" else {
            throw MessageFault("content encoding '\(encoding.prefix(60))' is not utf-8")
        }
        return try RPCRequest(body: body)
    }

    private mutating func refusal(of request: RPCRequest) -> RPCFailure? {
        let isServed =
            request.version == servedVersion || RPCVersion(request.version).map(version.serves) ?? false
        guard request.namespace == nil, isServed else {
            return .unsupportedVersion(request.version, method: request.method)
        }
        servedVersion = request.version
        return methods.contains(request.method) ? nil : .noSuchMethod(request.method)
    }

    private mutating func reply(
        _ outcome: Result<JSONValue, RPCFailure>, to address: ReplyAddress, now: ContinuousClock.Instant
    ) {
        if case .failure = outcome { counts.failureCount += 1 }
        if returns.isDead(address.queue, now: now) { return returns.drop() }
        send(RPCReply(messageID: address.messageID, outcome: outcome), address)
    }

    private mutating func send(_ reply: RPCReply, _ address: ReplyAddress) {
        outbox.append(Publication(reply: body(of: reply), to: address.queue))
    }

    private mutating func sendSignOfLife(to address: ReplyAddress) {
        let sign = RPCReply(messageID: address.messageID, outcome: .success(.null), isEnding: false)
        outbox.append(Publication(exchange: "", routingKey: address.queue, body: body(of: sign)))
    }

    private mutating func body(of reply: RPCReply) -> [UInt8] {
        replyCount += 1
        return reply.body(uniqueID: replyPrefix + String(replyCount, radix: 16))
    }

    private mutating func finish(_ tag: DeliveryTag) {
        if tag.connection == connection { ledger.finished(tag.number) }
    }
}
