import Conductor
import KeystoneClient
import Logging
import MistralClient
import OsloMessaging
import RPCRequests
import Registry
import Workflows

/// Where monitor actions run, with what the rest of the server must know of it.
struct ChosenBackend: Sendable {
    var backend: any MonitorBackend
    /// The last probes; nil if they are made where nobody here sees them.
    var probes: (any ProbeJournal)?
    /// What is served on the conductor's topic besides `update_vim`.
    var methods: [any RPCMethod] = []
    /// How its workers are looked at; nil if it has none.
    var roster: WorkerRosterReader?
    /// Whether actions report through the RPC door, so that nobody's silence counts while its broker is away.
    var reportsOverRPC = false
    /// Works until it is cancelled.
    var run: @Sendable () async throws -> Void

    /// - Throws: ``Failure`` if what the backend needs cannot be used.
    init(_ settings: ServeSettings, conductor: Conductor, logger: Logger) throws {
        switch (settings.workflows, settings.rpc) {
        case (.mistral, let rpc?):
            guard let mistral = settings.mistral else {
                preconditionFailure("settings with --workflows mistral name a Mistral")
            }
            let connection: ServiceConnection
            do throws(ServiceFault) {
                connection = try ServiceConnection(authorities: mistral.authorities)
            } catch { throw Failure("--mistral-ca-file: \(error)") }
            let keystone = mistral.account.map { KeystoneSession(account: $0, connection: connection) }
            let target = rpc.options.topology.target
            backend = MistralWorkflows(
                mistral: MistralAPI(url: mistral.url, connection: connection, keystone: keystone),
                credentials: conductor,
                options: .init(
                    exchange: target.exchange, topic: target.topic, defaults: settings.monitor,
                    reportInterval: settings.reportInterval))
            probes = nil
            reportsOverRPC = true
            run = {
                // Nothing of ours runs: the executors work. Ends by cancellation alone.
                while (try? await Task.sleep(for: .seconds(3_600))) != nil {}
                await connection.shutdown()
            }
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
            reportsOverRPC = true
            run = { await workers.run() }
        case (.embedded, _), (.workers, nil), (.mistral, nil):
            let embedded = EmbeddedWorkflows(
                submitter: conductor, credentials: conductor, defaults: settings.monitor,
                reportInterval: settings.reportInterval, logger: logger)
            (backend, probes) = (embedded, embedded)
            run = { try await embedded.run() }
        }
    }
}
