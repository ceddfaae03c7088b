import Registry

/// Which action of which VIM was given out, and who took it: pure.
///
/// Kept in memory only. What a new conductor does not know, the workers tell it by taking again what they
/// carry; what nobody takes again is lost, and so is what falls silent.
struct AssignmentBook {
    private struct Entry {
        var actionID: MonitorActionID
        /// Who carries it; nil while its ticket waits.
        var holder: WorkerID?
        /// When its ticket was last written; nil if it has to be, again.
        var writtenAt: Duration?
        /// Whoever carried it gave it back: a successor is on its way.
        var isGivenBack = false
    }

    private var entries: [VIMID: Entry] = [:]
    private var loads: [WorkerID: Int] = [:]
    /// What each worker that is there should ask about.
    private var notices: [WorkerID: [VIMID: MonitorActionID]] = [:]

    /// How many actions were given out.
    var count: Int { entries.count }
    /// How many of them nobody has taken.
    var waitingCount: Int { entries.count - loads.values.reduce(0, +) }
    /// What was given out.
    var actions: [VIMID: MonitorActionID] { entries.mapValues(\.actionID) }

    func action(of vimID: VIMID) -> MonitorActionID? { entries[vimID]?.actionID }
    func holder(of ticket: MonitorTicket) -> WorkerID? {
        entries[ticket.vimID].flatMap { $0.actionID == ticket.actionID ? $0.holder : nil }
    }
    func load(of worker: WorkerID) -> Int { loads[worker] ?? 0 }
    /// Whether the action was given out and nobody has had it.
    func isOffered(_ ticket: MonitorTicket) -> Bool {
        guard let entry = entries[ticket.vimID], entry.actionID == ticket.actionID else { return false }
        return entry.holder == nil && !entry.isGivenBack
    }

    // MARK: What the reconciler wants

    /// Gives an action out, in the place of any other for its VIM; false if it was given out already.
    ///
    /// Whoever calls it writes the ticket.
    mutating func add(_ ticket: MonitorTicket, now: Duration) -> Bool {
        if entries[ticket.vimID]?.actionID == ticket.actionID { return false }
        remove(ticket.vimID)
        entries[ticket.vimID] = Entry(actionID: ticket.actionID, writtenAt: now)
        return true
    }

    /// The action's orders changed; who carries it is to hear of it.
    mutating func noteChange(of ticket: MonitorTicket) {
        if let holder = holder(of: ticket) { note(ticket, for: holder) }
    }

    /// The action is no longer wanted; who carries it is to hear of it.
    mutating func withdraw(_ ticket: MonitorTicket) {
        guard entries[ticket.vimID]?.actionID == ticket.actionID else { return }
        remove(ticket.vimID)
    }

    // MARK: Tickets

    /// The tickets to write: those not written yet, and those that nobody took for so long that the broker
    /// has dropped them.
    ///
    /// - Parameter max: at most so many.
    mutating func takeUnwritten(now: Duration, life: Duration, max: Int) -> [MonitorTicket] {
        guard waitingCount > 0 else { return [] }
        var tickets: [MonitorTicket] = []
        for (vimID, entry) in entries where entry.holder == nil && !entry.isGivenBack {
            if let writtenAt = entry.writtenAt, now - writtenAt < life { continue }
            tickets.append(MonitorTicket(vimID, entry.actionID))
            if tickets.count == max { break }
        }
        for ticket in tickets { entries[ticket.vimID]?.writtenAt = now }
        return tickets
    }

    /// What the broker had been told may be lost: every ticket that waits has to be written again.
    mutating func forgetWritten() {
        for (vimID, entry) in entries where entry.holder == nil { entries[vimID]?.writtenAt = nil }
    }

    /// How many tickets have waited so long since they were written.
    func overdueCount(now: Duration, patience: Duration) -> Int {
        guard waitingCount > 0 else { return 0 }
        return entries.values.count {
            guard $0.holder == nil, let writtenAt = $0.writtenAt else { return false }
            return now - writtenAt > patience
        }
    }

    // MARK: What workers do

    /// A worker carries the action from now on.
    mutating func take(_ ticket: MonitorTicket, by worker: WorkerID) {
        notices[worker]?[ticket.vimID] = nil
        if let entry = entries[ticket.vimID], entry.actionID == ticket.actionID, entry.holder == worker {
            return
        }
        remove(ticket.vimID)
        entries[ticket.vimID] = Entry(actionID: ticket.actionID, holder: worker)
        loads[worker, default: 0] += 1
    }

    /// A worker asked about an action that is not wanted: nothing more to tell it.
    mutating func refuse(_ ticket: MonitorTicket, to worker: WorkerID) {
        settleNotice(ticket, of: worker)
        withdraw(ticket)
    }

    /// A worker no longer carries the action; false if it is another's.
    mutating func release(_ ticket: MonitorTicket, by worker: WorkerID) -> Bool {
        settleNotice(ticket, of: worker)
        guard let entry = entries[ticket.vimID] else { return true }
        guard entry.actionID == ticket.actionID else { return false }
        guard entry.holder == nil || entry.holder == worker else { return false }
        dropHolder(of: ticket.vimID)
        entries[ticket.vimID]?.isGivenBack = true
        return true
    }

    /// A worker is there, and will ask about what it is told.
    mutating func greet(_ worker: WorkerID) { notices[worker] = [:] }

    /// A worker is gone; what it carried stays given out until its silence shows.
    mutating func forget(_ worker: WorkerID) { notices[worker] = nil }

    // MARK: Notices

    /// The worker should ask about the action.
    mutating func note(_ ticket: MonitorTicket, for worker: WorkerID) {
        notices[worker]?[ticket.vimID] = ticket.actionID
    }

    /// What a worker should ask about; it stays so until the worker has.
    func notices(for worker: WorkerID, max: Int) -> [MonitorTicket] {
        notices[worker].map { $0.prefix(max).map { MonitorTicket($0.key, $0.value) } } ?? []
    }

    private mutating func settleNotice(_ ticket: MonitorTicket, of worker: WorkerID) {
        if notices[worker]?[ticket.vimID] == ticket.actionID { notices[worker]?[ticket.vimID] = nil }
    }

    // MARK: Inside

    private mutating func remove(_ vimID: VIMID) {
        guard let entry = entries[vimID] else { return }
        if let holder = entry.holder { note(MonitorTicket(vimID, entry.actionID), for: holder) }
        dropHolder(of: vimID)
        entries[vimID] = nil
    }

    private mutating func dropHolder(of vimID: VIMID) {
        guard let holder = entries[vimID]?.holder else { return }
        entries[vimID]?.holder = nil
        let left = load(of: holder) - 1
        loads[holder] = left > 0 ? left : nil
    }
}
