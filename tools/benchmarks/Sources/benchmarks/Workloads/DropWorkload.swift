import ArgumentParser
import Conductor
import EventLog
import Foundation
import Logging
import Registry
import Synchronization

/// How long callers wait while the beginning of a large registry's log is dropped.
struct DropWorkload: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drop",
        abstract: "Dropping the beginning of a log of 100,000 VIMs, and how long callers wait meanwhile.",
        discussion: """
            Registers the VIMs, archives everything, and drops it, beside callers that report all the time. What \
            stands for dropped events, the base, holds every VIM and is written in one commit; the next \
            checkpoint follows at once.
            """)

    @OptionGroup var common: CommonOptions
    @Option(help: "Registered VIMs.") var vims = 100_000
    @Option(help: "Callers that report.") var callers = 8
    @Option(help: "Drops, each after everything was archived anew.") var rounds = 3

    func run() async throws {
        var report = Report(
            "drop",
            configuration: common.facts + [("vims", .count(vims)), ("callers", .count(callers))],
            columns: [
                Column("phase", "phase"), Column("calls", "calls"), Column("p50_ms", "p50 ms"),
                Column("p99_ms", "p99 ms"), Column("longest_ms", "longest ms"), Column("seconds", "s"),
                Column("file_megabytes", "data file MB"),
            ])
        try await withTemporaryDirectory(in: common.parent) { directory in
            let conductor = try await Conductor(
                .init(directory: directory), logger: Logger(label: "benchmark"))
            let fleet = try await Fleet(registering: vims, with: conductor)
            for round in 1...rounds {
                report.rows += try await measure(round, conductor, fleet, directory)
            }
            await conductor.stop()
            let base = try EventLog(directory: directory, access: .read).readBase()?.rows.count ?? 0
            report.notes = [
                "data file: what it has after the phase; base: \(base) bytes at the end, which one commit "
                    + "writes. A caller that reports waits for the commit under way and its own."
            ]
        }
        try report.print(asJSON: common.json)
    }

    private func measure(
        _ round: Int, _ conductor: Conductor, _ fleet: Fleet, _ directory: String
    ) async throws -> [[Cell]] {
        let idle = try await fleet.load(conductor, callers: callers, seconds: 2, seed: common.seed)
        var rows = [try row("\(round): nothing else", idle.nanoseconds, idle.seconds, directory)]
        let archiving = try await load(conductor, fleet) {
            try await conductor.archive(before: Timestamp.systemNow).archivedEnd
        }
        rows.append(try row("\(round): archiving", archiving.nanoseconds, archiving.seconds, directory))
        let dropping = try await load(conductor, fleet) {
            try await conductor.drop(upTo: .max, actor: Actor()).droppedEnd
        }
        rows.append(try row("\(round): dropping", dropping.nanoseconds, dropping.seconds, directory))
        return rows
    }

    /// The latencies of calls while the body runs, and a second longer, since a checkpoint follows.
    private func load(
        _ conductor: Conductor, _ fleet: Fleet, beside body: @escaping @Sendable () async throws -> UInt64
    ) async throws -> (nanoseconds: [UInt64], seconds: Double) {
        let end = Moment()
        let start = nowNanoseconds()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                let position = try await body()
                guard position > 0 else { throw BenchmarkError("nothing was done") }
                end.note()
            }
            var nanoseconds: [UInt64] = []
            var isLast = false
            while !isLast {
                isLast = end.nanoseconds > 0
                nanoseconds += try await fleet.load(
                    conductor, callers: callers, seconds: 1, seed: common.seed &+ UInt64(nanoseconds.count)
                ).nanoseconds
            }
            try await group.waitForAll()
            return (nanoseconds, Double(end.nanoseconds - start) / 1e9)
        }
    }

    private func row(
        _ phase: String, _ nanoseconds: [UInt64], _ seconds: Double, _ directory: String
    ) throws -> [Cell] {
        var latencies = Latencies()
        latencies.add(nanoseconds)
        var facts = stat()
        guard stat(directory + "/events.lmdb", &facts) == 0 else { throw BenchmarkError("no data file") }
        return [
            .text(phase), .count(nanoseconds.count), .number(latencies.microseconds(at: 50) / 1e3, digits: 2),
            .number(latencies.microseconds(at: 99) / 1e3, digits: 2),
            .number(Double(nanoseconds.max() ?? 0) / 1e6, digits: 1), .number(seconds, digits: 2),
            .number(Double(facts.st_size) / 1e6, digits: 1),
        ]
    }
}

/// When something ended; 0 before.
private final class Moment: Sendable {
    private let value = Atomic<UInt64>(0)

    var nanoseconds: UInt64 { value.load(ordering: .relaxed) }

    func note() { value.store(nowNanoseconds(), ordering: .relaxed) }
}
