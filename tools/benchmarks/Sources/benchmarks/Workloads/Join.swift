import ArgumentParser
import Conductor
import EventLog
import Foundation
import Glibc
import Projections
import Registry

/// An empty node joins a leader with a long log, which goes on answering.
struct Join: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "An empty node joins a leader with five million events: seconds, and what callers notice.",
        discussion: """
            The leader, in this process, has a log of --events status reports and is called --rate times a second. \
            In each round: calls while it is alone; a standby, another process, is started on an empty directory, \
            and calls until it is in sync; calls while it is. Then it is ended. Beside it, of the same bytes, while \
            the leader is alone and called as before: cp and sync of its data file to where the standby's was, and a \
            transfer over loopback in C.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var standby: StandbyOptions
    @Option(help: "Status reports in the log.") var events = 5_000_000
    @Option(help: "Registered VIMs.") var vims = 10_000
    @Option(parsing: .upToNextOption, help: "Events in a batch.") var batches = [64, 1_000]
    @Option(help: "Calls a second.") var rate = 500
    @Option(help: "Seconds of calls before and after each joining.") var seconds = 10
    @Option(help: "Rounds.") var rounds = 3

    func validate() throws {
        guard events > 0, vims > 0, batches.allSatisfy({ (1...Limits.batchEventMax).contains($0) }), rate > 0,
            seconds > 0, rounds > 0
        else { throw ValidationError("all numbers must be greater than zero, and batches fit into one") }
    }

    func run() async throws {
        var report = Report(
            "join",
            configuration: common.facts + standby.facts(otherwise: common.parent) + [
                ("events", .count(events)), ("vims", .count(vims)), ("rate", .count(rate)),
                ("seconds", .count(seconds)), ("rounds", .count(rounds)),
            ],
            columns: [
                Column("batch", "events/batch"), Column("megabytes", "MB"), Column("seconds", "joined in s"),
                Column("megabytes_per_second", "MB/s"), Column("events_per_second", "events/s"),
                Column("copy_to_join", "join:cp+sync"), Column("transfer_to_join", "join:loopback"),
                Column("leader_processor_seconds", "leader CPU s"),
                Column("standby_processor_seconds", "standby CPU s"),
                Column("alone_p50_microseconds", "alone p50 us"), Column("alone_p99_microseconds", "p99"),
                Column("joining_p50_microseconds", "joining p50 us"),
                Column("joining_p99_microseconds", "p99"),
                Column("copying_p50_microseconds", "cp+sync p50 us"),
                Column("copying_p99_microseconds", "p99"),
                Column("joined_p50_microseconds", "in sync p50 us"), Column("joined_p99_microseconds", "p99"),
                Column("joining_to_alone", "joining:alone p99"),
                Column("joining_to_copying", "joining:cp+sync p99"),
                Column("joining_to_joined", "joining:in sync p99"), Column("progress", "progress lines"),
            ])
        for batch in batches {
            try await withTemporaryDirectory(in: common.parent) { directory in
                let row = try await standby.withDirectory(otherwise: directory) {
                    try await measure(batch, in: directory, standbysIn: $0)
                }
                report.rows.append(row)
            }
        }
        report.notes = [
            "join:cp+sync and join:loopback: the speed of joining by that of these; MB: the leader's data file.",
            "joining:alone p99: what callers of the leader notice; to be at most 1.25. Beside it what they notice of "
                + "cp and sync of the same bytes to the same place.",
        ]
        try report.print(asJSON: common.json)
    }

    private func measure(
        _ batch: Int, in directory: String, standbysIn standbyParent: String
    ) async throws -> [Cell] {
        let data = directory + "/leader"
        try await makeLog(batch, in: data)
        let pair = try await EmbeddedPair(leading: data, standbysIn: standbyParent, in: directory)
        let fleet = Fleet(of: pair.conductor)
        let calls = PacedCalls(pair.conductor, fleet: fleet, perSecond: rate, seed: common.seed)
        var found = JoinResult(batch: batch)
        for _ in 0..<rounds {
            _ = try calls.take()
            try await Task.sleep(for: .seconds(seconds))
            found.alone.add(try calls.take())
            let (start, processor) = (nowNanoseconds(), processorSeconds())
            try pair.join()
            try await pair.waitUntilInSync()
            found.seconds.append(Double(nowNanoseconds() - start) / 1e9)
            found.joining.add(try calls.take())
            found.leaderProcessor.append(processorSeconds() - processor)
            found.standbyProcessor.append(pair.standbyProcessorSeconds)
            found.events.append(Double(pair.conductor.read { $0.position }))
            try await Task.sleep(for: .seconds(seconds))
            found.joined.add(try calls.take())
            found.progressLines = pair.standbyOutput.split(separator: "\n").count {
                $0.contains("copies the other") || $0.contains("catches up")
            }
            try await pair.leave()
            // The file grows while it is called, by little.
            _ = try calls.take()
            let copy = standbyParent + "/copy.lmdb"
            try found.copy(data + "/events.lmdb", to: copy, log: directory + "/copy.log")
            found.copying.add(try calls.take())
            try found.transfer(copy)
            try FileManager.default.removeItem(atPath: pair.standbyDirectory)
        }
        calls.stop()
        await pair.stop()
        return found.row
    }

    /// A function of its own, so that the log is let go of when it returns.
    private func makeLog(_ batch: Int, in data: String) async throws {
        _ = try await makeReportLog(in: data, vims: vims, events: events, batch: batch, seed: common.seed)
    }
}

/// What the rounds with one size of batches gave.
private struct JoinResult {
    let batch: Int
    var seconds: [Double] = []
    var events: [Double] = []
    var bytes: [Double] = []
    var copySeconds: [Double] = []
    var transferSeconds: [Double] = []
    var leaderProcessor: [Double] = []
    var standbyProcessor: [Double] = []
    var alone = Latencies()
    var joining = Latencies()
    var copying = Latencies()
    var joined = Latencies()
    var progressLines = 0

    init(batch: Int) { self.batch = batch }

    mutating func copy(_ file: String, to copy: String, log: String) throws {
        copySeconds.append(
            try timed {
                try Program.run(["/bin/cp", file, copy], log: log)
                try Program.run(["/bin/sync", "--data", copy], log: log)
            }.seconds)
    }

    /// Removes the copy, and sends as many bytes over loopback.
    mutating func transfer(_ copy: String) throws {
        var facts = stat()
        guard stat(copy, &facts) == 0 else { throw BenchmarkError("\(copy) cannot be looked at") }
        try FileManager.default.removeItem(atPath: copy)
        bytes.append(Double(facts.st_size))
        transferSeconds.append(try ReferenceLoopback.seconds(toTransfer: Int(facts.st_size)))
    }

    var row: [Cell] {
        let latencies = [alone, joining, copying, joined]
        func ratio(_ one: Latencies, _ other: Latencies) -> Cell {
            .number(one.microseconds(at: 99) / other.microseconds(at: 99), digits: 2)
        }
        return [
            .count(batch), .number(Spread(bytes).median / 1e6), .spread(seconds, digits: 2),
            .spread(zip(bytes, seconds).map { $0 / $1 / 1e6 }, digits: 1),
            .spread(zip(events, seconds).map { $0 / $1 }),
            .spread(zip(copySeconds, seconds).map { $0 / $1 }, digits: 2),
            .spread(zip(transferSeconds, seconds).map { $0 / $1 }, digits: 2),
            .spread(leaderProcessor, digits: 2), .spread(standbyProcessor, digits: 2),
        ]
            + latencies.flatMap { latency -> [Cell] in
                [.number(latency.microseconds(at: 50)), .number(latency.microseconds(at: 99))]
            } + [
                ratio(joining, alone), ratio(joining, copying), ratio(joining, joined),
                .count(progressLines),
            ]
    }
}
