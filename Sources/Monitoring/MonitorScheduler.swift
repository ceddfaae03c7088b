package import Logging
package import Registry

/// Drives a ``MonitorFleet`` by the clock and performs its effects.
///
/// One actor, one task that waits for what is due next, and one short task for each probe or report under
/// way, whose number the fleet bounds.
package actor MonitorScheduler {
    /// Makes one probe.
    package typealias Prober = @Sendable (ProbeOrder) async -> ProbeOutcome
    /// Carries a report to the registry and brings its answer.
    package typealias Reporter = @Sendable (StatusReport) async throws(CommandFailure) -> ReportAnswer

    /// The longest nap of the waiting task: what becomes due earlier meanwhile is late by no more.
    private static let napMax = Duration.milliseconds(25)

    private var fleet: MonitorFleet
    private var random: any RandomNumberGenerator & Sendable
    private let clock: MonitorClock
    private let defaults: MonitorSettings
    private var reportIntervalMilliseconds: UInt32
    private let prober: Prober
    private let reporter: Reporter
    private let logger: Logger
    /// Effects on their way to the tasks of ``run()``; bounded by the fleet's limits.
    private let effects: AsyncStream<MonitorFleet.Effect>
    private let effectsIn: AsyncStream<MonitorFleet.Effect>.Continuation
    private var isRegistryUnreachable = false

    package init(
        limits: FleetLimits, defaults: MonitorSettings, reportInterval: Duration,
        clock: MonitorClock = .system, random: any RandomNumberGenerator & Sendable,
        logger: Logger, prober: @escaping Prober, reporter: @escaping Reporter
    ) {
        fleet = MonitorFleet(limits: limits)
        self.random = random
        self.clock = clock
        self.defaults = defaults
        reportIntervalMilliseconds = MonitorScheduler.milliseconds(reportInterval)
        self.prober = prober
        self.reporter = reporter
        self.logger = logger
        (effects, effectsIn) = AsyncStream.makeStream()
    }

    /// Works until its task is cancelled; call it once.
    package func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.keepTime() }
            for await effect in effects {
                group.addTask { await self.perform(effect) }
            }
            group.cancelAll()
        }
    }

    /// The actions that run.
    package var running: [VIMID: MonitorActionID] { fleet.running }

    /// Those of some VIMs.
    package func running(of vims: Set<VIMID>) -> [VIMID: MonitorActionID] {
        vims.reduce(into: [:]) { $0[$1] = fleet.running(of: $1) }
    }

    /// Starts an action, in the place of any other for the same VIM.
    package func launch(_ assignment: MonitorAssignment) {
        fleet.launch(
            assignment, pace: pace(of: assignment), kind: kind(of: assignment), now: clock.now(),
            phase: Double.random(in: 0..<1, using: &random))
        advance()
    }

    /// Gives a running action new settings.
    package func adjust(_ assignment: MonitorAssignment) {
        fleet.adjust(
            assignment, pace: pace(of: assignment), kind: kind(of: assignment), now: clock.now(),
            phase: Double.random(in: 0..<1, using: &random))
        advance()
    }

    /// Stops an action.
    package func stop(_ vimID: VIMID, actionID: MonitorActionID) {
        _ = fleet.stop(vimID, actionID: actionID)
    }

    /// Actions launched or adjusted from now on report this often although nothing is new.
    package func setReportInterval(_ interval: Duration) {
        reportIntervalMilliseconds = MonitorScheduler.milliseconds(interval)
    }

    private static func milliseconds(_ interval: Duration) -> UInt32 {
        UInt32(clamping: max(1, interval.wholeMicroseconds / 1_000))
    }

    /// The last probes of a VIM; nil if nothing probes it here.
    package func record(of vimID: VIMID) -> ProbeRecord? { fleet.record(of: vimID) }

    private func pace(of assignment: MonitorAssignment) -> MonitorPace {
        MonitorPace(
            assignment.settings.filled(from: defaults),
            reportIntervalMilliseconds: reportIntervalMilliseconds)
    }

    private func kind(of assignment: MonitorAssignment) -> ProbeKind {
        assignment.settings.probe ?? defaults.probe ?? assignment.type.defaultProbe
    }

    private func keepTime() async {
        while !Task.isCancelled {
            advance()
            let wait = fleet.nextDue.microseconds(since: min(clock.now(), fleet.nextDue))
            let nap = min(MonitorScheduler.napMax, .microseconds(max(wait, 1_000)))
            guard (try? await clock.sleep(nap)) != nil else { return }
        }
    }

    private func advance() {
        for effect in fleet.advance(now: clock.now(), wallTime: clock.wallTime()) {
            effectsIn.yield(effect)
        }
    }

    private nonisolated func perform(_ effect: MonitorFleet.Effect) async {
        switch effect {
        case .probe(let ticket):
            let outcome = await prober(ticket.order)
            await probeFinished(ticket, outcome)
        case .report(let ticket, let report):
            do {
                let answer = try await reporter(report)
                await reportAnswered(ticket, report, answer)
            } catch {
                await reportFailed(ticket, error)
            }
        }
    }

    private func probeFinished(_ ticket: MonitorFleet.ProbeTicket, _ outcome: ProbeOutcome) {
        fleet.probeFinished(ticket, outcome, now: clock.now())
        advance()
    }

    private func reportAnswered(
        _ ticket: MonitorFleet.ReportTicket, _ report: StatusReport, _ answer: ReportAnswer
    ) {
        if isRegistryUnreachable {
            isRegistryUnreachable = false
            logger.notice("the conductor takes monitor reports again")
        }
        if fleet.reportAnswered(ticket, answer, now: clock.now()) {
            logger.info(
                "monitor action ended: it is no longer the wanted one",
                metadata: ["vim_id": "\(report.id)", "action_id": "\(report.actionID)"])
        }
        advance()
    }

    private func reportFailed(_ ticket: MonitorFleet.ReportTicket, _ error: CommandFailure) {
        // Once for the trouble, not once for each of a hundred thousand actions.
        if !isRegistryUnreachable, !Task.isCancelled {
            isRegistryUnreachable = true
            logger.warning(
                "the conductor takes no monitor reports; probing goes on and the newest status is kept",
                metadata: ["reason": "\(error.sentence)"])
        }
        fleet.reportFailed(ticket, jitter: Double.random(in: 0..<1, using: &random), now: clock.now())
        advance()
    }
}
