import Conductor
import Logging
import OperatorRequests
import RPCRequests
import Registry
import ServiceLifecycle

/// Everything that works for a conductor but the REST door: monitors and those who look after them, the RPC
/// door, archiving, signed heads, and the operators' door.
struct BackOffice: Sendable {
    let workflows: ChosenBackend
    /// Signs and publishes heads; nil if nobody wants them.
    let publisher: HeadPublisher?
    /// To be run in a group, and stopped in reverse.
    let services: [ServiceGroupConfiguration.ServiceConfiguration]
    /// Ends when the operators' door takes connections.
    let operatorsReady: AsyncStream<Void>

    /// - Throws: ``Failure`` if what the backend needs cannot be used.
    init(_ settings: ServeSettings, conductor: Conductor, logger: Logger) throws {
        let workflows = try ChosenBackend(settings, conductor: conductor, logger: logger)
        let rpc = settings.rpc.map {
            RPCDoor(
                $0, submitter: conductor, reader: conductor, others: workflows.methods, logger: logger)
        }
        let reconciler = Reconciler(
            conductor: conductor, backend: workflows.backend,
            // What vanished is found as soon as what fell silent would be.
            fullPassInterval: min(Reconciler.defaultFullPassInterval, settings.reportInterval), logger: logger
        )
        let reportDoor = workflows.reportsOverRPC ? rpc : nil
        let supervisor = Supervisor(
            conductor: conductor, owed: reconciler.owed, advice: workflows.backend.adviceOnSilence,
            isDeaf: { reportDoor.map { !$0.canHear } ?? false }, reportInterval: settings.reportInterval,
            logger: logger)
        let publisher = settings.publishing.map { HeadPublisher($0, conductor: conductor, logger: logger) }
        let (operatorsReady, operatorsReadyIn) = AsyncStream<Void>.makeStream()
        let operators = OperatorDoor(
            directory: settings.directory,
            tasks: [
                ArchiveTask(conductor: conductor), DropTask(conductor: conductor),
                RotationTask(conductor: conductor), WorkersTask(roster: workflows.roster),
            ], logger: logger, onReady: { operatorsReadyIn.finish() })
        var services: [ServiceGroupConfiguration.ServiceConfiguration] = []
        if let publisher { services.append(.init(service: Loop { await publisher.run() })) }
        if let policy = settings.archiving {
            services.append(
                .init(service: Loop { await conductor.keepArchiving(by: policy, logger: logger) }))
        }
        if let rpc { services.append(.init(service: Loop { await rpc.run() })) }
        services += [
            .init(service: Loop { try await workflows.run() }),
            .init(service: Loop { await supervisor.run() }),
            .init(service: Loop { await reconciler.run() }),
            .init(service: operators),
        ]
        (self.workflows, self.publisher, self.services) = (workflows, publisher, services)
        self.operatorsReady = operatorsReady
    }
}
