import Conductor
import EventLog
import Foundation
import Glibc
import Logging
import Monitoring
import OperatorRequests
import Projections
import RESTRequests
import RPCRequests
import Registry
import ServiceLifecycle
import UnixSignals
import VIMDrivers

/// The wiring of `vedette serve`: log and conductor, monitors, and the REST door, in one service group.
struct Server {
    let settings: ServeSettings

    func run() async throws {
        let level = settings.logLevel
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = level
            return handler
        }
        let logger = Logger(label: "vedette")
        let conductor = try await openConductor(logger: logger)
        let client = VIMHTTPClient()
        do {
            try await serve(conductor, client: client, logger: logger)
        } catch {
            await conductor.stop()
            await client.shutdown()
            throw failure(error)
        }
        await conductor.stop()
        await client.shutdown()
        ServerFile.remove(from: settings.directory)
        logger.info("stopped")
    }

    private func openConductor(logger: Logger) async throws -> Conductor {
        var options = Conductor.Options(directory: settings.directory)
        options.masterKeyFile = settings.masterKeyFile
        options.replacesMasterKey = settings.replacesMasterKey
        options.version = Vedette.version
        let lines = ReplayLines(logger: logger)
        options.progress = { lines.note($0) }
        EventLog.explainDamagedPages(of: settings.directory)
        // While serving, a crash of our own must be seen as one.
        defer { EventLog.explainDamagedPages(of: settings.directory, isServing: true) }
        do throws(StartFault) {
            let conductor = try await Conductor(options, logger: logger)
            let start = conductor.start
            logger.info(
                "log opened",
                metadata: [
                    "directory": "\(settings.directory)", "epoch": "\(start.epoch)",
                    "replayed": "\(start.replayedCount)", "checkpoint": "\(start.checkpointPosition)",
                    "vims": "\(conductor.read { $0.registeredCount })",
                ])
            return conductor
        } catch { throw Failure(error.sentence) }
    }

    private func serve(_ conductor: Conductor, client: VIMHTTPClient, logger: Logger) async throws {
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
        var rest = RESTConfiguration(
            legacyStatusCodes: settings.legacyStatusCodes, registrationCheck: settings.registrationCheck,
            serverVersion: Vedette.version,
            // Half is the probes' (`FleetLimits`); what nobody may take is the log's, the broker's and the
            // runtime's: libdispatch ends the process when it cannot look at its own threads in /proc.
            connectionMax: OpenFiles.raisedMax() / 4)
        if let publisher { rest.publishedHead = { publisher.note } }
        let door = RESTDoor(
            registrar: conductor, reader: conductor,
            drivers: [
                .openstack: OpenStackDriver(client: client), .kubernetes: KubernetesDriver(client: client),
            ],
            probes: workflows.probes,
            configuration: rest,
            logger: logger)
        let (operatorsReady, operatorsReadyIn) = AsyncStream<Void>.makeStream()
        let operators = OperatorDoor(
            directory: settings.directory, tasks: operatorTasks(conductor, workflows), logger: logger,
            onReady: { operatorsReadyIn.finish() })
        let (host, directory) = (settings.host, settings.directory)
        let service = door.service(host: host, port: settings.port) { port in
            let address = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
            logger.notice("serving", metadata: ["address": "http://\(address)"])
            do {
                try ServerFile(pid: getpid(), address: address, version: Vedette.version).write(to: directory)
            } catch {
                logger.warning("the server file could not be written", metadata: ["reason": "\(error)"])
            }
        }
        // Stopped in reverse: the door first, then those who watch; the conductor outlives them all.
        var services: [ServiceGroupConfiguration.ServiceConfiguration] = []
        if let publisher { services.append(.init(service: Loop { await publisher.run() })) }
        if let policy = settings.archiving {
            services.append(
                .init(service: Loop { await conductor.keepArchiving(by: policy, logger: logger) }))
        }
        if let rpc { services.append(.init(service: Loop { await rpc.run() })) }
        var group = ServiceGroupConfiguration(
            services: services + [
                .init(service: Loop { try await workflows.run() }),
                .init(service: Loop { await supervisor.run() }),
                .init(service: Loop { await reconciler.run() }),
                .init(service: operators),
                .init(service: Later(gate: operatorsReady, service: service)),
            ], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        group.maximumGracefulShutdownDuration = .seconds(4)
        group.maximumCancellationDuration = .seconds(4)
        try await ServiceGroup(configuration: group).run()
    }

    /// What operators may ask of the running server.
    private func operatorTasks(_ conductor: Conductor, _ workflows: ChosenBackend) -> [any OperatorTask] {
        [
            ArchiveTask(conductor: conductor), DropTask(conductor: conductor),
            RotationTask(conductor: conductor),
            WorkersTask(roster: workflows.roster),
        ]
    }

    private func failure(_ error: any Error) -> any Error {
        let text = "\(error)"
        if text.contains("errno: \(EADDRNOTAVAIL)") || text.contains("UnknownHost") {
            return Failure("--listen: \(settings.host) is no address of this machine: name one that is")
        }
        guard text.contains("errno: \(EADDRINUSE)") || text.contains("Address already in use") else {
            return error is Failure ? error : Failure(text)
        }
        return Failure(
            "\(settings.host):\(settings.port) is in use already: stop what listens there, or choose another "
                + "place with --listen")
    }
}

/// A service that starts when a gate opens.
///
/// One server socket is set up after the other: with both at once, Swift 6.3's runtime crashed twice in
/// some 450 starts on an event loop's thread (a null metadata pointer), most likely because two loops made
/// the same types for the first time together. It also lets commands find the operator's door as soon as
/// the server says where it serves.
private struct Later: Service {
    let gate: AsyncStream<Void>
    let service: any Service

    func run() async throws {
        for await _ in gate {}
        try await service.run()
    }
}

/// Something that runs until it is cancelled, as a service that a graceful shutdown ends.
private struct Loop: Service {
    let body: @Sendable () async throws -> Void

    func run() async throws {
        try await cancelWhenGracefulShutdown {
            do { try await body() } catch is CancellationError {}
        }
    }
}
