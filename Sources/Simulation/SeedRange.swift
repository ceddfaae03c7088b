public import PairProtocol
import Synchronization
import Threads

/// Many runs, shared out over threads.
public struct SeedRange: Sendable {
    /// What the runs of a range came to.
    public struct Totals: Sendable {
        /// Runs.
        public var seedCount = 0
        /// Things that happened.
        public var stepCount = 0
        /// Positions that were acknowledged.
        public var acknowledgedCount = 0
        /// Faults by name.
        public var faultCounts: [String: Int] = [:]
        /// The longest it took a pair to be whole again, in simulated time.
        public var healedMax = Duration.zero
        /// The violation of the lowest seed that has one.
        public var violation: (seed: UInt64, what: String)?

        mutating func add(_ seed: UInt64, _ outcome: Simulation.Outcome) {
            seedCount += 1
            stepCount += outcome.stepCount
            acknowledgedCount += outcome.acknowledgedCount
            faultCounts.merge(outcome.faultCounts, uniquingKeysWith: +)
            healedMax = max(healedMax, outcome.healed)
            if let what = outcome.violation, seed < violation?.seed ?? .max { violation = (seed, what) }
        }

        mutating func add(_ other: Totals) {
            seedCount += other.seedCount
            stepCount += other.stepCount
            acknowledgedCount += other.acknowledgedCount
            faultCounts.merge(other.faultCounts, uniquingKeysWith: +)
            healedMax = max(healedMax, other.healedMax)
            if let found = other.violation, found.seed < violation?.seed ?? .max { violation = found }
        }

        /// A few lines for people.
        public func summary(seconds: Double) -> String {
            let faults = faultCounts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
            let end =
                violation.map {
                    "VIOLATION with seed \($0.seed): \($0.what)\nvedette-simulate --seed \($0.seed) --story "
                        + "tells how"
                } ?? "nothing acknowledged was lost, reordered or shown too early or too late"
            return """
                \(seedCount) seeds, \(stepCount) steps, \(acknowledgedCount) positions acknowledged, \
                \(Int(seconds)) s
                faults: \(faults.joined(separator: ", "))
                whole again at most \(healedMax) after the last fault
                \(end)
                """
        }
    }

    private let seeds: Range<UInt64>
    private let planted: PlantedBug?

    /// Runs to make.
    public init(_ seeds: Range<UInt64>, planted: PlantedBug?) {
        self.seeds = seeds
        self.planted = planted
    }

    /// Runs all, on threads that let everybody else go first; returns when they are done.
    ///
    /// - Parameter progress: told how many are done, on any of the threads.
    public func runAll(
        threadCount: Int, progress: @escaping @Sendable (Int) -> Void = { _ in }
    ) -> Totals {
        run(threadCount: threadCount, stopsAtViolation: false, progress: progress)
    }

    /// Runs them in order until one shows a violation; nil if none does.
    public func firstViolation(threadCount: Int) -> (seed: UInt64, what: String)? {
        run(threadCount: threadCount, stopsAtViolation: true) { _ in }.violation
    }

    private func run(
        threadCount: Int, stopsAtViolation: Bool, progress: @escaping @Sendable (Int) -> Void
    ) -> Totals {
        let work = Work(seeds)
        let threads = (0..<threadCount).map { number in
            DedicatedThread(name: "simulate-\(number)", yields: true) { [planted] in
                while let chunk = work.next() {
                    var totals = Totals()
                    for seed in chunk {
                        totals.add(seed, Simulation.run(seed: seed, planted: planted))
                        if stopsAtViolation, totals.violation != nil { break }
                    }
                    progress(work.add(totals, stopsAtViolation: stopsAtViolation))
                }
            }
        }
        for thread in threads { thread.join() }
        return work.totals
    }
}

/// What the threads share.
private final class Work: Sendable {
    private struct State {
        var next: UInt64
        var totals = SeedRange.Totals()
    }

    private let state: Mutex<State>
    private let end: UInt64
    private static let chunkLength: UInt64 = 64

    init(_ seeds: Range<UInt64>) {
        end = seeds.upperBound
        state = Mutex(State(next: seeds.lowerBound))
    }

    var totals: SeedRange.Totals { state.withLock { $0.totals } }

    /// In order, so that the first violation is that of the lowest seed.
    func next() -> Range<UInt64>? {
        state.withLock { state in
            guard state.next < end else { return nil }
            let first = state.next
            state.next = min(first + Work.chunkLength, end)
            return first..<state.next
        }
    }

    /// Returns how many seeds are done.
    func add(_ totals: SeedRange.Totals, stopsAtViolation: Bool) -> Int {
        state.withLock { state in
            state.totals.add(totals)
            if stopsAtViolation, state.totals.violation != nil { state.next = end }
            return state.totals.seedCount
        }
    }
}
