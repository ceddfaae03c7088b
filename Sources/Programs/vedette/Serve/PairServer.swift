import AsyncHTTPClient
import Conductor
import EventLog
import Foundation
import HTTPTypes
import HighAvailability
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import OperatorRequests
import Projections
import RESTRequests
import Registry
import ServiceLifecycle
import Synchronization
import VIMDrivers

/// The wiring of `vedette serve --pair`: one door that is always open, and a back office as long as this node
/// leads.
struct PairServer {
    let server: Server
    let pair: NodeConfiguration

    func run(logger: Logger) async throws {
        let settings = server.settings
        let joining = Joining(pair, server.conductorOptions(ReplayLines(logger: logger)), logger: logger)
        let node = JoiningNode(joining)
        let isEmpty = joining.isEmpty
        if !isEmpty { node.set(try openNode(logger: logger)) }
        let client = VIMHTTPClient()
        let forwarder = Forwarder()
        let current = CurrentOffice()
        var rest = server.restConfiguration
        rest.role = PairRole(node: node, forwarder: forwarder)
        rest.publishedHead = { current.office?.publisher?.note }
        let door = RESTDoor(
            registrar: node, reader: node, drivers: server.drivers(client), probes: current,
            configuration: rest, logger: logger)
        // Stopped in reverse: the lead is handed over, with which the monitors end, while the door carries
        // what comes to the other node; then it takes nothing more.
        let services: [ServiceGroupConfiguration.ServiceConfiguration] = [
            .init(
                service: Loop {
                    if isEmpty {
                        try await joining.run()
                        node.set(try openNode(logger: logger))
                    }
                    try await node.node?.run()
                }),
            .init(
                service: Loop {
                    for await node in node.nodes { await follow(node, current, logger: logger) }
                }),
            .init(service: server.doorService(door, logger: logger)),
            .init(service: HandOver(node: node)),
        ]
        do { try await server.run(services, logger: logger) } catch {
            await forwarder.shutdown()
            await client.shutdown()
            throw server.failure((error as? PairFault).map { Failure($0.sentence) } ?? error)
        }
        await forwarder.shutdown()
        await client.shutdown()
        ServerFile.remove(from: settings.directory)
        logger.info("stopped")
    }

    private func openNode(logger: Logger) throws -> RunningNode {
        let settings = server.settings
        EventLog.explainDamagedPages(of: settings.directory)
        // While serving, a crash of our own must be seen as one.
        defer { EventLog.explainDamagedPages(of: settings.directory, isServing: true) }
        let lines = ReplayLines(logger: logger)
        do throws(PairFault) {
            let node = try RunningNode(opening: pair, server.conductorOptions(lines), logger: logger)
            logger.info(
                "log opened",
                metadata: [
                    "directory": "\(settings.directory)", "pair": "\(pair.pair)", "log": "\(node.name)",
                    "position": "\(node.position)", "vims": "\(node.registeredVIMs().count)",
                ])
            return node
        } catch { throw Failure(error.sentence) }
    }

    /// Opens a back office whenever this node begins to lead, and closes it when it ceases to.
    private func follow(_ node: RunningNode, _ current: CurrentOffice, logger: Logger) async {
        var open = OpenOffice([.init(service: standbyDoor(node, logger: logger))], logger: logger)
        for await role in node.roles {
            await open.close()
            switch role {
            case .standby:
                open = OpenOffice([.init(service: standbyDoor(node, logger: logger))], logger: logger)
            case .leading(let conductor):
                do {
                    let office = try BackOffice(server.settings, conductor: conductor, logger: logger)
                    current.set(office)
                    open = OpenOffice(office.services, logger: logger)
                } catch { logger.error("the monitors cannot run", metadata: ["reason": "\(error)"]) }
            }
        }
        await open.close()
        current.set(nil)
    }

    /// The operators' door of a node that follows: it says who leads.
    private func standbyDoor(_ node: RunningNode, logger: Logger) -> OperatorDoor {
        let leader: @Sendable () -> String? = {
            if case .follows(let leader, _) = node.standing { leader } else { nil }
        }
        return OperatorDoor(
            directory: server.settings.directory,
            tasks: [
                LeadersTask<ArchiveTask>(leader: leader), LeadersTask<DropTask>(leader: leader),
                LeadersTask<RotationTask>(leader: leader), LeadersTask<WorkersTask>(leader: leader),
            ], logger: logger)
    }
}

/// Services at work, until they are closed.
private struct OpenOffice {
    private let group: ServiceGroup
    private let work: Task<Void, Never>

    init(_ services: [ServiceGroupConfiguration.ServiceConfiguration], logger: Logger) {
        var configuration = ServiceGroupConfiguration(services: services, logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(4)
        configuration.maximumCancellationDuration = .seconds(4)
        let group = ServiceGroup(configuration: configuration)
        self.group = group
        work = Task {
            do { try await group.run() } catch {
                logger.error("the monitors ended", metadata: ["reason": "\(error)"])
            }
        }
    }

    func close() async {
        await group.triggerGracefulShutdown()
        await work.value
    }
}

/// Lets the other node lead when this one is asked to stop.
private struct HandOver: Service {
    let node: JoiningNode

    func run() async throws {
        try await gracefulShutdown()
        await node.node?.handOver()
    }
}

/// The back office of the epoch that this node leads, for a door that outlives it.
private final class CurrentOffice: ProbeJournal {
    private let current = Mutex<BackOffice?>(nil)

    var office: BackOffice? { current.withLock { $0 } }
    func set(_ office: BackOffice?) { current.withLock { $0 = office } }

    func record(of vimID: VIMID) async -> ProbeRecord? {
        guard let probes = office?.workflows.probes else { return nil }
        return await probes.record(of: vimID)
    }
}

/// What the door asks of the pair.
private struct PairRole: ServingRole {
    let node: JoiningNode
    let forwarder: Forwarder

    var standing: Standing {
        switch node.standing {
        case .leads: .serves
        case .follows(let leader, let silence): .follows(leader: leader, silence: silence)
        case .leaderless(let reason): .nobodyServes(reason)
        }
    }

    func forward(
        _ request: ForwardedRequest, to leader: String
    ) async throws(ForwardFault) -> ForwardedReply {
        try await forwarder.forward(request, to: leader)
    }
}

/// Carries requests to the other node's API.
private struct Forwarder: Sendable {
    private static let timeout = TimeAmount.seconds(70)
    private static let byteMax = 64 << 20
    private let client: HTTPClient

    init() {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.timeout.connect = .seconds(1)
        configuration.connectionPool.retryConnectionEstablishment = false
        client = HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: configuration)
    }

    func shutdown() async {
        // A failure to close leaves nothing to do: the process ends.
        try? await client.shutdown()
    }

    func forward(
        _ request: ForwardedRequest, to leader: String
    ) async throws(ForwardFault) -> ForwardedReply {
        var forwarded = HTTPClientRequest(url: "http://\(leader)\(request.head.path ?? "/")")
        forwarded.method = HTTPMethod(rawValue: request.head.method.rawValue)
        for field in request.head.headerFields where field.name != .contentLength {
            forwarded.headers.add(name: field.name.rawName, value: field.value)
        }
        // Links in the answer lead back to where the caller asked.
        forwarded.headers.replaceOrAdd(name: "host", value: request.head.authority ?? leader)
        if !request.body.isEmpty { forwarded.body = .bytes(request.body) }
        do {
            let answer = try await client.execute(forwarded, timeout: Forwarder.timeout)
            let body = try await answer.body.collect(upTo: Forwarder.byteMax)
            var headers = HTTPFields()
            for (name, value) in answer.headers {
                if let name = HTTPField.Name(name) { headers.append(HTTPField(name: name, value: value)) }
            }
            return ForwardedReply(
                status: Int(answer.status.code), headers: headers, body: Array(body.readableBytesView))
        } catch { throw Forwarder.hasLeft(error) ? .noAnswer : .notSent }
    }

    /// Whether a request that failed may have reached the other node.
    private static func hasLeft(_ error: any Error) -> Bool {
        if error is NIOConnectionError { return false }
        if let error = error as? HTTPClientError { return error != .connectTimeout }
        if case .connectTimeout? = error as? ChannelError { return false }
        return (error as? IOError)?.errnoCode != ECONNREFUSED
    }
}
