import Conductor
import Logging
import OsloMessaging
import RPCRequests
import Registry
import Workflows

/// Where monitor actions run, with what the rest of the server must know of it.
struct ChosenBackend: Sendable {
    var backend: any MonitorBackend
    var probes: any ProbeJournal
    /// What is served on the conductor's topic besides `update_vim`.
    var methods: [any RPCMethod] = []
    /// How its workers are looked at; nil if it has none.
    var roster: WorkerRosterReader?
    /// Whether reports cannot come in now, so that nobody's silence counts.
    var isDeaf: @Sendable () -> Bool = { false }
    /// Works until it is cancelled.
    var run: @Sendable () async throws -> Void

    init(_ settings: ServeSettings, conductor: Conductor, logger: Logger) {
        switch (settings.workflows, settings.rpc) {
        case (.workers, let rpc?):
            var options = WorkerWorkflows.Options(
                url: rpc.url, topic: rpc.options.topology.target.topic, epoch: conductor.start.epoch)
            options.defaults = settings.monitor
            options.reportInterval = settings.reportInterval
            options.secret = settings.workerSecret
            let workers = WorkerWorkflows(
                options, registry: conductor, credentials: conductor, submitter: conductor, logger: logger)
            (backend, probes) = (workers, workers)
            methods = workers.methods
            roster = WorkerRosterReader(
                workers: { workers.workers() }, waitingCount: { workers.waitingCount })
            isDeaf = { workers.isDeaf }
            run = { await workers.run() }
        case (.embedded, _), (.workers, nil):
            let embedded = EmbeddedWorkflows(
                submitter: conductor, credentials: conductor, defaults: settings.monitor,
                reportInterval: settings.reportInterval, logger: logger)
            (backend, probes) = (embedded, embedded)
            run = { try await embedded.run() }
        }
    }
}
