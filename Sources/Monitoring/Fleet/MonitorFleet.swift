import HeapModule
package import Registry

/// All monitor actions of one process as a value: 100,000 of them and no task or thread for any.
///
/// Two heaps hold what is due; an entry that no longer agrees with its action is stale and dropped when its
/// time comes. Whoever drives the fleet calls ``advance(now:wallTime:)`` when ``nextDue`` has come and after
/// every other input, and performs the effects.
package struct MonitorFleet: Sendable {
    /// What the fleet wants done.
    package enum Effect: Sendable {
        /// Probe; ``MonitorFleet/probeFinished(_:_:now:)`` is owed.
        case probe(ProbeTicket)
        /// Report; ``MonitorFleet/reportAnswered(_:_:now:)`` or `reportFailed` is owed.
        case report(ReportTicket, StatusReport)
    }

    /// Names a place for one action; a later action in the same place has another generation.
    package struct Place: Hashable, Sendable {
        var slot: UInt32
        var generation: UInt32
    }

    /// A probe under way.
    package struct ProbeTicket: Sendable {
        let place: Place
        let began: Moment
        let wallTime: Timestamp
        /// When the newest probe began that another endpoint answered, as known when this one began.
        let proof: Moment
        /// What to probe.
        package let order: ProbeOrder
    }

    /// A report under way.
    package struct ReportTicket: Sendable {
        let place: Place
    }

    private struct Due: Comparable, Sendable {
        var at: Moment
        var place: Place

        static func < (left: Due, right: Due) -> Bool { left.at < right.at }
    }

    private struct Slot: Sendable {
        var vimID: VIMID
        var actionID: MonitorActionID
        var authURL: String
        var kind: ProbeKind
        var action: MonitorAction
        var generation: UInt32
        var endpoint: UInt32
        var isUsed = true
        var rings = ProbeRings()
    }

    private let limits: FleetLimits
    private var slots: [Slot] = []
    private var freeSlots: [UInt32] = []
    private var slotOfVIM: [VIMID: UInt32] = [:]
    private var probes = Heap<Due>()
    private var reports = Heap<Due>()
    private var endpoints = EndpointTable()
    private var doubt = NetworkDoubt()
    private var witnessCursor = 0
    private var witnessesCalledAt = Moment(microseconds: .min)
    /// Probes under way, those of forgotten actions included.
    package private(set) var probeCount = 0
    /// Reports under way, those of forgotten actions included.
    package private(set) var reportCount = 0

    /// Witnesses (living endpoints, asked early when a verdict is held) called at most once in this time.
    private static let witnessPauseMicroseconds: Int64 = 1_000_000
    /// How many witnesses one call asks, and how many places it looks at to find them.
    private static let witnessesMax = 8
    private static let witnessLooksMax = 64

    package init(limits: FleetLimits) { self.limits = limits }

    // MARK: What runs

    /// How many actions run.
    package var count: Int { slotOfVIM.count }

    /// The actions that run.
    package var running: [VIMID: MonitorActionID] {
        slotOfVIM.mapValues { slots[Int($0)].actionID }
    }

    /// The action that runs for a VIM; nil if none does.
    package func running(of vimID: VIMID) -> MonitorActionID? {
        slotOfVIM[vimID].map { slots[Int($0)].actionID }
    }

    /// Starts an action, in the place of any other for the same VIM; the same action again is an adjustment.
    ///
    /// - Parameter phase: 0 up to 1, random: the action's place within its intervals.
    package mutating func launch(
        _ assignment: MonitorAssignment, pace: MonitorPace, kind: ProbeKind, now: Moment, phase: Double
    ) {
        if let slot = slotOfVIM[assignment.vimID] {
            guard slots[Int(slot)].actionID != assignment.actionID else {
                adjust(assignment, pace: pace, kind: kind, now: now, phase: phase)
                return
            }
            forget(slot)
        }
        let endpoint = join(assignment)
        let slot = freeSlots.popLast() ?? UInt32(slots.count)
        let isNew = Int(slot) == slots.count
        let entry = Slot(
            vimID: assignment.vimID, actionID: assignment.actionID, authURL: assignment.authURL, kind: kind,
            action: MonitorAction(pace: pace, status: assignment.status, now: now, phase: phase),
            generation: isNew ? 0 : slots[Int(slot)].generation &+ 1, endpoint: endpoint)
        if isNew { slots.append(entry) } else { slots[Int(slot)] = entry }
        slotOfVIM[assignment.vimID] = slot
        schedule(slot, probeDue: .never, reportDue: .never)
    }

    /// Gives a running action new settings; does nothing if it does not run or nothing is new.
    package mutating func adjust(
        _ assignment: MonitorAssignment, pace: MonitorPace, kind: ProbeKind, now: Moment, phase: Double
    ) {
        guard let slot = slotOfVIM[assignment.vimID], slots[Int(slot)].actionID == assignment.actionID
        else { return }
        let old = slots[Int(slot)]
        guard old.authURL != assignment.authURL || old.kind != kind || old.action.pace != pace
        else { return }
        if old.authURL != assignment.authURL {
            slots[Int(slot)].authURL = assignment.authURL
            leave(old.endpoint)
            slots[Int(slot)].endpoint = join(assignment)
        }
        slots[Int(slot)].kind = kind
        change(slot) { $0.adjust(to: pace, now: now, phase: phase) }
    }

    /// Stops an action; false if it does not run.
    package mutating func stop(_ vimID: VIMID, actionID: MonitorActionID) -> Bool {
        guard let slot = slotOfVIM[vimID], slots[Int(slot)].actionID == actionID else { return false }
        forget(slot)
        return true
    }

    /// The last probes of a VIM; nil if nothing probes it here.
    package func record(of vimID: VIMID) -> ProbeRecord? {
        guard let slot = slotOfVIM[vimID] else { return nil }
        return slots[Int(slot)].rings.record(target: slots[Int(slot)].authURL)
    }

    // MARK: What happens

    /// When ``advance(now:wallTime:)`` has something to do; never if nothing is due or all hands are full.
    package var nextDue: Moment {
        let probe = probeCount < limits.probesMax ? probes.min?.at ?? .never : .never
        let report = reportCount < limits.reportsMax ? reports.min?.at ?? .never : .never
        return min(probe, report)
    }

    /// Begins what is due, the longest overdue first, as far as the limits allow.
    package mutating func advance(now: Moment, wallTime: Timestamp) -> [Effect] {
        var effects: [Effect] = []
        while reportCount < limits.reportsMax, let due = reports.min, due.at <= now {
            reports.removeMin()
            guard isCurrent(due.place), slots[Int(due.place.slot)].action.reportDue == due.at else {
                continue
            }
            guard let claim = change(due.place.slot, { $0.beginReport(now: now) }) else { continue }
            reportCount += 1
            let slot = slots[Int(due.place.slot)]
            let report = StatusReport(
                id: slot.vimID, status: claim.status, actionID: slot.actionID, finding: claim.finding)
            effects.append(.report(ReportTicket(place: due.place), report))
        }
        while probeCount < limits.probesMax, let due = probes.min, due.at <= now {
            probes.removeMin()
            guard isCurrent(due.place), slots[Int(due.place.slot)].action.probeDue == due.at else {
                continue
            }
            guard change(due.place.slot, { $0.beginProbe(now: now) }) else { continue }
            probeCount += 1
            effects.append(.probe(ticket(due.place, now: now, wallTime: wallTime)))
        }
        return effects
    }

    /// A probe ended.
    package mutating func probeFinished(_ ticket: ProbeTicket, _ outcome: ProbeOutcome, now: Moment) {
        probeCount -= 1
        let place = ticket.place
        guard isCurrent(place) else { return }
        let index = Int(place.slot)
        slots[index].rings.append(outcome, kind: ticket.order.kind, at: ticket.wallTime)
        let endpoint = slots[index].endpoint
        var isDoubted = false
        var outcome = outcome
        // A probe ordered before an adjustment says nothing of what is to be probed now.
        if ticket.order.authURL != slots[index].authURL || ticket.order.kind != slots[index].kind {
            outcome.meaning = .inconclusive
        }
        if slots[index].action.isConclusive(outcome, began: ticket.began, now: now) {
            if outcome.meaning == .answered {
                doubt.answered(endpoint, began: ticket.began)
            } else {
                doubt.failed(endpoint, began: ticket.began)
                isDoubted = doubt.doubts(endpoint, proof: ticket.proof)
            }
        }
        let before = slots[index].action.verdict
        change(place.slot) {
            $0.probeFinished(outcome, began: ticket.began, now: now, isDoubted: isDoubted)
        }
        let action = slots[index].action
        if action.verdict == .unreachable, before != .unreachable { doubt.wasTold(endpoint) }
        if action.isHeld { callWitnesses(now: now) }
    }

    /// The registry answered a report; true if the action has ended and is forgotten.
    package mutating func reportAnswered(_ ticket: ReportTicket, _ answer: ReportAnswer, now: Moment) -> Bool
    {
        reportCount -= 1
        guard isCurrent(ticket.place) else { return false }
        change(ticket.place.slot) { $0.reportAnswered(answer, now: now) }
        guard slots[Int(ticket.place.slot)].action.hasEnded else { return false }
        forget(ticket.place.slot)
        return true
    }

    /// A report got no answer.
    ///
    /// - Parameter jitter: 0 up to 1, random.
    package mutating func reportFailed(_ ticket: ReportTicket, jitter: Double, now: Moment) {
        reportCount -= 1
        guard isCurrent(ticket.place) else { return }
        change(ticket.place.slot) { $0.reportFailed(jitter: jitter, now: now) }
    }

    // MARK: Inside

    private func ticket(_ place: Place, now: Moment, wallTime: Timestamp) -> ProbeTicket {
        let slot = slots[Int(place.slot)]
        let order = ProbeOrder(
            vimID: slot.vimID, actionID: slot.actionID, kind: slot.kind, authURL: slot.authURL,
            timeoutMilliseconds: slot.action.pace.timeoutMilliseconds)
        return ProbeTicket(
            place: place, began: now, wallTime: wallTime, proof: doubt.proof(for: slot.endpoint),
            order: order)
    }

    private func isCurrent(_ place: Place) -> Bool {
        slots[Int(place.slot)].isUsed && slots[Int(place.slot)].generation == place.generation
    }

    /// Changes an action and puts what became due into the heaps.
    @discardableResult
    private mutating func change<Result>(
        _ slot: UInt32, _ body: (inout MonitorAction) -> Result
    ) -> Result {
        let probeDue = slots[Int(slot)].action.probeDue
        let reportDue = slots[Int(slot)].action.reportDue
        let result = body(&slots[Int(slot)].action)
        schedule(slot, probeDue: probeDue, reportDue: reportDue)
        return result
    }

    /// Enters what differs from what the heaps hold already.
    private mutating func schedule(_ slot: UInt32, probeDue: Moment, reportDue: Moment) {
        let entry = slots[Int(slot)]
        let place = Place(slot: slot, generation: entry.generation)
        if entry.action.probeDue != probeDue, entry.action.probeDue != .never {
            probes.insert(Due(at: entry.action.probeDue, place: place))
        }
        if entry.action.reportDue != reportDue, entry.action.reportDue != .never {
            reports.insert(Due(at: entry.action.reportDue, place: place))
        }
    }

    private mutating func forget(_ slot: UInt32) {
        let index = Int(slot)
        slotOfVIM[slots[index].vimID] = nil
        leave(slots[index].endpoint)
        slots[index].isUsed = false
        slots[index].rings = ProbeRings()
        slots[index].authURL = ""
        freeSlots.append(slot)
    }

    private mutating func join(_ assignment: MonitorAssignment) -> UInt32 {
        let endpoint = endpoints.retain(ProbeTarget.endpoint(of: assignment.authURL))
        doubt.join(endpoint, isBelievedAlive: assignment.status == .reachable)
        return endpoint
    }

    private mutating func leave(_ endpoint: UInt32) {
        if endpoints.release(endpoint) { doubt.leave(endpoint) }
    }

    /// Asks some living endpoints early: one answer proves the own network.
    private mutating func callWitnesses(now: Moment) {
        guard now.microseconds(since: witnessesCalledAt) >= MonitorFleet.witnessPauseMicroseconds else {
            return
        }
        witnessesCalledAt = now
        var calledCount = 0
        for _ in 0..<min(MonitorFleet.witnessLooksMax, slots.count) {
            witnessCursor = (witnessCursor + 1) % slots.count
            let slot = slots[witnessCursor]
            guard slot.isUsed, doubt.isAlive(slot.endpoint), !slot.action.isProbing else { continue }
            change(UInt32(witnessCursor)) { $0.hastenProbe(now: now) }
            calledCount += 1
            if calledCount == MonitorFleet.witnessesMax { break }
        }
    }
}
