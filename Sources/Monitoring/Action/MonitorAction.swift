package import Registry

/// One monitor action as a value: when to probe, what the results mean, when to report.
///
/// It holds no clock, no random source and does no I/O. The order of things:
///
///     probing ──result──▶ counting ──threshold──▶ verdict ──▶ report ──▶ accepted, or bad_action: ended
///
/// The *verdict* is what this action believes; *told* is what the registry last accepted. A report goes out
/// at once when the two differ, and at every heartbeat whether they differ or not.
package struct MonitorAction: Hashable, Sendable {
    /// What the action claims when it reports.
    package struct Claim: Hashable, Sendable {
        /// What it believes.
        package var status: VIMStatus
        /// Why.
        package var finding: ProbeFinding
    }

    /// A verdict of unreachable is held back no longer than this for doubts about the own network.
    package static let holdMicrosecondsMax: Int64 = 60_000_000
    /// First and longest wait before a report is tried again, in milliseconds.
    package static let reportRetryMillisecondsMin: Int64 = 1_000
    package static let reportRetryMillisecondsMax: Int64 = 30_000

    /// How it works.
    package private(set) var pace: MonitorPace
    /// What it believes of the endpoint.
    package private(set) var verdict: VIMStatus
    /// What the registry last accepted.
    package private(set) var told: VIMStatus
    /// When the next probe is due; ``Moment/never`` while one runs.
    package private(set) var probeDue: Moment
    /// When the next report is due; ``Moment/never`` while one is on its way or there is nothing to say.
    package private(set) var reportDue: Moment
    /// Whether a probe runs.
    package private(set) var isProbing = false
    /// Whether it was told `bad_action`.
    package private(set) var hasEnded = false

    private var isReporting = false
    /// The status of the claim that is on its way.
    private var claimed = VIMStatus.pending
    /// Results in a row that contradict the verdict, and what they say.
    private var streak: UInt8 = 0
    private var streakAnswered = false
    /// Whether the newest conclusive result contradicts the verdict.
    private var isContradicted: Bool
    /// Why the verdict is what it is, from the newest result that agrees with it.
    private var finding = ProbeFinding.unstated
    private var failedReports: UInt8 = 0
    /// Regular probes and reports keep to a grid of their own, so that what was spread stays spread.
    private var probeGrid: Moment
    private var heartbeat: Moment
    private var heldSince = Moment.never

    /// A fresh action (`status` is pending) probes at once; one that is resumed starts from the status the
    /// registry believes, so that a restart raises no alarm, and spreads its first probe and report.
    ///
    /// - Parameter phase: 0 up to 1, random: this action's place within the interval.
    package init(pace: MonitorPace, status: VIMStatus, now: Moment, phase: Double) {
        let phase = min(max(phase, 0), 1)
        let interval = Double(pace.intervalMilliseconds)
        let reportInterval = Double(pace.reportIntervalMilliseconds)
        self.pace = pace
        verdict = status
        told = status
        isContradicted = status == .pending
        probeGrid = now.after(milliseconds: Int64(min(interval, reportInterval) * phase))
        // Not before a quarter: a resumed action should have probed before it speaks.
        heartbeat = now.after(milliseconds: Int64(reportInterval * (0.25 + 0.75 * phase)))
        probeDue = status == .pending ? now : probeGrid
        reportDue = status == .pending ? .never : heartbeat
    }

    /// Begins a probe if one is due; ``probeFinished(_:began:now:isDoubted:)`` is then owed.
    package mutating func beginProbe(now: Moment) -> Bool {
        guard !hasEnded, !isProbing, probeDue <= now else { return false }
        isProbing = true
        probeDue = .never
        return true
    }

    /// A probe ended.
    ///
    /// - Parameters:
    ///   - began: when the probe began.
    ///   - isDoubted: whether this machine's own network is in doubt, so that a failure proves little.
    package mutating func probeFinished(
        _ outcome: ProbeOutcome, began: Moment, now: Moment, isDoubted: Bool
    ) {
        guard !hasEnded, isProbing else { return }
        isProbing = false
        guard isConclusive(outcome, began: began, now: now) else {
            probeDue = max(now, began.after(milliseconds: Int64(pace.retryMilliseconds)))
            return
        }
        count(answered: outcome.meaning == .answered, outcome.finding, now: now, isDoubted: isDoubted)
        scheduleProbe(began: began, now: now)
        // After a failed report its wait holds for news too: the registry is in trouble.
        if verdict != told, !isReporting, failedReports == 0 { reportDue = now }
    }

    /// Begins a report if one is due; ``reportAnswered(_:now:)`` or ``reportFailed(jitter:now:)`` is then
    /// owed.
    package mutating func beginReport(now: Moment) -> Claim? {
        guard !hasEnded, !isReporting, reportDue <= now, verdict != .pending else { return nil }
        isReporting = true
        reportDue = .never
        claimed = verdict
        let interval = Int64(pace.reportIntervalMilliseconds) * 1_000
        heartbeat = heartbeat.nextOnGrid(interval: interval, notBefore: now.microseconds + 1)
        return Claim(status: verdict, finding: finding)
    }

    /// The registry answered the report; after `bad_action` nothing happens any more.
    package mutating func reportAnswered(_ answer: ReportAnswer, now: Moment) {
        guard !hasEnded, isReporting else { return }
        isReporting = false
        failedReports = 0
        switch answer {
        case .badAction:
            hasEnded = true
            probeDue = .never
            reportDue = .never
        case .accepted:
            told = claimed
            reportDue = verdict == told ? heartbeat : now
        }
    }

    /// A report got no answer: the newest status is kept and told later, with growing waits.
    ///
    /// - Parameter jitter: 0 up to 1, random, so that many actions do not come back in one instant.
    package mutating func reportFailed(jitter: Double, now: Moment) {
        guard !hasEnded, isReporting else { return }
        isReporting = false
        let doubled = MonitorAction.reportRetryMillisecondsMin << Int64(min(failedReports, 10))
        let wait = Double(min(doubled, MonitorAction.reportRetryMillisecondsMax))
        failedReports = min(failedReports, 254) + 1
        reportDue = now.after(milliseconds: Int64(wait * (0.5 + 0.5 * min(max(jitter, 0), 1))))
    }

    /// New settings for the same action: it counts afresh, keeps its verdict, and probes soon.
    package mutating func adjust(to pace: MonitorPace, now: Moment, phase: Double) {
        guard !hasEnded else { return }
        self.pace = pace
        streak = 0
        heldSince = .never
        probeGrid = now.after(
            milliseconds: Int64(Double(pace.intervalMilliseconds) * min(max(phase, 0), 1)))
        heartbeat = min(heartbeat, now.after(milliseconds: Int64(pace.reportIntervalMilliseconds)))
        if !isReporting, failedReports == 0, reportDue != .never { reportDue = min(reportDue, heartbeat) }
        if !isProbing { probeDue = now }
    }

    /// Asks for the next probe now instead of when it was due: its answer is wanted as a witness.
    package mutating func hastenProbe(now: Moment) {
        guard !hasEnded, !isProbing else { return }
        probeDue = min(probeDue, now)
    }

    /// Whether a verdict of unreachable is ready and held back for doubts about the own network.
    package var isHeld: Bool { heldSince != .never }

    /// Time lost to our own scheduling proves nothing: a failure is worth something only if the probe's
    /// end was noticed before twice its timeout had passed.
    package func isConclusive(_ outcome: ProbeOutcome, began: Moment, now: Moment) -> Bool {
        switch outcome.meaning {
        case .answered: true
        case .inconclusive: false
        case .failed: now.microseconds(since: began) <= 2_000 * Int64(pace.timeoutMilliseconds)
        }
    }

    private mutating func count(
        answered: Bool, _ newFinding: ProbeFinding, now: Moment, isDoubted: Bool
    ) {
        let status: VIMStatus = answered ? .reachable : .unreachable
        isContradicted = status != verdict
        guard isContradicted else {
            streak = 0
            heldSince = .never
            finding = newFinding
            return
        }
        streak = streakAnswered == answered ? min(streak, 254) + 1 : 1
        streakAnswered = answered
        guard streak >= (answered ? pace.successThreshold : pace.failureThreshold) else { return }
        if !answered, isDoubted {
            if heldSince == .never { heldSince = now }
            if now.microseconds(since: heldSince) < MonitorAction.holdMicrosecondsMax { return }
        }
        verdict = status
        finding = newFinding
        isContradicted = false
        streak = 0
        heldSince = .never
    }

    private mutating func scheduleProbe(began: Moment, now: Moment) {
        guard !isContradicted else {
            probeDue = max(now, began.after(milliseconds: Int64(pace.retryMilliseconds)))
            return
        }
        let interval = Int64(pace.intervalMilliseconds) * 1_000
        // The next point of the grid that leaves the endpoint half an interval of rest.
        let earliest = max(now.microseconds, began.microseconds + interval / 2)
        probeGrid = probeGrid.nextOnGrid(interval: interval, notBefore: earliest)
        probeDue = probeGrid
    }
}

extension Moment {
    /// The first of this moment, this moment plus one interval, plus two… that is not before `earliest`.
    fileprivate func nextOnGrid(interval: Int64, notBefore earliest: Int64) -> Moment {
        guard microseconds < earliest else { return self }
        let steps = (earliest - microseconds + interval - 1) / interval
        return Moment(microseconds: microseconds + steps * interval)
    }
}
