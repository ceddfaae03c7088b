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
        if let pair = settings.pair {
            return try await PairServer(server: self, pair: pair).run(logger: logger)
        }
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

    func conductorOptions(_ lines: ReplayLines) -> Conductor.Options {
        var options = Conductor.Options(directory: settings.directory)
        options.masterKeyFile = settings.masterKeyFile
        options.replacesMasterKey = settings.replacesMasterKey
        options.version = Vedette.version
        options.progress = { lines.note($0) }
        return options
    }

    private func openConductor(logger: Logger) async throws -> Conductor {
        let options = conductorOptions(ReplayLines(logger: logger))
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
        let office = try BackOffice(settings, conductor: conductor, logger: logger)
        var rest = restConfiguration
        if let publisher = office.publisher { rest.publishedHead = { publisher.note } }
        let door = RESTDoor(
            registrar: conductor, reader: conductor, drivers: drivers(client),
            probes: office.workflows.probes,
            configuration: rest, logger: logger)
        let service = doorService(door, logger: logger)
        // Stopped in reverse: the door first, then those who watch; the conductor outlives them all.
        try await run(
            office.services + [.init(service: Later(gate: office.operatorsReady, service: service))],
            logger: logger)
    }

    /// Runs services until a signal, and then lets them finish.
    func run(_ services: [ServiceGroupConfiguration.ServiceConfiguration], logger: Logger) async throws {
        var group = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        group.maximumGracefulShutdownDuration = .seconds(4)
        group.maximumCancellationDuration = .seconds(4)
        try await ServiceGroup(configuration: group).run()
    }

    var restConfiguration: RESTConfiguration {
        RESTConfiguration(
            legacyStatusCodes: settings.legacyStatusCodes, registrationCheck: settings.registrationCheck,
            serverVersion: Vedette.version,
            // Half is the probes' (`FleetLimits`); what nobody may take is the log's, the broker's and the
            // runtime's: libdispatch ends the process when it cannot look at its own threads in /proc.
            connectionMax: OpenFiles.raisedMax() / 4)
    }

    func drivers(_ client: VIMHTTPClient) -> [VIMType: any VIMDriver] {
        [.openstack: OpenStackDriver(client: client), .kubernetes: KubernetesDriver(client: client)]
    }

    func doorService(_ door: RESTDoor, logger: Logger) -> any Service {
        let (host, directory) = (settings.host, settings.directory)
        return door.service(host: host, port: settings.port) { port in
            let address = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
            logger.notice("serving", metadata: ["address": "http://\(address)"])
            do {
                try ServerFile(pid: getpid(), address: address, version: Vedette.version).write(to: directory)
            } catch {
                logger.warning("the server file could not be written", metadata: ["reason": "\(error)"])
            }
        }
    }

    func failure(_ error: any Error) -> any Error {
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
