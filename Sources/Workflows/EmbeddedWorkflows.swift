public import Logging
public import Registry

/// Runs monitor actions inside this process: one scheduler for all of them, no task or thread per VIM.
public final class EmbeddedWorkflows: MonitorBackend, ProbeJournal {
    /// The word stored with launches and stops.
    public let name = "embedded"

    private let host: ActionHost

    /// Prepares everything and starts nothing; ``run()`` does the work.
    ///
    /// - Parameters:
    ///   - submitter: takes the status reports.
    ///   - credentials: gives each probe the `auth_cred` it needs.
    ///   - defaults: what VIMs leave out of `extra.monitor`; what this leaves out in turn is 10 s between
    ///     probes, 5 s for each, 3 failures to be unreachable, 1 answer to be reachable, and the probe that
    ///     suits the VIM's type.
    ///   - reportInterval: an action that has nothing new reports this often.
    ///   - logger: told when an action ends and when the conductor takes no reports; never a secret.
    public init(
        submitter: any CommandSubmitter, credentials: any CredentialSource, defaults: MonitorSettings,
        reportInterval: Duration = .seconds(60), logger: Logger
    ) {
        host = ActionHost(
            credentials: credentials, defaults: defaults, reportInterval: reportInterval, logger: logger,
            reporter: { (report) async throws(CommandFailure) in try await submitter.report(report) })
    }

    /// Works until its task is cancelled, then ends within a second; call it once.
    public func run() async throws { await host.run() }

    /// The actions that run now.
    public func sightings(of vims: Set<VIMID>?) async -> [VIMID: [MonitorSighting]] {
        await host.running(of: vims).mapValues { [MonitorSighting($0)] }
    }

    /// Starts an action; whatever runs for the same VIM under another id is stopped first.
    public func launch(_ assignment: MonitorAssignment) async throws { await host.launch(assignment) }

    /// Hands a running action new settings, which it always takes; does nothing if it does not run.
    @discardableResult
    public func adjust(_ assignment: MonitorAssignment) async -> Bool {
        await host.adjust(assignment)
        return true
    }

    /// Stops an action; does nothing if it does not run.
    public func stop(_ vimID: VIMID, actionID: MonitorActionID) async {
        await host.stop(vimID, actionID: actionID)
    }

    /// The last probes of a VIM; nil if nothing probes it here.
    public func record(of vimID: VIMID) async -> ProbeRecord? { await host.record(of: vimID) }
}
