import Logging
import NIOCore
import NIOPosix
import Registry
import Synchronization
import Testing

@testable import Workflows

/// A registry of one VIM, as far as monitor actions see it.
private final class StubConductor: CommandSubmitter {
    private struct State {
        var reports: [StatusReport] = []
        var validAction: MonitorActionID
        var isDown = false
    }

    private let state: Mutex<State>

    init(validAction: MonitorActionID) { state = Mutex(State(validAction: validAction)) }

    func submit(_ command: Command, reply: @escaping CommandReply) { reply(answer(to: command)) }

    func submit(_ commands: [Command], mayBlock: Bool, reply: @escaping CommandsReply) {
        reply(commands.map(answer))
    }

    private func answer(to command: Command) -> Result<Outcome, CommandFailure> {
        guard case .report(let report) = command else { return .failure(.stopped) }
        let answer: ReportAnswer? = state.withLock { state in
            guard !state.isDown else { return nil }
            state.reports.append(report)
            return report.actionID == state.validAction ? .accepted(report.status) : .badAction
        }
        return answer.map { .success(.reported($0)) } ?? .failure(.stopped)
    }

    var reports: [StatusReport] { state.withLock { $0.reports } }

    func assign(_ action: MonitorActionID) { state.withLock { $0.validAction = action } }

    func setDown(_ isDown: Bool) { state.withLock { $0.isDown = isDown } }

    /// Waits for the next report of a status after the first so many reports.
    func report(of status: VIMStatus, after count: Int = 0) async throws -> StatusReport {
        while true {
            if let found = reports.dropFirst(count).first(where: { $0.status == status }) { return found }
            try await Task.sleep(for: .milliseconds(5))
        }
    }
}

private struct NoCredentials: CredentialSource {
    func credentials(of vimID: VIMID, for actionID: MonitorActionID) async -> JSONText? { nil }
}

/// An endpoint that answers every request, and can be killed and come back on its port.
private struct Endpoint {
    let port: Int
    private let channel: any Channel

    init(port: Int = 0) async throws {
        channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Answering())
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
        self.port = channel.localAddress?.port ?? 0
    }

    func kill() async throws { try await channel.close().get() }

    private final class Answering: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let answer = "HTTP/1.1 300 Multiple Choices\r\nContent-Length: 0\r\n\r\n"
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)), promise: nil)
        }
    }
}

@Suite("Embedded workflows", .timeLimit(.minutes(10)))
struct EmbeddedWorkflowsTests {
    private let vimID = VIMID(UniqueID(high: 1, low: 1))
    private let action = MonitorActionID(UniqueID(high: 2, low: 1))
    private let other = MonitorActionID(UniqueID(high: 2, low: 2))

    private func assignment(
        _ port: Int, action: MonitorActionID, status: VIMStatus = .pending, probe: ProbeKind? = nil
    ) -> MonitorAssignment {
        MonitorAssignment(
            vimID: vimID, actionID: action, type: .openstack, authURL: "http://127.0.0.1:\(port)/identity",
            settings: MonitorSettings(probe: probe, intervalMilliseconds: 100, failureThreshold: 2),
            status: status)
    }

    private func run(
        _ conductor: StubConductor, _ body: (EmbeddedWorkflows) async throws -> Void
    ) async throws {
        let workflows = EmbeddedWorkflows(
            submitter: conductor, credentials: NoCredentials(), defaults: MonitorSettings(),
            logger: Logger(label: "test"))
        #expect(workflows.name == "embedded")
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await workflows.run() }
            try await body(workflows)
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    @Test("A VIM is found reachable, unreachable when it dies, and reachable when it comes back")
    func lifeOfAnEndpoint() async throws {
        let endpoint = try await Endpoint()
        let conductor = StubConductor(validAction: action)
        try await run(conductor) { workflows in
            try await workflows.launch(assignment(endpoint.port, action: action))
            let first = try await conductor.report(of: .reachable)
            #expect(first.finding.reason == .answered)
            #expect(first.finding.detail == 300)
            #expect(first.id == vimID)
            #expect(first.actionID == action)
            #expect(await workflows.sightings(of: nil) == [vimID: [MonitorSighting(action)]])

            try await endpoint.kill()
            let second = try await conductor.report(of: .unreachable)
            #expect(second.finding.reason == .connectionRefused)
            let record = await workflows.record(of: vimID)
            #expect(record?.failures.isEmpty == false)
            #expect(record?.results.last?.kind == .http)
            #expect(record?.results.last?.target == "http://127.0.0.1:\(endpoint.port)/identity")

            let again = try await Endpoint(port: endpoint.port)
            _ = try await conductor.report(of: .reachable, after: conductor.reports.count)
            try await again.kill()
        }
    }

    @Test("An action that is no longer the wanted one ends; the one launched in its place goes on")
    func badAction() async throws {
        let endpoint = try await Endpoint()
        let conductor = StubConductor(validAction: other)
        try await run(conductor) { workflows in
            try await workflows.launch(assignment(endpoint.port, action: action))
            while await !workflows.sightings(of: nil).isEmpty { try await Task.sleep(for: .milliseconds(5)) }
            #expect(conductor.reports.map(\.actionID) == [action])
            try await workflows.launch(assignment(endpoint.port, action: other))
            while conductor.reports.last?.actionID != other { try await Task.sleep(for: .milliseconds(5)) }
            #expect(await workflows.sightings(of: [vimID]) == [vimID: [MonitorSighting(other)]])
            await workflows.stop(vimID, actionID: action)
            #expect(await workflows.sightings(of: [vimID]) == [vimID: [MonitorSighting(other)]])
            await workflows.stop(vimID, actionID: other)
            #expect(await workflows.sightings(of: [vimID]).isEmpty)
            #expect(await workflows.record(of: vimID) == nil)
        }
        try await endpoint.kill()
    }

    @Test("A resumed VIM that still answers raises no alarm, and an adjusted one uses its new probe")
    func resumedAndAdjusted() async throws {
        let endpoint = try await Endpoint()
        let conductor = StubConductor(validAction: action)
        try await run(conductor) { workflows in
            try await workflows.launch(assignment(endpoint.port, action: action, status: .reachable))
            while await workflows.record(of: vimID)?.results.isEmpty != false {
                try await Task.sleep(for: .milliseconds(5))
            }
            await workflows.adjust(
                assignment(endpoint.port, action: action, status: .reachable, probe: .tcp))
            while await workflows.record(of: vimID)?.results.last?.kind != .tcp {
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(conductor.reports.isEmpty)
        }
        try await endpoint.kill()
    }

    @Test("What was found while the conductor was away is told when it is back")
    func conductorAway() async throws {
        let endpoint = try await Endpoint()
        let conductor = StubConductor(validAction: action)
        conductor.setDown(true)
        try await run(conductor) { workflows in
            try await workflows.launch(assignment(endpoint.port, action: action))
            while await workflows.record(of: vimID)?.results.isEmpty != false {
                try await Task.sleep(for: .milliseconds(5))
            }
            try await endpoint.kill()
            conductor.setDown(false)
            let report = try await conductor.report(of: .unreachable)
            #expect(report.status == .unreachable && report.actionID == action)
        }
    }

    @Test("It ends when its task is cancelled, with probes and look-ups under way")
    func cancelled() async throws {
        let silent = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = silent.localAddress?.port ?? 0
        let conductor = StubConductor(validAction: action)
        let began = ContinuousClock.now
        try await run(conductor) { workflows in
            var assignment = assignment(port, action: action)
            assignment.settings.timeoutMilliseconds = 300_000
            try await workflows.launch(assignment)
            try await Task.sleep(for: .milliseconds(50))
        }
        // Far from the probe's own five minutes; the bound is loose because machines are busy.
        #expect(began.duration(to: .now) < .seconds(60))
        try await silent.close().get()
    }
}
