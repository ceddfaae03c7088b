import Registry

/// The conductor's side of the workers as a value: what is given out, who is there, who gets how much.
///
/// Time is what its caller passes in, since the desk's beginning.
struct WorkerDesk {
    /// What does not change while the desk lives.
    struct Settings {
        /// The conductor's epoch.
        var epoch: UInt64
        /// Actions report at least so often.
        var reportInterval: Duration
        /// What VIMs leave out of their settings.
        var defaults: MonitorSettings

        /// Workers announce themselves four times in a report interval.
        var announceInterval: Duration { max(.milliseconds(250), reportInterval / 4) }
        /// The broker keeps a ticket so long: as long as supervision bears an action that never spoke.
        var ticketLife: Duration { reportInterval * 24 }
    }

    /// What became of a ticket that a worker showed.
    enum Verdict: Hashable {
        case carry(MonitorAssignment)
        case stale
        case elsewhere
    }

    /// One worker as an operator sees it.
    struct Sight {
        var facts: WorkerFacts
        /// How many actions the conductor believes it to carry.
        var load: Int
        /// It takes actions while it carries fewer.
        var loadMax: Int
        /// Since it was last heard.
        var silence: Duration
    }

    /// So many changes are told in one answer; more follow in the next, at once.
    static let noticeMax = 256
    /// So many tickets are written in one turn.
    static let writeMax = 1_024

    let settings: Settings
    private var book = AssignmentBook()
    private var roster: WorkerRoster
    /// When the workers could first be heard; nil while they cannot.
    private var hearingSince: Duration?
    /// What was wanted when this conductor began: an earlier one may have given it out, and no one knows to
    /// whom until the workers have had time to say so.
    private var inherited: [VIMID: MonitorActionID]
    private(set) var isUp = false
    private var isShort = false

    /// - Parameter inherited: the actions that are wanted as this conductor begins.
    init(_ settings: Settings, inherited: [VIMID: MonitorActionID] = [:]) {
        self.settings = settings
        self.inherited = inherited
        roster = WorkerRoster(announceInterval: settings.announceInterval, epoch: settings.epoch)
    }

    // MARK: The reconciler's side

    /// What was given out, as far as it is known: a new conductor believes that what it found runs, until
    /// those who carry it have had time to say so.
    func sightings(of vims: Set<VIMID>?, now: Duration) -> [VIMID: [MonitorSighting]] {
        var actions = book.actions
        if isGathering(now: now) { actions.merge(inherited) { known, _ in known } }
        if let vims { actions = actions.filter { vims.contains($0.key) } }
        return actions.mapValues { [MonitorSighting($0)] }
    }

    /// Whether workers of an earlier conductor may not have had time to say what they carry.
    func isGathering(now: Duration) -> Bool {
        guard let hearingSince else { return true }
        return now - hearingSince <= roster.memory
    }

    /// Gives an action out; true if its ticket is to be written now.
    mutating func launch(_ assignment: MonitorAssignment, now: Duration) -> Bool {
        book.add(MonitorTicket(assignment.vimID, assignment.actionID), now: now)
    }

    /// Whoever carries the action hears of its new orders when it next announces itself.
    mutating func adjust(_ assignment: MonitorAssignment) {
        book.noteChange(of: MonitorTicket(assignment.vimID, assignment.actionID))
    }

    /// The action is not wanted any more.
    mutating func stop(_ ticket: MonitorTicket) {
        book.withdraw(ticket)
        if inherited[ticket.vimID] == ticket.actionID { inherited[ticket.vimID] = nil }
    }

    // MARK: The workers' side

    /// A worker is there.
    ///
    /// - Returns: its orders, and whether it is new here.
    mutating func announced(_ facts: WorkerFacts, now: Duration) -> (WorkerOrders, isNew: Bool) {
        let isNew = roster.heard(facts, now: now)
        if isNew { book.greet(facts.id) }
        let order = order(for: facts, now: now)
        return (
            WorkerOrders(
                session: roster.workers[facts.id]?.session ?? "", loadMax: order.loadMax,
                surplus: order.surplus,
                changed: book.notices(for: facts.id, max: WorkerDesk.noticeMax),
                announceInterval: settings.announceInterval, reportInterval: settings.reportInterval),
            isNew
        )
    }

    /// A worker asks for an action.
    ///
    /// Nobody is given what somebody was given before, be it by an earlier conductor: two would run under one
    /// id. A ticket that is left over starts nothing; what nobody carries gets a successor.
    /// - Parameters:
    ///   - wanted: what the VIM wants of its action; nil if it is not registered.
    ///   - isCarried: whether the worker says that it carries it already.
    ///   - hasReported: whether the action has reported.
    mutating func take(
        _ ticket: MonitorTicket, by worker: WorkerID, wanted: MonitorAssignment?, isCarried: Bool,
        hasReported: Bool
    ) -> Verdict {
        guard var wanted, wanted.actionID == ticket.actionID else {
            book.refuse(ticket, to: worker)
            return .stale
        }
        let holder = book.holder(of: ticket)
        if holder != worker {
            // It may have lost the answer by which it got it: then it says that it does not carry it.
            if let holder { book.note(ticket, for: holder) }
            let isAnothers = holder.map(roster.isThere) ?? false
            guard isCarried ? !isAnothers : book.isOffered(ticket) && !hasReported else { return .elsewhere }
        }
        book.take(ticket, by: worker)
        wanted.settings = wanted.settings.filled(from: settings.defaults)
        return .carry(wanted)
    }

    /// A worker gives an action back; false if it is not its own, so that nothing follows.
    mutating func released(_ ticket: MonitorTicket, by worker: WorkerID) -> Bool {
        book.release(ticket, by: worker)
    }

    /// A worker said goodbye.
    mutating func left(_ worker: WorkerID) -> WorkerFacts? {
        book.forget(worker)
        return roster.left(worker)
    }

    /// All workers that are there, by name.
    func sights(now: Duration) -> [Sight] {
        roster.workers.values.map { entry in
            Sight(
                facts: entry.facts, load: book.load(of: entry.facts.id),
                loadMax: order(for: entry.facts, now: now).loadMax, silence: now - entry.heardAt)
        }.sorted { ($0.facts.name, $0.facts.id.description) < ($1.facts.name, $1.facts.id.description) }
    }

    /// How many actions wait for a worker.
    var waitingCount: Int { book.waitingCount }

    // MARK: Time

    /// The connection to the broker came, or went: what was written may be lost, and who was silent may not
    /// have been able to speak.
    mutating func connection(isUp: Bool, now: Duration) {
        self.isUp = isUp
        guard isUp else { return }
        if hearingSince == nil { hearingSince = now }
        book.forgetWritten()
        roster.excuseSilence(now: now)
    }

    /// Forgets, and returns, the workers that fell silent.
    mutating func forgetSilent(now: Duration) -> [WorkerFacts] {
        guard isUp else { return [] }
        if !isGathering(now: now) { inherited = [:] }
        let silent = roster.forgetSilent(now: now)
        for facts in silent { book.forget(facts.id) }
        return silent
    }

    /// The tickets to write now.
    mutating func unwritten(now: Duration) -> [MonitorTicket] {
        book.takeUnwritten(now: now, life: settings.ticketLife, max: WorkerDesk.writeMax)
    }

    /// The actions for which there is no room; nil if nothing has changed since the last call.
    mutating func takeShortage(now: Duration) -> Int? {
        let count = book.overdueCount(now: now, patience: settings.announceInterval * 2)
        guard (count > 0) != isShort else { return nil }
        isShort = count > 0
        return count
    }

    private func order(for facts: WorkerFacts, now: Duration) -> FairShares.Order {
        // Before all have said what they carry, nobody's share is known.
        if isGathering(now: now) { return FairShares.Order(loadMax: facts.capacity, surplus: 0) }
        // By what the book says: what a worker said of itself is as old as its last announcement.
        func worker(_ facts: WorkerFacts) -> FairShares.Worker {
            FairShares.Worker(capacity: facts.capacity, load: book.load(of: facts.id))
        }
        return FairShares(
            roster.workers.values.map { worker($0.facts) }, waitingCount: book.waitingCount
        ).order(for: worker(facts))
    }
}
