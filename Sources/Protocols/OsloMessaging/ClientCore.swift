package import AMQP
package import Encodings
import HeapModule

/// Why a call has no result.
package enum RPCCallError: Error, Hashable, Sendable, CustomStringConvertible {
    /// No answer came in time: no server, a slow one, or no broker. Whether the call was made is not known.
    case timedOut(method: String)
    /// The server's own words.
    case remote(RPCFailure)
    /// The client has stopped, or was never started, or more calls wait than it holds.
    case notTaken
    /// Whoever waited was cancelled.
    case cancelled

    /// One sentence.
    package var description: String {
        switch self {
        case .timedOut(let method): "no answer to \(method) in time"
        case .remote(let failure): "the server answered \(failure)"
        case .notTaken: "the client takes no calls: it has stopped, or too many wait"
        case .cancelled: "the call was cancelled"
        }
    }
}

/// The client's side of oslo.messaging, pure: calls and replies go in; messages to publish and outcomes come
/// out.
///
/// A call that no queue took is tried again until its time is up, since a server may be starting.
package struct ClientCore {
    /// Names a call in this client.
    package typealias CallID = UInt64
    /// What became of a call.
    package typealias Outcome = Result<JSONValue, RPCCallError>
    /// From one try to reach a server that has no queue to the next.
    static let retryInterval = Duration.milliseconds(500)

    private struct Pending {
        var method: String
        var publication: Publication
        var deadline: ContinuousClock.Instant
    }

    private struct Due: Comparable {
        var time: ContinuousClock.Instant
        var id: CallID

        static func < (left: Due, right: Due) -> Bool { (left.time, left.id) < (right.time, right.id) }
    }

    private let replyQueue: String
    private let idPrefix: String
    private var pending: [CallID: Pending] = [:]
    private var deadlines = Heap<Due>()
    private var retries = Heap<Due>()
    private var outbox: [CallID] = []
    private var casts: [Publication] = []
    private var outcomes: [(CallID, Outcome)] = []

    /// - Parameters:
    ///   - replyQueue: where answers come.
    ///   - idPrefix: makes the ids of this client's messages unlike all others'.
    package init(replyQueue: String, idPrefix: String) {
        self.replyQueue = replyQueue
        self.idPrefix = idPrefix
    }

    /// Whether no call waits and nothing is to be sent.
    package var isIdle: Bool { pending.isEmpty && casts.isEmpty }

    // MARK: Inputs

    /// Somebody calls.
    package mutating func call(
        _ id: CallID, _ target: RPCTarget, _ request: RPCRequest, timeout: Duration,
        now: ContinuousClock.Instant
    ) {
        var request = request
        let name = idPrefix + String(id, radix: 16)
        request.replyTo = ReplyAddress(queue: replyQueue, messageID: name)
        request.uniqueID = name
        let (seconds, attoseconds) = timeout.components
        let milliseconds = max(seconds * 1_000 + attoseconds / 1_000_000_000_000_000, 1)
        pending[id] = Pending(
            method: request.method,
            publication: Publication(
                exchange: target.exchange, routingKey: target.routingKey, isMandatory: true,
                expirationMilliseconds: UInt64(milliseconds), body: request.body),
            deadline: now + timeout)
        deadlines.insert(Due(time: now + timeout, id: id))
        outbox.append(id)
    }

    /// Somebody tells one server, or all of them, something and wants no answer.
    package mutating func cast(_ id: CallID, _ target: RPCTarget, _ request: RPCRequest, toAll: Bool) {
        var request = request
        request.uniqueID = idPrefix + String(id, radix: 16)
        casts.append(
            Publication(
                exchange: toAll ? target.fanoutExchange : target.exchange,
                routingKey: toAll ? "" : target.routingKey, body: request.body))
    }

    /// The connection is gone, and with it perhaps what was under way.
    ///
    /// All calls are sent again on the next one, under their old ids.
    package mutating func disconnected() { outbox = pending.keys.sorted() }

    /// Whoever waited no longer does.
    package mutating func forget(_ id: CallID) { pending[id] = nil }

    /// An answer came; one that nobody waits for, or that cannot be read, is passed over.
    package mutating func received(_ body: [UInt8]) {
        guard let reply = try? RPCReply(body: body), reply.isEnding, reply.messageID.hasPrefix(idPrefix),
            let id = CallID(reply.messageID.dropFirst(idPrefix.count), radix: 16),
            pending.removeValue(forKey: id) != nil
        else { return }
        outcomes.append((id, reply.outcome.mapError(RPCCallError.remote)))
    }

    /// No queue took a call.
    package mutating func returned(_ body: [UInt8], now: ContinuousClock.Instant) {
        guard let request = try? RPCRequest(body: body), request.uniqueID.hasPrefix(idPrefix),
            let id = CallID(request.uniqueID.dropFirst(idPrefix.count), radix: 16), pending[id] != nil
        else { return }
        retries.insert(Due(time: now + ClientCore.retryInterval, id: id))
    }

    /// Does what is due, and says when to ask again.
    package mutating func tick(_ now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        while let due = deadlines.min {
            if let call = pending[due.id] {
                guard due.time <= now else { break }
                pending[due.id] = nil
                outcomes.append((due.id, .failure(.timedOut(method: call.method))))
            }
            deadlines.removeMin()
        }
        while let due = retries.min, due.time <= now {
            retries.removeMin()
            outbox.append(due.id)
        }
        return [deadlines.min, retries.min].compactMap { $0?.time }.min()
    }

    // MARK: Outputs

    /// The messages that are to be sent now.
    package mutating func takeMessages() -> [Publication] {
        defer {
            outbox.removeAll(keepingCapacity: true)
            casts.removeAll(keepingCapacity: true)
        }
        return casts + outbox.compactMap { pending[$0]?.publication }
    }

    /// What has become of calls since the last time, each once.
    package mutating func takeOutcomes() -> [(CallID, Outcome)] {
        defer { outcomes.removeAll(keepingCapacity: true) }
        return outcomes
    }

    /// Nobody will be answered any more.
    package mutating func stop() {
        outcomes += pending.keys.map { ($0, .failure(.notTaken)) }
        pending = [:]
    }
}
