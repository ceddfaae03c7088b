import ArgumentParser
import PairProtocol
import Simulation

#if canImport(Glibc)
    import Glibc
#endif

/// Runs the pair through many seeds.
@main
struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vedette-simulate",
        abstract: "Run the HA pair's protocol through simulated faults, a run for each seed.",
        discussion: """
            Each seed is a run of two nodes, etcd, clients and monitor actions, with crashes, frozen \
            processes, partitions, lost and late messages, failing disks and wrong clocks. After every step \
            it is checked that nothing acknowledged is lost. A seed replays identically:

              vedette-simulate --seeds 1000000          look for a violation
              vedette-simulate --seed 4711 --story      one run, and what happened in it
              vedette-simulate --planted all            does it find each bug planted on purpose?

            The exit code is 1 if anything was violated, or a planted bug was not found.
            """)

    @Option(help: "How many seeds to run; with --planted all, each bug has a number of its own.") var seeds =
        100_000
    @Option(help: "The first seed.") var first: UInt64 = 1
    @Option(help: "Run this seed alone.") var seed: UInt64?
    @Flag(help: "Tell what happened, with --seed.") var story = false
    @Option(help: "Plant a bug and count the seeds until it is found: a name, or all.") var planted: String?
    @Option(help: "How many threads (default: one for each processor).") var threads: Int?
    @Flag(help: "One JSON object.") var json = false

    func validate() throws {
        guard seeds > 0 else { throw ValidationError("--seeds: at least one") }
        guard threads.map({ $0 > 0 }) ?? true else { throw ValidationError("--threads: at least one") }
        if story, seed == nil { throw ValidationError("--story tells of one run: name its --seed") }
        _ = try bugs()
    }

    func run() throws {
        if let seed { return try runOne(seed) }
        let bugs = try bugs()
        guard !bugs.isEmpty else { return try runMany() }
        var missedCount = 0
        for bug in bugs {
            let limit = bugs.count == 1 ? seeds : bug.stated
            let range = first..<first + UInt64(limit)
            let found = SeedRange(range, planted: bug).firstViolation(threadCount: threadCount)
            if found == nil { missedCount += 1 }
            let what =
                found.map { "after \($0.seed - first + 1) of \(limit) seeds: \($0.what)" }
                ?? "NOT FOUND in \(limit) seeds"
            tell(padded(bug.rawValue, 24) + what)
        }
        guard missedCount == 0 else { throw ExitCode(1) }
        if bugs.count > 1 { print("all \(bugs.count) planted bugs were found") }
    }

    private var threadCount: Int { threads ?? max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

    private func bugs() throws -> [PlantedBug] {
        guard let planted else { return [] }
        if planted == "all" { return PlantedBug.allCases }
        guard let bug = PlantedBug(rawValue: planted) else {
            let names = PlantedBug.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--planted: '\(planted)' is none of all, \(names)")
        }
        return [bug]
    }

    private func runOne(_ seed: UInt64) throws {
        let outcome = Simulation.run(seed: seed, planted: try bugs().first, isStoryKept: story)
        for line in outcome.story { print(line) }
        let what = outcome.violation.map { "VIOLATION: \($0)" } ?? "nothing was violated"
        print(
            "seed \(seed): \(what); \(outcome.acknowledgedCount) positions acknowledged, "
                + "\(outcome.stepCount) steps, whole again after \(outcome.healed)")
        if outcome.violation != nil { throw ExitCode(1) }
    }

    private func runMany() throws {
        let range = first..<first + UInt64(seeds)
        let began = ContinuousClock.now
        let totals = SeedRange(range, planted: nil).runAll(threadCount: threadCount) { done in
            showProgress("\(done) of \(seeds) seeds")
        }
        showProgress("")
        let seconds = (ContinuousClock.now - began) / .milliseconds(1) / 1_000
        if json {
            let violation = totals.violation.map { "\"\($0.what)\"" } ?? "null"
            let seed = totals.violation.map { "\($0.seed)" } ?? "null"
            print(
                "{\"seeds\":\(totals.seedCount),\"seconds\":\(seconds),\"steps\":\(totals.stepCount),"
                    + "\"acknowledged\":\(totals.acknowledgedCount),\"violation\":\(violation),"
                    + "\"bad_seed\":\(seed)}")
        } else {
            print(totals.summary(seconds: seconds))
        }
        if totals.violation != nil { throw ExitCode(1) }
    }
}

/// A line at once, also into a pipe: the next may take a while.
func tell(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = write(1, bytes, bytes.count)
}

/// One line on standard error that is written over, if somebody looks.
func showProgress(_ line: String) {
    guard isatty(2) == 1 else { return }
    let bytes = Array("\r\u{1B}[K\(line)".utf8)
    _ = write(2, bytes, bytes.count)
}

extension PlantedBug {
    /// Within so many seeds, from the first on, it must be found.
    fileprivate var stated: Int {
        switch self {
        case .aloneFollows, .anyReleaseCounts, .cutByLastEpoch, .epochResumed, .guardByName, .leaseTrusted,
            .noEpochCheck, .oldHelloAccepted, .positionAloneCounts, .readWithoutPromise,
            .restoredEtcdBelieved, .settledByRead, .stepDownOnlyForMembers:
            100_000
        default: 5_000
        }
    }
}

func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(1, width - text.count))
}
