import Encodings
import OsloMessaging
import Projections
import Registry
import Samples
import Synchronization
import Testing

@testable import RPCRequests

@Suite("update_vim as a call")
struct UpdateVIMTests {
    private let submitter = FakeSubmitter()
    private let vim = "5110ed3f-8dce-458b-a358-ed1082afe568"
    private let action = "0d1cbf62-27b9-4f39-9f6c-5ca8a3a4c9b1"

    private static let sample = VIM(
        id: .sample(1), stream: 1, configuration: .sample("a"), actionID: .sample(1),
        createdAt: Timestamp(microseconds: 1))

    private func call(
        _ arguments: RPCArguments, reader: FakeReader = FakeReader(), isLenient: Bool = false
    ) async -> Result<JSONValue, RPCFailure> {
        let interface = RPCDoor.interface(
            submitter: submitter, reader: reader, acceptsReportsWithoutAction: isLenient)
        return await withCheckedContinuation { continuation in
            interface.methods["update_vim"]?.call(arguments) { continuation.resume(returning: $0) }
        }
    }

    private func isFailure(_ result: Result<JSONValue, RPCFailure>, _ className: String) -> Bool {
        if case .failure(let failure) = result { failure.className == className } else { false }
    }

    @Test("A report is handed to the conductor, and its answer is the status")
    func accepted() async throws {
        submitter.answer = .success(.reported(.accepted(.reachable)))
        let result = await call([
            "vim_id": .string(vim), "status": "REACHABLE", "action_id": .string(action),
        ])
        #expect(result == .success("REACHABLE"))
        let report = try #require(submitter.reports.first)
        #expect(report.id == VIMID(vim))
        #expect(report.actionID == MonitorActionID(action))
        #expect(report.finding == .unstated)
    }

    @Test("A stale action is told bad_action")
    func badAction() async {
        submitter.answer = .success(.reported(.badAction))
        let result = await call([
            "vim_id": .string(vim), "status": "UNREACHABLE", "action_id": .string(action),
        ])
        #expect(result == .success("bad_action"))
    }

    @Test(
        "An id that is no UUID is nobody's: bad_action, so that whoever says it exits",
        arguments: [("vim_id", "vim-9"), ("action_id", "a-9"), ("vim_id", ""), ("action_id", "")])
    func foreignIDs(argument: String, value: String) async {
        var arguments: [String: JSONValue] = [
            "vim_id": .string(vim), "status": "REACHABLE", "action_id": .string(action),
        ]
        arguments[argument] = .string(value)
        #expect(await call(RPCArguments(arguments)) == .success("bad_action"))
        #expect(submitter.reports.isEmpty)
    }

    @Test(
        "Arguments that are missing, too many or of the wrong type are refused",
        arguments: [
            (["vim_id": .null], "TypeError"), (["vim_id": 7], "TypeError"), (["status": true], "TypeError"),
            (["status": "PENDING"], "ValueError"), (["status": "up"], "ValueError"),
            (["action_id": 9], "TypeError"), (["action_id": .null], "TypeError"),
            (["action_id": ["a"]], "TypeError"), (["why": "x"], "TypeError"),
            (["finding": "x"], "ValueError"), (["finding": ["reason": "bored"]], "ValueError"),
        ] as [([String: JSONValue], String)])
    func refused(changes: [String: JSONValue], className: String) async {
        let good: [String: JSONValue] = [
            "vim_id": .string(vim), "status": "REACHABLE", "action_id": .string(action),
        ]
        #expect(isFailure(await call(RPCArguments(good.merging(changes) { $1 })), className))
        #expect(submitter.reports.isEmpty)
    }

    @Test("No arguments at all are refused")
    func empty() async { #expect(isFailure(await call([:]), "TypeError")) }

    @Test("A finding says why")
    func finding() async throws {
        submitter.answer = .success(.reported(.accepted(.unreachable)))
        _ = await call([
            "vim_id": .string(vim), "status": "UNREACHABLE", "action_id": .string(action),
            "finding": ["reason": "timed_out", "detail": 4, "microseconds": 5_000_000],
        ])
        let expected = ProbeFinding(.timedOut, detail: 4, roundTripMicroseconds: 5_000_000)
        #expect(try #require(submitter.reports.first).finding == expected)
    }

    @Test("What was not stored is a failure, so that the action reports again")
    func notStored() async {
        submitter.answer = .failure(.notStored("the disk is full"))
        let result = await call([
            "vim_id": .string(vim), "status": "REACHABLE", "action_id": .string(action),
        ])
        #expect(isFailure(result, "NotStored"))
    }

    @Test(
        "Where the lead was lost the next leader answers, whether or not the report was stored",
        arguments: [CommandFailure.notLeading, .outcomeUnknown])
    func elsewhere(failure: CommandFailure) async {
        submitter.answer = .failure(failure)
        let result = await call([
            "vim_id": .string(vim), "status": "REACHABLE", "action_id": .string(action),
        ])
        #expect(result == .failure(.elsewhere))
    }

    @Test("Without an action id a report is refused, unless the server takes such reports")
    func withoutAction() async throws {
        let arguments: RPCArguments = ["vim_id": .string(vim), "status": "REACHABLE"]
        let sample = UpdateVIMTests.sample
        let reader = FakeReader(vims: [sample])
        #expect(isFailure(await call(arguments, reader: reader), "TypeError"))
        submitter.answer = .success(.reported(.accepted(.reachable)))
        let known: RPCArguments = ["vim_id": .string("\(sample.id)"), "status": "REACHABLE"]
        #expect(await call(known, reader: reader, isLenient: true) == .success("REACHABLE"))
        #expect(submitter.reports.map(\.actionID) == [sample.actionID])
        #expect(await call(arguments, reader: reader, isLenient: true) == .success("bad_action"))
    }

    @Test("Of calls that came together each is answered once, whatever is wrong with its neighbours")
    func together() async throws {
        submitter.answer = .success(.reported(.accepted(.reachable)))
        let sample = UpdateVIMTests.sample
        let good: [String: JSONValue] = [
            "vim_id": .string(vim), "status": "REACHABLE", "action_id": .string(action),
        ]
        let calls = [
            good, good.merging(["status": "up"]) { $1 }, good.merging(["action_id": "a-9"]) { $1 },
            ["vim_id": .string("\(sample.id)"), "status": "REACHABLE"], good, [:],
        ]
        let interface = RPCDoor.interface(
            submitter: submitter, reader: FakeReader(vims: [sample]), acceptsReportsWithoutAction: true)
        let method = try #require(interface.methods["update_vim"])
        let answers = Mutex<[(index: Int, outcome: RPCOutcome)]>([])
        method.call(calls.map(RPCArguments.init), mayBlock: true) { some in answers.withLock { $0 += some } }
        let told = answers.withLock { $0.sorted { $0.index < $1.index } }
        #expect(told.map(\.index) == Array(0..<6))
        let outcomes = told.map(\.outcome)
        #expect(outcomes[0] == .success("REACHABLE"))
        #expect(isFailure(outcomes[1], "ValueError"))
        #expect(outcomes[2] == .success("bad_action"))
        #expect(outcomes[3] == .success("REACHABLE"))
        #expect(outcomes[4] == .success("REACHABLE"))
        #expect(isFailure(outcomes[5], "TypeError"))
        #expect(submitter.reports.count == 3)
    }

    @Test("A report without an action id that always meets another action ends")
    func alwaysReplaced() async {
        submitter.answer = .success(.reported(.badAction))
        let sample = UpdateVIMTests.sample
        let result = await call(
            ["vim_id": .string("\(sample.id)"), "status": "REACHABLE"], reader: FakeReader(vims: [sample]),
            isLenient: true)
        #expect(result == .success("bad_action"))
        #expect(submitter.reports.count == 3)
    }
}

/// Answers every command with one answer and remembers the reports.
final class FakeSubmitter: CommandSubmitter {
    private let state = Mutex((Result<Outcome, CommandFailure>.failure(.stopped), [StatusReport]()))

    var answer: Result<Outcome, CommandFailure> {
        get { state.withLock { $0.0 } }
        set { state.withLock { $0.0 = newValue } }
    }
    var reports: [StatusReport] { state.withLock { $0.1 } }

    func submit(_ command: Command, reply: @escaping CommandReply) { reply(answer(to: command)) }

    func submit(_ commands: [Command], mayBlock: Bool, reply: @escaping CommandsReply) {
        reply(commands.map(answer))
    }

    private func answer(to command: Command) -> Result<Outcome, CommandFailure> {
        state.withLock { state in
            if case .report(let report) = command { state.1.append(report) }
            return state.0
        }
    }
}

/// A registry that never changes.
struct FakeReader: RegistryReader {
    var vims: [VIM] = []

    func vim(_ id: VIMID) -> VIM? { vims.first { $0.id == id } }
    func registeredVIMs() -> [VIM] { vims }
    func history(of id: VIMID?) -> [HistoryEntry] { [] }
    func historyEntry(at position: UInt64) -> HistoryEntry? { nil }
    func droppedHistory() -> DroppedHistory? { nil }
}
