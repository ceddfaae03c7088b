import Conductor
import Projections
import Registry
import Samples
import Testing

extension Conductor {
    fileprivate func answer(_ id: VIMID, _ action: MonitorActionID) async throws -> String {
        try await updateVIM(id, status: "UNREACHABLE", actionID: action).word
    }
}

@Suite("The conductor's four calls")
struct CommandTests {
    @Test("Register, update, report and deregister append their events, and answer with what is stored")
    func life() async throws {
        try await withTemporaryDirectory { directory in
            let id = try await withConductor(in: directory) { conductor in
                let made = try await conductor.register(.sample("edge", isDefault: true), actor: ada)
                #expect(made.version == 1 && made.status == .pending && made.configuration.isDefault)
                #expect(conductor.vim(made.id) == made)

                let finding = ProbeFinding(.answered, detail: 200, roundTripMicroseconds: 31)
                let answer = try await conductor.updateVIM(
                    made.id, status: "REACHABLE", actionID: made.actionID, finding: finding)
                #expect(answer == .accepted(.reachable))
                #expect(conductor.vim(made.id)?.finding == finding)

                let renamed = try await conductor.update(
                    made.id, expectedVersion: 1, edit: .with { $0.name = "rim" }, actor: ada)
                #expect(renamed.configuration.name == "rim" && renamed.version == 2)
                #expect(renamed.actionID == made.actionID && renamed.status == .reachable)

                let gone = try await conductor.deregister(made.id, actor: ada)
                #expect(!gone.isRegistered)
                #expect(conductor.registeredVIMs() == [])
                #expect(conductor.vim(made.id) == gone)
                #expect(
                    conductor.history(of: made.id).map(\.kind.word) == [
                        "CREATE", "MONITOR", "UPDATE", "DELETE",
                    ])
                return made.id
            }
            let log = try StoredLog(directory)
            #expect(
                log.types == [
                    .epochStarted, .vimRegistered, .vimMonitorAssigned, .vimStatusReported, .vimUpdated,
                    .vimDeregistered, .vimCredentialsShredded,
                ])
            #expect(log.events(of: id).compactMap(\.actor) == [ada, ada, ada, ada])
            #expect(log.batchEventCounts == [1, 2, 1, 1, 2])
        }
    }

    @Test("Stale, unknown and deregistered are told bad_action, and each such report is stored")
    func badAction() async throws {
        try await withTemporaryDirectory { directory in
            try await withConductor(in: directory) { conductor in
                let vim = try await conductor.register(.sample("a"), actor: ada)
                #expect(try await conductor.answer(vim.id, .sample(1)) == "bad_action")
                #expect(try await conductor.answer(.sample(7), vim.actionID) == "bad_action")
                #expect(try await conductor.answer(vim.id, vim.actionID) == "UNREACHABLE")

                let moved = try await conductor.update(
                    vim.id, expectedVersion: nil, edit: .with { $0.authURL = "http://127.0.0.1:1" },
                    actor: ada)
                #expect(moved.actionID != vim.actionID)
                #expect(moved.status == .pending)
                #expect(try await conductor.answer(vim.id, vim.actionID) == "bad_action")
                #expect(conductor.vim(vim.id)?.status == .pending)
                #expect(try await conductor.answer(vim.id, moved.actionID) == "UNREACHABLE")

                _ = try await conductor.deregister(vim.id, actor: ada)
                #expect(try await conductor.answer(vim.id, moved.actionID) == "bad_action")
            }
            let log = try StoredLog(directory)
            let verdicts = log.events.compactMap { placed in
                if case .vimStatusReported(let reported) = placed.event { reported.verdict.word } else { nil }
            }
            #expect(
                verdicts == ["bad_action", "bad_action", "accepted", "bad_action", "accepted", "bad_action"])
        }
    }

    @Test(
        "A word that is no status is an error and appends nothing",
        arguments: ["PENDING", "", "reachable", "UP", "😀"])
    func unknownStatus(_ word: String) async throws {
        try await withTemporaryDirectory { directory in
            try await withConductor(in: directory) { conductor in
                let vim = try await conductor.register(.sample("a"), actor: ada)
                await #expect(throws: CommandFailure.refused(.unknownStatus(word))) {
                    try await conductor.updateVIM(vim.id, status: word, actionID: vim.actionID)
                }
                await #expect(throws: CommandFailure.refused(.unknownStatus("PENDING"))) {
                    try await conductor.report(
                        StatusReport(id: vim.id, status: .pending, actionID: vim.actionID))
                }
            }
            #expect(try StoredLog(directory).events.count == 3)
        }
    }

    @Test("Refusals reach the caller and are stored, but a version conflict is not")
    func refusals() async throws {
        try await withTemporaryDirectory { directory in
            try await withConductor(in: directory) { conductor in
                let vim = try await conductor.register(.sample("a", isDefault: true), actor: ada)
                await #expect(throws: CommandFailure.refused(.nameTaken("a"))) {
                    try await conductor.register(.sample("a"), actor: ada)
                }
                await #expect(throws: CommandFailure.refused(.defaultExists(vim.id))) {
                    try await conductor.register(.sample("b", isDefault: true), actor: ada)
                }
                await #expect(throws: CommandFailure.refused(.vimNotFound(.sample(1)))) {
                    try await conductor.deregister(.sample(1), actor: ada)
                }
                await #expect(throws: CommandFailure.refused(.vimNotFound(.sample(1)))) {
                    try await conductor.update(
                        .sample(1), expectedVersion: nil, edit: .with { $0.credentials = .sample("x") },
                        actor: ada)
                }
                await #expect(throws: CommandFailure.refused(.versionConflict(expected: 9, actual: 1))) {
                    try await conductor.update(vim.id, expectedVersion: 9, edit: VIMEdit(), actor: ada)
                }
                await #expect(throws: CommandFailure.refused(.vimNotFound(.sample(1)))) {
                    try await conductor.credentials(of: .sample(1))
                }
            }
            let types = try StoredLog(directory).types
            #expect(types.filter { $0 == .commandRefused }.count == 4)
            #expect(types.count == 7)
        }
    }

    @Test("An event larger than the log takes is refused, and nothing else suffers")
    func tooLarge() async throws {
        try await withTemporaryDirectory { directory in
            try await withConductor(in: directory) { conductor in
                let huge = String(repeating: "x", count: 4 << 20)
                let failure = await #expect(throws: CommandFailure.self) {
                    try await conductor.register(.sample("a", description: huge), actor: ada)
                }
                guard case .refused(.tooLarge) = failure else {
                    Issue.record("\(String(describing: failure))")
                    return
                }
                let vim = try await conductor.register(.sample("a"), actor: ada)
                await #expect(throws: CommandFailure.self) {
                    try await conductor.update(
                        vim.id, expectedVersion: nil, edit: .with { $0.description = huge }, actor: ada)
                }
                #expect(conductor.vim(vim.id) == vim)
            }
            #expect(try StoredLog(directory).types == [.epochStarted, .vimRegistered, .vimMonitorAssigned])
        }
    }

    @Test("Lost monitors are replaced once, notes are stored")
    func assignAndNote() async throws {
        try await withConductor { conductor in
            let vim = try await conductor.register(.sample("a"), actor: ada)
            let wish = AssignMonitor(
                id: vim.id, replacing: vim.actionID, actionID: .sample(1), reason: .monitorLost, detail: "d")
            guard case .noted = try await conductor.submit(.assignMonitor(wish)),
                case .ignored = try await conductor.submit(.assignMonitor(wish)),
                case .noted = try await conductor.submit(
                    .noteLaunch(MonitorNote(id: vim.id, actionID: .sample(1), backend: "b")))
            else {
                Issue.record("other answers than noted, ignored, noted")
                return
            }
            #expect(conductor.vim(vim.id)?.actionID == .sample(1))
        }
    }

    @Test("Changes are signalled with the VIMs as they are now; reports are not changes")
    func changes() async throws {
        try await withConductor { conductor in
            #expect(conductor.takeChangedVIMs() == [])
            let vim = try await conductor.register(.sample("a"), actor: ada)
            #expect(conductor.takeChangedVIMs() == [vim])
            #expect(conductor.takeChangedVIMs() == [])
            _ = try await conductor.updateVIM(vim.id, status: "REACHABLE", actionID: vim.actionID)
            #expect(conductor.takeChangedVIMs() == [])
            _ = try await conductor.deregister(vim.id, actor: ada)
            #expect(conductor.takeChangedVIMs().map(\.isRegistered) == [false])
        }
    }
}
