import Logging
import Monitoring
import Registry

/// Carries monitor actions in this process: one scheduler and one bench of probes for all of them, no task or
/// thread per VIM.
///
/// What the embedded backend and a worker have in common; they differ in where assignments come from, where
/// credentials come from, and how reports travel.
final class ActionHost: Sendable {
    private let scheduler: MonitorScheduler
    private let bench: ProbeBench

    /// Prepares everything and starts nothing; ``run()`` does the work.
    ///
    /// - Parameter reporter: carries a report to the conductor and brings its answer.
    init(
        credentials: any CredentialSource, defaults: MonitorSettings, reportInterval: Duration,
        logger: Logger,
        reporter: @escaping @Sendable (StatusReport) async throws(CommandFailure) -> ReportAnswer
    ) {
        let bench = ProbeBench(credentials: credentials, logger: logger)
        self.bench = bench
        scheduler = MonitorScheduler(
            limits: .fitting(openFilesMax: OpenFiles.raisedMax()), defaults: defaults,
            reportInterval: reportInterval, random: SystemRandomNumberGenerator(), logger: logger,
            prober: { await bench.probe($0) }, reporter: reporter)
    }

    /// Works until its task is cancelled, then ends within a second; call it once.
    func run() async {
        await bench.start()
        await scheduler.run()
        await bench.stop()
    }

    /// The actions that run now; of some VIMs if they are named.
    func running(of vims: Set<VIMID>? = nil) async -> [VIMID: MonitorActionID] {
        guard let vims else { return await scheduler.running }
        return await scheduler.running(of: vims)
    }

    /// Starts an action; whatever runs for the same VIM under another id is stopped first.
    func launch(_ assignment: MonitorAssignment) async {
        await bench.forgetCredentials(of: assignment.vimID)
        await scheduler.launch(assignment)
    }

    /// Hands a running action new settings; does nothing if it does not run.
    func adjust(_ assignment: MonitorAssignment) async {
        await bench.forgetCredentials(of: assignment.vimID)
        await scheduler.adjust(assignment)
    }

    /// Stops an action; does nothing if it does not run.
    func stop(_ vimID: VIMID, actionID: MonitorActionID) async {
        await scheduler.stop(vimID, actionID: actionID)
        await bench.forgetCredentials(of: vimID)
    }

    /// Actions launched or adjusted from now on report this often although nothing is new.
    func setReportInterval(_ interval: Duration) async { await scheduler.setReportInterval(interval) }

    /// The last probes of a VIM; nil if nothing probes it here.
    func record(of vimID: VIMID) async -> ProbeRecord? { await scheduler.record(of: vimID) }
}
