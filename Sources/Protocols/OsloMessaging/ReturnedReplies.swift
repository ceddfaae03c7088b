import AMQP

/// What becomes of replies whose queue the broker does not know.
///
/// A client that has just lost its connection declares its queue again, so a reply is tried again every
/// quarter of a second, for up to a minute, as oslo.messaging does. Then the client is taken for
/// gone, and for a minute nothing is sent there.
struct ReturnedReplies {
    /// From one try to the next.
    static let retryInterval = Duration.milliseconds(250)
    /// The longest that anybody is waited for, and how long a queue counts as dead.
    static let patience = Duration.seconds(60)
    /// Replies kept for another try; beyond that they are dropped.
    static let replyMax = 1_000

    private struct Waiting {
        var deadline: ContinuousClock.Instant
        var next: ContinuousClock.Instant
        var bodies: [[UInt8]] = []
    }

    private var waiting: [String: Waiting] = [:]
    private var dead: [String: ContinuousClock.Instant] = [:]
    private var count = 0
    /// Replies given up so far.
    private(set) var lostCount = 0

    /// Whether a queue is taken for gone.
    mutating func isDead(_ queue: String, now: ContinuousClock.Instant) -> Bool {
        guard !dead.isEmpty, let until = dead[queue] else { return false }
        if until > now { return true }
        dead[queue] = nil
        return false
    }

    /// The queue's answers go nowhere for a while: counts one.
    mutating func drop() { lostCount += 1 }

    /// A reply came back.
    mutating func returned(_ body: [UInt8], to queue: String, now: ContinuousClock.Instant) {
        guard count < ReturnedReplies.replyMax, !isDead(queue, now: now) else { return drop() }
        count += 1
        waiting[
            queue,
            default: Waiting(
                deadline: now + ReturnedReplies.patience, next: now + ReturnedReplies.retryInterval)
        ].bodies.append(body)
    }

    /// Replies that are due for another try.
    mutating func takeDue(_ now: ContinuousClock.Instant) -> [Publication] {
        guard !waiting.isEmpty else { return [] }
        var due: [Publication] = []
        for (queue, entry) in waiting where entry.next <= now || entry.deadline <= now {
            count -= entry.bodies.count
            if entry.deadline <= now {
                waiting[queue] = nil
                dead[queue] = now + ReturnedReplies.patience
                lostCount += entry.bodies.count
            } else {
                // The entry stays, so that the deadline counts from the first return.
                waiting[queue]?.bodies = []
                waiting[queue]?.next = now + ReturnedReplies.retryInterval
                if entry.bodies.isEmpty {
                    // The last try was not returned: the client is back.
                    waiting[queue] = nil
                }
                due += entry.bodies.map { Publication(reply: $0, to: queue) }
            }
        }
        return due
    }

    /// When ``takeDue(_:)`` must be asked next.
    var next: ContinuousClock.Instant? { waiting.values.map { min($0.next, $0.deadline) }.min() }

    /// Whether nothing waits for another try.
    var isEmpty: Bool { count == 0 }
}

extension Publication {
    /// A reply goes by the default exchange to the queue of its client, and comes back if that is gone.
    init(reply body: [UInt8], to queue: String) {
        self.init(exchange: "", routingKey: queue, isMandatory: true, body: body)
    }
}
