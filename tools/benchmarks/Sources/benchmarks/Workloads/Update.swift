import ArgumentParser
import Conductor
import EventLog
import Glibc
import Logging
import Projections
import Registry

/// Status reports through the conductor, by more and more concurrent callers.
struct Update: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Durable updateVIM per second through the conductor, beside C over LMDB and a raw file.",
        discussion: """
            In each round and for each number of callers: first the conductor, for --seconds; then the plain C \
            loop over LMDB with exactly the batch sizes that the conductor formed (read back from its log); \
            then pwrite + fdatasync of the same bytes on a file written beforehand.
            """)

    @OptionGroup var common: CommonOptions
    @Option(help: "Registered VIMs, of which each call chooses one at random.") var vims = 10_000
    @Option(parsing: .upToNextOption, help: "Numbers of concurrent callers.") var callers = [1, 64, 1_024]
    @Option(help: "Rounds; many short ones pair the contestants better on a busy machine.") var rounds = 25
    @Option(help: "Seconds of the conductor's part in each round.") var seconds = 0.2

    func validate() throws {
        guard vims > 0, rounds > 0, seconds > 0, callers.allSatisfy({ $0 > 0 }) else {
            throw ValidationError("vims, rounds, seconds and callers must be greater than zero")
        }
    }

    func run() async throws {
        var report = Report(
            "update",
            configuration: common.facts + [
                ("vims", .count(vims)), ("rounds", .count(rounds)), ("seconds", .number(seconds, digits: 2)),
            ],
            columns: [
                Column("callers", "callers"), Column("batch_mean", "events/batch"),
                Column("conductor_per_second", "conductor/s"), Column("c_per_second", "C LMDB/s"),
                Column("raw_per_second", "raw file/s"), Column("conductor_to_c", "conductor:C"),
                Column("c_to_raw", "C:raw"), Column("p50_microseconds", "p50 us"),
                Column("p99_microseconds", "p99 us"), Column("p50_in_syncs", "p50 in C commits"),
                Column("processor_microseconds", "CPU us/event"),
            ])
        try await withTemporaryDirectory(in: common.parent) { directory in
            for result in try await measure(in: directory) { report.rows.append(result.row) }
        }
        report.notes = [
            "conductor:C is 1.00 when deciding, projecting, sealing and waking callers cost nothing beside "
                + "LMDB's commit.",
            "p50 in C commits: the median call's latency in mean commits of the C loop, same batches.",
        ]
        try report.print(asJSON: common.json)
    }

    private func measure(in directory: String) async throws -> [UpdateResult] {
        var options = Conductor.Options(directory: directory + "/conductor")
        options.version = "benchmark"
        let conductor = try await Conductor(options, logger: Logger(label: "benchmark"))
        let fleet = try await Fleet(registering: vims, with: conductor)
        let peers = try Peers(directory: directory, streams: vims, seed: common.seed)
        let reader = try ReferenceReader(path: directory + "/conductor/events.lmdb")
        var results = callers.map { UpdateResult(callers: $0) }
        // One round more than counted: the first warms everything up.
        for round in 0...rounds {
            for index in results.indices {
                let start = conductor.read { $0.position }
                let load = try await fleet.load(
                    conductor, callers: results[index].callers, seconds: seconds,
                    seed: common.seed &+ UInt64(round * 1_000 + index))
                let sizes = try reader.batchSizes(after: start, most: load.nanoseconds.count)
                let peer = try peers.append(sizes)
                if round > 0 { results[index].take(load, sizes, peer) }
            }
        }
        await conductor.stop()
        return results
    }
}

/// What the rounds with one number of callers gave.
private struct UpdateResult {
    let callers: Int
    private var eventCount = 0
    private var batchCount = 0
    private var conductor: [Double] = []
    private var c: [Double] = []
    private var raw: [Double] = []
    private var processor: [Double] = []
    private var commitSeconds: [Double] = []
    private var nanoseconds: [UInt64] = []

    init(callers: Int) { self.callers = callers }

    mutating func take(_ load: Fleet.Load, _ sizes: [UInt32], _ peer: (c: Double, raw: Double)) {
        let events = Double(load.nanoseconds.count)
        eventCount += load.nanoseconds.count
        batchCount += sizes.count
        conductor.append(events / load.seconds)
        c.append(events / peer.c)
        raw.append(events / peer.raw)
        processor.append(load.processorSeconds / events * 1e6)
        commitSeconds.append(peer.c / Double(sizes.count))
        nanoseconds += load.nanoseconds
    }

    var row: [Cell] {
        let latencies = Latencies(nanoseconds: nanoseconds)
        let p50 = latencies.microseconds(at: 0.5)
        return [
            .count(callers), .number(Double(eventCount) / Double(batchCount), digits: 1),
            .spread(conductor), .spread(c), .spread(raw),
            .spread(zip(conductor, c).map { $0 / $1 }, digits: 2),
            .spread(zip(c, raw).map { $0 / $1 }, digits: 2), .number(p50),
            .number(latencies.microseconds(at: 0.99)),
            .number(p50 / (Spread(commitSeconds).median * 1e6), digits: 1), .spread(processor, digits: 1),
        ]
    }
}

/// The C loop and the raw file, fed the same batch sizes.
struct Peers {
    let log: ReferenceLog
    let file: ReferenceFile

    init(directory: String, streams: Int, seed: UInt64, name: String = "reference") throws {
        log = try ReferenceLog(path: directory + "/\(name).lmdb", streams: streams, seed: seed)
        file = try ReferenceFile(path: directory + "/\(name).raw")
    }

    /// The seconds that each took.
    func append(_ sizes: [UInt32]) throws -> (c: Double, raw: Double) {
        (try log.append(sizes), try file.append(sizes))
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

    /// Registers so many VIMs, some hundred at a time so that they share commits.
    init(registering count: Int, with conductor: Conductor) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<count {
                if index >= 512 { try await group.next() }
                group.addTask { _ = try await conductor.register(NewVIM(benchmark: index), actor: Actor()) }
            }
            try await group.waitForAll()
        }
        members = conductor.registeredVIMs().map { ($0.id, $0.actionID) }
    }

    /// Lets so many callers report, each as soon as its last report was answered.
    func load(_ conductor: Conductor, callers: Int, seconds: Double, seed: UInt64) async throws -> Load {
        let start = nowNanoseconds()
        let processor = processorSeconds()
        let end = start + UInt64(seconds * 1e9)
        let nanoseconds = try await withThrowingTaskGroup(of: [UInt64].self) { group in
            for caller in 0..<callers {
                group.addTask {
                    try await call(conductor, until: end, seed: seed &* 1_000_003 &+ UInt64(caller))
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        return Load(
            nanoseconds: nanoseconds, seconds: Double(nowNanoseconds() - start) / 1e9,
            processorSeconds: processorSeconds() - processor)
    }

    private func call(_ conductor: Conductor, until end: UInt64, seed: UInt64) async throws -> [UInt64] {
        var random = SeededGenerator(seed: seed)
        var nanoseconds: [UInt64] = []
        var before = nowNanoseconds()
        while before < end {
            let member = members[Int.random(in: 0..<members.count, using: &random)]
            let answer = try await conductor.updateVIM(
                member.id, status: "REACHABLE", actionID: member.actionID,
                finding: ProbeFinding(.answered, detail: 200, roundTripMicroseconds: 1_500))
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
