import AMQP
import DequeModule
import Registry

/// A worker as a value: what it carries, what it asks for, how much it takes, what it gives back.
///
/// Tickets come from the queue and wait, unacknowledged, until the conductor has said what to do with them;
/// so what a worker holds when it dies goes to another one. Actions that it carries already are asked about
/// in the same way when their orders changed or the conductor is another one.
struct WorkerCore {
    /// What has to be done; in this order.
    struct Steps {
        /// Deliveries that are done with.
        var acknowledge: [DeliveryTag] = []
        /// Deliveries that somebody else should get.
        var requeue: [DeliveryTag] = []
        /// Actions to stop.
        var stop: [MonitorTicket] = []
        /// Actions to start, or to give new orders.
        var carry: [(MonitorAssignment, credentials: JSONText?)] = []
        /// Actions to give back.
        var release: [MonitorTicket] = []
        /// Whether the worker should announce itself again at once.
        var announcesAtOnce = false
    }

    /// The most deliveries that wait at a time: as many as one call asks for.
    static let prefetchMax = TakeCall.ticketMax

    private struct Waiting {
        var ticket: MonitorTicket
        /// The deliveries that brought it; none if the worker asks of its own.
        var tag: DeliveryTag?
    }

    let capacity: Int
    /// What it carries.
    private(set) var held: [VIMID: MonitorActionID] = [:]
    /// What is still to be asked for.
    private var waiting = Deque<Waiting>()
    /// What is being asked for now.
    private var asked: [Waiting] = []
    /// Whether the worker carried what is being asked for when it was asked for.
    private(set) var asksForCarried = false
    /// The conductor's; nil before the first orders came.
    private var loadMax: Int?
    private var session: String?
    private var isDraining = false
    /// What the queue's consumer was last told.
    private var prefetch = 0
    /// Deliveries of this connection that are not yet acknowledged.
    private var openCount = 0

    init(capacity: Int) { self.capacity = capacity }

    /// How many actions it carries.
    var load: Int { held.count }
    /// Whether anything is asked, or waits to be.
    var isAsking: Bool { !asked.isEmpty || !waiting.isEmpty }

    // MARK: Tickets

    /// A ticket came from the queue.
    mutating func delivered(_ ticket: MonitorTicket, _ tag: DeliveryTag) -> Steps {
        var steps = Steps()
        if held[ticket.vimID] == ticket.actionID {
            steps.acknowledge = [tag]
        } else if isDraining || openCount >= room {
            // It was on its way when the consumer was told to stop.
            steps.requeue = [tag]
        } else {
            openCount += 1
            waiting.append(Waiting(ticket: ticket, tag: tag))
        }
        return steps
    }

    /// The connection that brought tickets is gone: the broker gives them to somebody else.
    mutating func disconnected() {
        prefetch = 0
        openCount = 0
        waiting.removeAll { $0.tag != nil }
        for index in asked.indices { asked[index].tag = nil }
    }

    /// How many deliveries may wait at a time, if that is to change now; 0 ends the consumer.
    mutating func takePrefetchChange() -> Int? {
        // A new consumer's deliveries come on top of those that its predecessor brought.
        let wanted = min(max(0, room - openCount), WorkerCore.prefetchMax)
        // Told at once to take less; to take more only if that is worth a new consumer.
        let isWorthwhile = wanted > prefetch && wanted >= min(prefetch * 2, WorkerCore.prefetchMax)
        guard room < prefetch || isWorthwhile else { return nil }
        prefetch = wanted
        return wanted
    }

    /// For how many more actions there is room, those included that are being asked for.
    private var room: Int {
        guard let loadMax, !isDraining else { return 0 }
        return max(0, min(capacity, loadMax) - held.count)
    }

    // MARK: Asking

    /// The tickets to ask for now; nil if there are none, or an answer is still owed.
    ///
    /// Either all of them are carried already or none: ``asksForCarried``.
    mutating func takeBatch() -> [MonitorTicket]? {
        guard asked.isEmpty, let first = waiting.first, !isDraining else { return nil }
        asksForCarried = isHeld(first.ticket)
        while asked.count < TakeCall.ticketMax, let next = waiting.first,
            isHeld(next.ticket) == asksForCarried
        { asked.append(waiting.removeFirst()) }
        return asked.map(\.ticket)
    }

    private func isHeld(_ ticket: MonitorTicket) -> Bool { held[ticket.vimID] == ticket.actionID }

    /// The conductor answered the batch.
    mutating func answered(_ answers: [TakeAnswer]) -> Steps {
        precondition(answers.count == asked.count, "an answer for each ticket")
        var steps = Steps()
        for (entry, answer) in zip(asked, answers) {
            let ticket = entry.ticket
            switch answer {
            case .carry where isDraining: steps.release.append(ticket)
            case .carry(let assignment, let credentials):
                held[ticket.vimID] = ticket.actionID
                steps.carry.append((assignment, credentials))
            case .stale, .elsewhere:
                if held[ticket.vimID] == ticket.actionID {
                    held[ticket.vimID] = nil
                    steps.stop.append(ticket)
                }
            case .later:
                waiting.append(entry)
                continue
            }
            settle(entry.tag, in: &steps.acknowledge)
        }
        asked = []
        return steps
    }

    /// No answer came: the batch is asked for again.
    mutating func unanswered() {
        for entry in asked.reversed() where entry.tag != nil || held[entry.ticket.vimID] != nil {
            waiting.prepend(entry)
        }
        asked = []
    }

    private mutating func settle(_ tag: DeliveryTag?, in tags: inout [DeliveryTag]) {
        guard let tag else { return }
        openCount -= 1
        tags.append(tag)
    }

    // MARK: Orders

    /// The conductor's orders came.
    mutating func ordered(_ orders: WorkerOrders) -> Steps {
        var steps = Steps()
        guard !isDraining else { return steps }
        loadMax = orders.loadMax
        if session != orders.session {
            session = orders.session
            waiting.removeAll { $0.tag == nil }
            for (vimID, actionID) in held {
                waiting.append(Waiting(ticket: MonitorTicket(vimID, actionID), tag: nil))
            }
        } else {
            for ticket in orders.changed {
                if held[ticket.vimID] == ticket.actionID {
                    ask(ticket)
                } else if !isAsking(for: ticket) {
                    // Believed to be here, and is not: the answer that brought it was lost.
                    steps.release.append(ticket)
                }
            }
            steps.announcesAtOnce = orders.changed.count >= WorkerDesk.noticeMax
        }
        for (vimID, actionID) in held.prefix(orders.surplus) {
            steps.release.append(MonitorTicket(vimID, actionID))
        }
        return steps
    }

    private mutating func ask(_ ticket: MonitorTicket) {
        if !waiting.contains(where: { $0.ticket == ticket && $0.tag == nil }) {
            waiting.append(Waiting(ticket: ticket, tag: nil))
        }
    }

    private func isAsking(for ticket: MonitorTicket) -> Bool {
        asked.contains { $0.ticket == ticket } || waiting.contains { $0.ticket == ticket }
    }

    /// Actions that were given back are no longer carried.
    mutating func released(_ tickets: [MonitorTicket]) -> Steps {
        var steps = Steps()
        for ticket in tickets where held[ticket.vimID] == ticket.actionID {
            held[ticket.vimID] = nil
            steps.stop.append(ticket)
        }
        return steps
    }

    /// An action was told `bad_action` and has ended.
    mutating func ended(_ ticket: MonitorTicket) {
        if held[ticket.vimID] == ticket.actionID { held[ticket.vimID] = nil }
    }

    /// Takes nothing more, and gives everything back.
    mutating func drain() -> Steps {
        isDraining = true
        var steps = Steps()
        for entry in waiting { settle(entry.tag, in: &steps.requeue) }
        waiting = []
        steps.release = held.map { MonitorTicket($0.key, $0.value) }
        return steps
    }
}
