import Encodings
import Registry

/// `release_actions(worker, actions, reason, leaves)`: a worker gives actions back, so that they run
/// elsewhere at once.
struct ReleaseCall: Hashable, Sendable {
    static let method = "release_actions"
    /// Tickets in one call: each makes an event, and the call is answered when all are durable.
    static let ticketMax = 256

    var worker: WorkerID
    var tickets: [MonitorTicket]
    /// One phrase for the auditor.
    var reason: String
    /// Whether the worker goes, so that nothing more is to be kept for it.
    var leaves: Bool

    var arguments: [String: JSONValue] {
        [
            "worker": .string(worker.description), "actions": tickets.json, "reason": .string(reason),
            "leaves": .bool(leaves),
        ]
    }

    init(worker: WorkerID, tickets: [MonitorTicket], reason: String, leaves: Bool) {
        self.worker = worker
        self.tickets = tickets
        self.reason = reason
        self.leaves = leaves
    }

    init(_ arguments: [String: JSONValue]) throws(WireFault) {
        guard let worker = arguments["worker"]?.string.flatMap({ UniqueID($0) }),
            let actions = arguments["actions"],
            let reason = arguments["reason"]?.string, reason.utf8.count <= WorkerFacts.textMax * 2,
            case .bool(let leaves)? = arguments["leaves"]
        else { throw WireFault("a call without worker, actions, reason and leaves") }
        self.init(
            worker: WorkerID(worker), tickets: try actions.tickets(), reason: reason, leaves: leaves)
        guard tickets.count <= ReleaseCall.ticketMax else {
            throw WireFault("a call for more than \(ReleaseCall.ticketMax) actions")
        }
    }
}
