import Conductor
import Glibc
import Registry
import Synchronization

/// Which of so many VIMs a report is on.
enum Choice: Sendable {
    /// All alike.
    case uniform
    /// Zipf's law: cumulated shares by rank.
    case zipf([Double])

    /// Zipf's law with an exponent, for so many members.
    static func zipf(count: Int, exponent: Double) -> Choice {
        var sum = 0.0
        let cumulated = (1...count).map { rank -> Double in
            sum += 1 / pow(Double(rank), exponent)
            return sum
        }
        return .zipf(cumulated.map { $0 / sum })
    }

    func index(below count: Int, using random: inout SeededGenerator) -> Int {
        switch self {
        case .uniform: return Int.random(in: 0..<count, using: &random)
        case .zipf(let shares):
            let share = Double.random(in: 0..<1, using: &random)
            var (low, high) = (0, min(count, shares.count) - 1)
            while low < high {
                let middle = (low + high) / 2
                if shares[middle] <= share { low = middle + 1 } else { high = middle }
            }
            return low
        }
    }
}

/// Registered VIMs with their wanted actions, and callers that report on them.
struct Fleet: Sendable {
    /// What callers did together.
    struct Load {
        /// The latency of each call.
        var nanoseconds: [UInt64]
        var seconds: Double
        var processorSeconds: Double
    }

    private let members: [(id: VIMID, actionID: MonitorActionID)]
    /// How members are chosen: all alike, or some much more often than others.
    private let choice: Choice

    /// Registers so many VIMs, some hundred at a time so that they share commits.
    init(registering count: Int, with conductor: Conductor, choice: Choice = .uniform) async throws {
        self.choice = choice
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<count {
                if index >= 512 { try await group.next() }
                group.addTask { _ = try await conductor.register(NewVIM(benchmark: index), actor: Actor()) }
            }
            try await group.waitForAll()
        }
        members = conductor.registeredVIMs().map { ($0.id, $0.actionID) }
    }

    /// Those that are registered already.
    init(of conductor: Conductor, choice: Choice = .uniform) {
        self.choice = choice
        members = conductor.registeredVIMs().map { ($0.id, $0.actionID) }
    }

    /// A report on one of them.
    func report(_ random: inout SeededGenerator) -> StatusReport {
        let member = members[choice.index(below: members.count, using: &random)]
        return StatusReport(
            id: member.id, status: .reachable, actionID: member.actionID,
            finding: ProbeFinding(.answered, detail: 200, roundTripMicroseconds: 1_500))
    }

    /// Lets so many callers report, each as soon as its last report was answered.
    func load(
        _ submitter: some CommandSubmitter, callers: Int, seconds: Double, seed: UInt64
    ) async throws -> Load {
        let start = nowNanoseconds()
        let processor = processorSeconds()
        let end = start + UInt64(seconds * 1e9)
        let nanoseconds = try await withThrowingTaskGroup(of: [UInt64].self) { group in
            for caller in 0..<callers {
                group.addTask {
                    try await call(submitter, until: end, seed: seed &* 1_000_003 &+ UInt64(caller))
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        return Load(
            nanoseconds: nanoseconds, seconds: Double(nowNanoseconds() - start) / 1e9,
            processorSeconds: processorSeconds() - processor)
    }

    /// The same without tasks: whoever is answered submits its next report from within the reply.
    func carry(
        _ submitter: some CommandSubmitter, callers: Int, seconds: Double, seed: UInt64
    ) async throws -> Load {
        let start = nowNanoseconds()
        let processor = processorSeconds()
        let carrier = Carrier(
            submitter: submitter, fleet: self, end: start + UInt64(seconds * 1e9), callers: callers,
            seed: seed)
        let nanoseconds = try await carrier.run()
        return Load(
            nanoseconds: nanoseconds, seconds: Double(nowNanoseconds() - start) / 1e9,
            processorSeconds: processorSeconds() - processor)
    }

    private func call(
        _ submitter: some CommandSubmitter, until end: UInt64, seed: UInt64
    ) async throws -> [UInt64] {
        var random = SeededGenerator(seed: seed)
        var nanoseconds: [UInt64] = []
        var before = nowNanoseconds()
        while before < end {
            let answer = try await submitter.report(report(&random))
            guard answer == .accepted(.reachable) else {
                throw BenchmarkError("a report was answered '\(answer.word)'")
            }
            let after = nowNanoseconds()
            nanoseconds.append(after - before)
            before = after
        }
        return nanoseconds
    }
}

extension NewVIM {
    /// A VIM that nobody probes.
    init(benchmark index: Int) {
        self.init(
            tenantID: "benchmark", type: .openstack, name: "site-\(index)",
            authURL: "http://127.0.0.1:5000/v3", project: JSONText(#"{"name": "nfv"}"#),
            credentials: PlainCredentials(
                whole: JSONText(#"{"username": "nfv", "password": "secret"}"#),
                masked: JSONText(#"{"username": "nfv", "password": "***"}"#)))
    }
}

/// Callers that are closures: each submits its next report when its last one was answered.
private final class Carrier<Submitter: CommandSubmitter>: Sendable {
    private struct State: Sendable {
        var random: SeededGenerator
        var nanoseconds: [UInt64] = []
        var waitingCount: Int
        var failure: BenchmarkError?
        var done: CheckedContinuation<Void, Never>?
    }

    private let submitter: Submitter
    private let fleet: Fleet
    private let end: UInt64
    private let callers: Int
    // Replies come one after another, so that nobody waits for this lock but at the very start.
    private let state: Mutex<State>

    init(submitter: Submitter, fleet: Fleet, end: UInt64, callers: Int, seed: UInt64) {
        self.submitter = submitter
        self.fleet = fleet
        self.end = end
        self.callers = callers
        state = Mutex(State(random: SeededGenerator(seed: seed), waitingCount: callers))
    }

    /// Returns the latency of each call once the last one is answered.
    func run() async throws -> [UInt64] {
        await withCheckedContinuation { continuation in
            state.withLock { $0.done = continuation }
            for _ in 0..<callers { submit(nextReport(), at: nowNanoseconds()) }
        }
        let (nanoseconds, failure) = state.withLock { ($0.nanoseconds, $0.failure) }
        if let failure { throw failure }
        return nanoseconds
    }

    private func submit(_ report: StatusReport, at start: UInt64) {
        submitter.submit(.report(report)) { [self] result in
            guard case .success(.reported(.accepted(.reachable))) = result else {
                return leave(BenchmarkError("a report was not accepted"))
            }
            let now = nowNanoseconds()
            let next = nextReport(noting: now - start)
            if now < end { submit(next, at: now) } else { leave(nil) }
        }
    }

    private func nextReport(noting latency: UInt64? = nil) -> StatusReport {
        state.withLock { state in
            if let latency { state.nanoseconds.append(latency) }
            return fleet.report(&state.random)
        }
    }

    private func leave(_ failure: BenchmarkError?) {
        let done = state.withLock { state -> CheckedContinuation<Void, Never>? in
            state.failure = state.failure ?? failure
            state.waitingCount -= 1
            return state.waitingCount == 0 ? state.done : nil
        }
        done?.resume()
    }
}
