import Registry
import Samples
import Testing

@Suite("Evolving")
struct EvolveTests {
    @Test("A registration makes a pending VIM of version 1")
    func registered() throws {
        let vim = try registeredVIM()
        #expect(vim.id == .sample(1))
        #expect(vim.stream == 3)
        #expect(vim.version == 1)
        #expect(vim.status == .pending)
        #expect(vim.createdAt == Timestamp(microseconds: 100))
        #expect(vim.updatedAt == nil)
        #expect(vim.reportedAt == nil)
        #expect(vim.isRegistered)
        #expect(vim.configuration == .sample("a"))
    }

    @Test("An update changes what it names, counts the version, and makes a new endpoint pending")
    func updated() throws {
        var vim = try registeredVIM()
        vim = try evolve(vim, by: reported(.unreachable, at: 110))
        var changes = VIMChanges()
        changes.name = "b"
        changes.authURL = vim.configuration.authURL
        changes.extra = .init(text: JSONText(#"{"x":1}"#), monitor: MonitorSettings(probe: .icmp))
        vim = try evolve(vim, by: placed(.vimUpdated(VIMUpdated(changes: changes, actor: Actor())), at: 120))
        #expect(vim.version == 2)
        #expect(vim.configuration.name == "b")
        #expect(vim.configuration.description == "of a")
        #expect(vim.configuration.monitor.probe == .icmp)
        #expect(vim.status == .unreachable)
        #expect(vim.updatedAt == Timestamp(microseconds: 120))

        changes = VIMChanges()
        changes.authURL = "http://other"
        vim = try evolve(vim, by: placed(.vimUpdated(VIMUpdated(changes: changes, actor: Actor())), at: 130))
        #expect(vim.version == 3)
        #expect(vim.status == .pending)
        #expect(vim.finding == .unstated)
    }

    @Test("An accepted report is taken; only a change of status counts as an update")
    func reports() throws {
        var vim = try registeredVIM()
        vim = try evolve(vim, by: reported(.reachable, at: 110))
        #expect(vim.status == .reachable)
        #expect(vim.updatedAt == Timestamp(microseconds: 110))
        vim = try evolve(vim, by: reported(.reachable, at: 120))
        #expect(vim.updatedAt == Timestamp(microseconds: 110))
        #expect(vim.reportedAt == Timestamp(microseconds: 120))
        let before = vim
        vim = try evolve(vim, by: reported(.unreachable, at: 130, verdict: .badAction))
        #expect(vim == before)
        #expect(vim.version == 1)
    }

    @Test("An assigned action has yet to report; the status stays")
    func assigned() throws {
        var vim = try evolve(try registeredVIM(), by: reported(.reachable, at: 110))
        let assigned = VIMMonitorAssigned(
            actionID: .sample(9), reason: .operatorAsked, detail: "", actor: Actor())
        vim = try evolve(vim, by: placed(.vimMonitorAssigned(assigned), at: 120))
        #expect(vim.actionID == .sample(9))
        #expect(vim.reportedAt == nil)
        #expect(vim.status == .reachable)
    }

    @Test("A deregistered VIM is remembered as such; notes and refusals change nothing")
    func deregistered() throws {
        var vim = try registeredVIM()
        let before = vim
        let noted = VIMMonitorNoted(actionID: .sample(1), backend: "b")
        let refused = CommandRefused(
            command: "update", refusal: "r", sentence: "s", vimID: .sample(1), actor: Actor())
        for event in [
            Event.vimMonitorLaunched(noted), .vimMonitorStopped(noted), .vimCredentialsShredded,
            .commandRefused(refused),
        ] {
            vim = try evolve(vim, by: placed(event, at: 120))
        }
        #expect(vim == before)
        vim = try evolve(vim, by: placed(.vimDeregistered(VIMDeregistered(actor: Actor())), at: 130))
        #expect(vim.deregisteredAt == Timestamp(microseconds: 130))
        #expect(!vim.isRegistered)
    }

    @Test("What can never follow is a fault at its position")
    func faults() throws {
        let vim = try registeredVIM()
        let again = placed(
            .vimRegistered(VIMRegistered(id: .sample(1), configuration: .sample("a"), actor: Actor())),
            at: 110)
        let epoch = placed(
            .epochStarted(EpochStarted(epoch: 1, version: "", host: "", processID: 1)), at: 110)
        for event in [again, epoch] {
            let fault = #expect(throws: EvolveFault.self) { try evolve(vim, by: event) }
            #expect(fault?.position == 110)
        }
        for event in [epoch, placed(.vimCredentialsShredded, at: 110), reported(.reachable, at: 110)] {
            #expect(throws: EvolveFault.self) { try evolve(nil, by: event) }
        }
    }

    private func registeredVIM() throws(EvolveFault) -> VIM {
        try evolve(
            nil,
            by: placed(
                .vimRegistered(VIMRegistered(id: .sample(1), configuration: .sample("a"), actor: Actor())),
                at: 100))
    }

    private func reported(
        _ status: VIMStatus, at time: UInt64, verdict: ReportVerdict = .accepted
    ) -> PlacedEvent {
        placed(
            .vimStatusReported(
                VIMStatusReported(
                    actionID: .sample(1), status: status, verdict: verdict,
                    finding: ProbeFinding(.answered))), at: time)
    }

    private func placed(_ event: Event, at time: UInt64) -> PlacedEvent {
        PlacedEvent(position: time, time: Timestamp(microseconds: time), stream: 3, event: event)
    }
}
