import ArgumentParser
import Conductor
import EventLog
import Foundation
import Logging
import Projections

/// Many small streams and some hot ones, written at full speed, with and without readers that catch up.
struct Mixed: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Zipf-distributed reports at full speed, alone and beside readers that replay in a loop.",
        discussion: """
            Two conductors of --vims VIMs, chosen by Zipf's law. In each round --callers tasks report to the \
            first for --seconds, then to the second, beside which another process replays the whole log from \
            the first event, over and over. A reader that kept LMDB from reusing pages would let the second \
            file grow more per event than the first.
            """)

    @OptionGroup var common: CommonOptions
    @Option(help: "Registered VIMs.") var vims = 10_000
    @Option(help: "Exponent of Zipf's law; 0 chooses all alike.") var exponent = 0.99
    @Option(help: "Concurrent callers.") var callers = 64
    @Option(help: "Rounds.") var rounds = 10
    @Option(help: "Seconds of each part of a round.") var seconds = 2.0

    func run() async throws {
        var report = Report(
            "mixed",
            configuration: common.facts + [
                ("vims", .count(vims)), ("exponent", .number(exponent, digits: 2)),
                ("callers", .count(callers)), ("rounds", .count(rounds)),
                ("seconds", .number(seconds, digits: 1)),
            ],
            columns: [
                Column("beside", "beside"), Column("events", "events"), Column("per_second", "conductor/s"),
                Column("p50_microseconds", "p50 us"), Column("p95_microseconds", "p95 us"),
                Column("p99_microseconds", "p99 us"), Column("p999_microseconds", "p99.9 us"),
                Column("file_bytes_per_event", "file B/event"), Column("replayed_per_second", "replayed/s"),
            ])
        try await withTemporaryDirectory(in: common.parent) { directory in
            var alone = try await Side(directory: directory + "/alone", self)
            var beside = try await Side(directory: directory + "/beside", self)
            for round in 0...rounds {
                try await alone.measure(self, round: round)
                let reader = try Program(
                    [CommandLine.arguments[0], "read-loop", directory + "/beside"],
                    log: directory + "/reader.log")
                try await beside.measure(self, round: round)
                reader.stop(signal: SIGINT)
                let counts = reader.output.split(separator: "\n").compactMap { Double($0) }
                guard !counts.isEmpty else { throw BenchmarkError("the reader read nothing") }
                beside.replayed.append(counts.reduce(0, +) / seconds)
            }
            report.rows = [await alone.row("nobody"), await beside.row("a replay in a loop")]
            let growth = beside.fileBytesPerEvent / alone.fileBytesPerEvent
            report.notes = [
                "growth of the file beside the reader by growth alone: \(String(format: "%.3f", growth))"
            ]
        }
        try report.print(asJSON: common.json)
    }

    /// One conductor and what its rounds gave.
    private struct Side {
        private let conductor: Conductor
        private let fleet: Fleet
        private let path: String
        private let emptyByteCount: Int
        private var rates: [Double] = []
        private var latencies = Latencies()
        private var eventCount = 0
        var replayed: [Double] = []

        init(directory: String, _ mixed: Mixed) async throws {
            conductor = try await Conductor(
                Conductor.Options(directory: directory), logger: Logger(label: "benchmark"))
            let choice: Choice =
                mixed.exponent == 0 ? .uniform : .zipf(count: mixed.vims, exponent: mixed.exponent)
            fleet = try await Fleet(registering: mixed.vims, with: conductor, choice: choice)
            path = directory + "/events.lmdb"
            emptyByteCount = try fileByteCount(path)
        }

        mutating func measure(_ mixed: Mixed, round: Int) async throws {
            let load = try await fleet.load(
                conductor, callers: mixed.callers, seconds: mixed.seconds,
                seed: mixed.common.seed &+ UInt64(round))
            eventCount += load.nanoseconds.count
            guard round > 0 else { return }
            rates.append(Double(load.nanoseconds.count) / load.seconds)
            latencies.add(load.nanoseconds)
        }

        var fileBytesPerEvent: Double {
            guard let size = try? fileByteCount(path) else { return .nan }
            return Double(size - emptyByteCount) / Double(eventCount)
        }

        func row(_ beside: String) async -> [Cell] {
            await conductor.stop()
            return [
                .text(beside), .count(eventCount), .spread(rates), .number(latencies.microseconds(at: 50)),
                .number(latencies.microseconds(at: 95)), .number(latencies.microseconds(at: 99)),
                .number(latencies.microseconds(at: 99.9)), .number(fileBytesPerEvent, digits: 1),
                replayed.isEmpty ? .text("-") : .spread(replayed),
            ]
        }
    }
}

private func fileByteCount(_ path: String) throws -> Int {
    var facts = stat()
    guard stat(path, &facts) == 0 else { throw BenchmarkError("\(path) cannot be looked at") }
    return Int(facts.st_size)
}

/// The other process of ``Mixed``.
struct ReadLoop: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "read-loop", abstract: "Replay a log over and over until interrupted.",
        shouldDisplay: false)

    @Argument(help: "The directory of the log.") var log: String

    func run() throws {
        let log = try EventLog(directory: log, access: .read)
        while true {
            let replay = try Replay(of: log)
            print(replay.eventCount)
            fflush(nil)
        }
    }
}
