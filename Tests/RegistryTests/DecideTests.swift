import Registry
import Samples
import Testing

@Suite("Deciding")
struct DecideTests {
    @Test("A registration opens the next stream with the VIM and its first monitor action")
    func register() {
        var registry = ModelRegistry()
        for number in 1...3 as ClosedRange<UInt64> {
            let decision = decide(.sampleRegistration(number, name: "vim-\(number)"), on: registry)
            #expect(decision.answer == .vim(.sample(number)))
            #expect(
                decision.events == [
                    .init(
                        stream: UInt32(number),
                        event: .vimRegistered(
                            VIMRegistered(
                                id: .sample(number), configuration: .sample("vim-\(number)"),
                                actor: Actor(userName: "ada")))),
                    .init(
                        stream: UInt32(number),
                        event: .vimMonitorAssigned(
                            VIMMonitorAssigned(
                                actionID: .sample(number), reason: .registered, detail: "",
                                actor: Actor(userName: "ada")))),
                ])
            registry.take(decision)
        }
    }

    @Test("A name is one VIM's within its tenant; the refusal is remembered in stream 0")
    func nameTaken() {
        var registry = registry(with: "a")
        let decision = decide(.sampleRegistration(2, name: "a"), on: registry)
        #expect(decision.answer == .refused(.nameTaken("a")))
        #expect(
            decision.events == [
                .init(
                    stream: 0,
                    event: .commandRefused(
                        CommandRefused(
                            command: "register", refusal: "name_taken",
                            sentence: Refusal.nameTaken("a").sentence, vimID: nil,
                            actor: Actor(userName: "ada"))))
            ])
        registry.take(decide(.sampleRegistration(3, name: "a", tenantID: "other"), on: registry))
        #expect(registry.vims.count == 2)
        registry.take(decide(.deregister(DeregisterVIM(id: .sample(1), actor: Actor())), on: registry))
        #expect(decide(.sampleRegistration(4, name: "a"), on: registry).answer == .vim(.sample(4)))
    }

    @Test("A tenant has one default VIM, and the default is named before the name")
    func secondDefault() {
        var registry = ModelRegistry()
        registry.take(decide(.sampleRegistration(1, name: "a", isDefault: true), on: registry))
        for name in ["a", "b"] {
            let decision = decide(.sampleRegistration(2, name: name, isDefault: true), on: registry)
            #expect(decision.answer == .refused(.defaultExists(.sample(1))))
            #expect(decision.events.map(\.stream) == [0])
        }
        #expect(
            decide(.sampleRegistration(3, name: "b", tenantID: "t", isDefault: true), on: registry).answer
                == .vim(.sample(3)))
        registry.take(decide(update(1) { $0.isDefault = false }, on: registry))
        #expect(
            decide(.sampleRegistration(4, name: "c", isDefault: true), on: registry).answer
                == .vim(.sample(4)))
    }

    @Test("An update of name, description or anything else that is not the endpoint keeps the action")
    func plainUpdate() {
        let registry = registry(with: "a")
        let edits: [(inout VIMChanges) -> Void] = [
            { _ in }, { $0.name = "b" }, { $0.name = "a" }, { $0.description = "d" }, { $0.project = .empty },
            { $0.placement = .empty }, { $0.isDefault = true },
            { $0.extra = .init(text: .empty, monitor: MonitorSettings(probe: .tcp)) },
            { $0.authURL = "http://127.0.0.1:5000/v3" },
        ]
        for edit in edits {
            let decision = decide(update(1, edit), on: registry)
            #expect(decision.answer == .vim(.sample(1)))
            #expect(decision.events.map(\.event.type) == [.vimUpdated])
            #expect(decision.events.map(\.stream) == [1])
        }
    }

    @Test("Another endpoint, or credentials, make another action the wanted one")
    func endpointChanged() {
        let registry = registry(with: "a")
        let credentials = StoredCredentials(masked: .empty, ciphertext: [9])
        let edits: [(String, (inout VIMChanges) -> Void)] = [
            ("auth_url changed", { $0.authURL = "http://127.0.0.1:5001/v3" }),
            ("credentials changed", { $0.credentials = credentials }),
            (
                "auth_url changed",
                {
                    $0.authURL = ""
                    $0.credentials = credentials
                }
            ),
        ]
        for (detail, edit) in edits {
            let decision = decide(update(1, edit), on: registry)
            #expect(decision.events.map(\.event.type) == [.vimUpdated, .vimMonitorAssigned])
            #expect(
                decision.events.last?.event
                    == .vimMonitorAssigned(
                        VIMMonitorAssigned(
                            actionID: .sample(500), reason: .endpointChanged, detail: detail,
                            actor: Actor(userName: "bob"))))
        }
    }

    @Test(
        "An update must not take another VIM's name or the tenant's default, and is remembered in its stream")
    func updateRefused() {
        var registry = ModelRegistry()
        registry.take(decide(.sampleRegistration(1, name: "a", isDefault: true), on: registry))
        registry.take(decide(.sampleRegistration(2, name: "b"), on: registry))
        let name = decide(update(2) { $0.name = "a" }, on: registry)
        #expect(name.answer == .refused(.nameTaken("a")))
        #expect(name.events.map(\.stream) == [2])
        let standing = decide(update(2) { $0.isDefault = true }, on: registry)
        #expect(standing.answer == .refused(.defaultExists(.sample(1))))
        #expect(standing.events.map(\.event.type) == [.commandRefused])
        #expect(decide(update(1) { $0.isDefault = true }, on: registry).answer == .vim(.sample(1)))
    }

    @Test("An update computed from an older version is refused and remembered nowhere")
    func versionConflict() {
        var registry = registry(with: "a")
        registry.take(decide(update(1, version: 1) { $0.description = "x" }, on: registry))
        let stale = decide(update(1, version: 1) { $0.description = "y" }, on: registry)
        #expect(stale == Decision(answer: .refused(.versionConflict(expected: 1, actual: 2))))
        #expect(decide(update(1, version: 2) { _ in }, on: registry).answer == .vim(.sample(1)))
        #expect(decide(update(1, version: nil) { _ in }, on: registry).answer == .vim(.sample(1)))
    }

    @Test(
        "Updates and deregistrations of no VIM are refused: in stream 0 if it never was, else in its stream")
    func unknown() {
        var registry = registry(with: "a")
        func refusal(of number: UInt64, _ command: Command, stream: UInt32, word: String) {
            let decision = decide(command, on: registry)
            #expect(decision.answer == .refused(.vimNotFound(.sample(number))))
            #expect(decision.events.map(\.stream) == [stream])
            guard case .commandRefused(let refused) = decision.events.first?.event else {
                Issue.record("the refusal is not remembered")
                return
            }
            #expect(refused.command == word)
            #expect(refused.vimID == .sample(number))
        }
        refusal(of: 9, update(9) { _ in }, stream: 0, word: "update")
        refusal(
            of: 9, .deregister(DeregisterVIM(id: .sample(9), actor: Actor())), stream: 0, word: "deregister")
        registry.take(decide(.deregister(DeregisterVIM(id: .sample(1), actor: Actor())), on: registry))
        refusal(of: 1, update(1) { _ in }, stream: 1, word: "update")
        refusal(
            of: 1, .deregister(DeregisterVIM(id: .sample(1), actor: Actor())), stream: 1, word: "deregister")
    }

    @Test("A deregistration destroys the credentials with the VIM")
    func deregister() {
        let decision = decide(
            .deregister(DeregisterVIM(id: .sample(1), actor: Actor(userName: "bob"))), on: registry(with: "a")
        )
        #expect(decision.answer == .vim(.sample(1)))
        #expect(
            decision.events == [
                .init(
                    stream: 1,
                    event: .vimDeregistered(VIMDeregistered(actor: Actor(userName: "bob")))),
                .init(stream: 1, event: .vimCredentialsShredded),
            ])
    }

    @Test("A report of the wanted action is accepted, any other is told bad_action, and all are remembered")
    func reports() {
        var registry = registry(with: "a")
        func answer(_ vim: UInt64, _ action: UInt64, _ stream: UInt32, unknown: VIMID? = nil) -> ReportAnswer?
        {
            let finding = ProbeFinding(.answered, detail: 200, roundTripMicroseconds: 5)
            let decision = decide(
                .report(
                    StatusReport(
                        id: .sample(vim), status: .reachable, actionID: .sample(action), finding: finding)),
                on: registry)
            guard case .reported(let answer) = decision.answer else { return nil }
            #expect(
                decision.events == [
                    .init(
                        stream: stream,
                        event: .vimStatusReported(
                            VIMStatusReported(
                                actionID: .sample(action), status: .reachable,
                                verdict: answer == .badAction ? .badAction : .accepted, finding: finding,
                                unknownVIM: unknown)))
                ])
            return answer
        }
        #expect(answer(1, 1, 1) == .accepted(.reachable))
        #expect(answer(1, 2, 1) == .badAction)
        #expect(answer(7, 1, 0, unknown: .sample(7)) == .badAction)
        registry.take(decide(update(1) { $0.authURL = "x" }, on: registry))
        #expect(answer(1, 1, 1) == .badAction)
        #expect(answer(1, 500, 1) == .accepted(.reachable))
        registry.take(decide(.deregister(DeregisterVIM(id: .sample(1), actor: Actor())), on: registry))
        #expect(answer(1, 500, 1) == .badAction)
        #expect(ReportAnswer.badAction.word == "bad_action")
        #expect(ReportAnswer.accepted(.unreachable).word == "UNREACHABLE")
    }

    @Test("PENDING is no claim: it is refused and never stored, for it could not be read again")
    func pendingReport() {
        for vim in [1, 9] as [UInt64] {
            let decision = decide(
                .report(StatusReport(id: .sample(vim), status: .pending, actionID: .sample(1))),
                on: registry(with: "a"))
            #expect(decision == Decision(answer: .refused(.unknownStatus("PENDING"))))
        }
    }

    @Test("Another action is assigned only in place of the one that is still wanted")
    func assign() {
        var registry = registry(with: "a")
        func assign(_ vim: UInt64, replacing: UInt64) -> Decision {
            decide(
                .assignMonitor(
                    AssignMonitor(
                        id: .sample(vim), replacing: .sample(replacing), actionID: .sample(8),
                        reason: .monitorLost, detail: "d")), on: registry)
        }
        #expect(assign(1, replacing: 2) == Decision(answer: .ignored))
        #expect(assign(5, replacing: 1) == Decision(answer: .ignored))
        let assigned = assign(1, replacing: 1)
        #expect(
            assigned
                == Decision(
                    events: [
                        .init(
                            stream: 1,
                            event: .vimMonitorAssigned(
                                VIMMonitorAssigned(
                                    actionID: .sample(8), reason: .monitorLost, detail: "d", actor: .conductor
                                )))
                    ], answer: .noted))
        registry.take(assigned)
        #expect(assign(1, replacing: 1).answer == .ignored)
        registry.take(decide(.deregister(DeregisterVIM(id: .sample(1), actor: Actor())), on: registry))
        #expect(assign(1, replacing: 8).answer == .ignored)
    }

    @Test("Launches and stops are remembered in the VIM's stream; of an unknown VIM they are ignored")
    func notes() {
        let registry = registry(with: "a")
        let note = MonitorNote(id: .sample(1), actionID: .sample(1), backend: "embedded", reason: "why")
        let noted = VIMMonitorNoted(actionID: .sample(1), backend: "embedded", reason: "why")
        #expect(
            decide(.noteLaunch(note), on: registry)
                == Decision(events: [.init(stream: 1, event: .vimMonitorLaunched(noted))], answer: .noted))
        #expect(
            decide(.noteStop(note), on: registry)
                == Decision(events: [.init(stream: 1, event: .vimMonitorStopped(noted))], answer: .noted))
        let unknown = MonitorNote(id: .sample(2), actionID: .sample(1), backend: "embedded")
        #expect(decide(.noteLaunch(unknown), on: registry) == Decision(answer: .ignored))
        #expect(decide(.noteStop(unknown), on: registry) == Decision(answer: .ignored))
    }

    @Test("An epoch begins in stream 0")
    func epoch() {
        let started = EpochStarted(epoch: 3, version: "v", host: "h", processID: 1)
        #expect(
            decide(.startEpoch(started), on: ModelRegistry())
                == Decision(events: [.init(stream: 0, event: .epochStarted(started))], answer: .noted))
    }

    private func registry(with name: String) -> ModelRegistry {
        var registry = ModelRegistry()
        registry.take(decide(.sampleRegistration(1, name: name), on: registry))
        return registry
    }

    private func update(
        _ number: UInt64, version: UInt32? = nil, _ edit: (inout VIMChanges) -> Void
    ) -> Command {
        var changes = VIMChanges()
        edit(&changes)
        return .update(
            UpdateVIM(
                id: .sample(number), expectedVersion: version, changes: changes, actionID: .sample(500),
                actor: Actor(userName: "bob")))
    }
}

/// A registry of dictionaries and searches: slow and plain.
struct ModelRegistry: RegistryView {
    var vims: [VIM] = []
    private var position: UInt64 = 0

    mutating func take(_ decision: Decision) {
        for addressed in decision.events where addressed.stream > 0 {
            position += 1
            let row = Int(addressed.stream) - 1
            let placed = PlacedEvent(
                position: position, time: Timestamp(microseconds: position), stream: addressed.stream,
                event: addressed.event)
            do throws(EvolveFault) {
                let vim = try evolve(row < vims.count ? vims[row] : nil, by: placed)
                if row < vims.count { vims[row] = vim } else { vims.append(vim) }
            } catch { Issue.record("\(error.sentence)") }
        }
    }

    func vim(_ id: VIMID) -> VIM? { vims.first { $0.id == id } }

    func monitorFacts(_ id: VIMID) -> MonitorFacts? {
        vim(id).map { MonitorFacts(stream: $0.stream, actionID: $0.actionID, isRegistered: $0.isRegistered) }
    }

    func vimID(named name: String, of tenantID: String) -> VIMID? {
        vims.first {
            $0.isRegistered && $0.configuration.name == name && $0.configuration.tenantID == tenantID
        }?.id
    }

    func defaultVIMID(of tenantID: String) -> VIMID? {
        vims.first { $0.isRegistered && $0.configuration.isDefault && $0.configuration.tenantID == tenantID }?
            .id
    }

    var nextStream: UInt32 { UInt32(vims.count) + 1 }
}
