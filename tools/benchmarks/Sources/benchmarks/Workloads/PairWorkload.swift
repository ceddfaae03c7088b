import ArgumentParser
import Conductor
import EventLog
import Foundation
import Glibc
import Logging
import Projections
import Registry
import Synchronization

/// Status reports through a pair that is in sync, beside a single conductor.
struct PairWorkload: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pair",
        abstract: "Acknowledged updateVIM per second of a pair beside a single conductor, and latencies.",
        discussion: """
            Both nodes run on this machine, with clear text on loopback, one disk (or --standby-directory) and a real \
            etcd: the leader in this process, the standby in another one. In each round, for each number of callers \
            and each form: a single conductor for --seconds; the pair for as long; the C loop over LMDB with the \
            pair's batch sizes, once alone and once twice at the same time, which is what one disk leaves two logs; \
            pwrite + fdatasync of one such batch; and one round trip of such a frame and its answer over loopback.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var standby: StandbyOptions
    @Option(help: "Registered VIMs, of which each call chooses one at random.") var vims = 10_000
    @Option(parsing: .upToNextOption, help: "Numbers of concurrent callers.") var callers = [1, 64, 1_024]
    @Option(parsing: .upToNextOption, help: "task, reply or both.") var forms = [CallerForm.task, .reply]
    @Option(help: "Rounds.") var rounds = 15
    @Option(help: "Seconds of each conductor's part in each round.") var seconds = 0.5

    func validate() throws {
        guard vims > 0, rounds > 0, seconds > 0, callers.allSatisfy({ $0 > 0 }) else {
            throw ValidationError("vims, rounds, seconds and callers must be greater than zero")
        }
    }

    func run() async throws {
        var report = Report(
            "pair",
            configuration: common.facts + standby.facts(otherwise: common.parent) + [
                ("vims", .count(vims)), ("rounds", .count(rounds)), ("seconds", .number(seconds, digits: 2)),
                ("lease", .text("2 s")),
            ],
            columns: [
                Column("callers", "callers"), Column("form", "form"),
                Column("single_per_second", "single/s"), Column("pair_per_second", "pair/s"),
                Column("pair_to_single", "pair:single"), Column("two_logs_to_one", "two C logs:one"),
                Column("single_batch_mean", "single events/batch"),
                Column("pair_batch_mean", "pair events/batch"),
                Column("single_p50_microseconds", "single p50 us"),
                Column("single_p95_microseconds", "p95"), Column("single_p99_microseconds", "p99"),
                Column("pair_p50_microseconds", "pair p50 us"), Column("pair_p95_microseconds", "p95"),
                Column("pair_p99_microseconds", "p99"), Column("sync_microseconds", "sync us"),
                Column("round_trip_microseconds", "round trip us"),
                Column("extra_to_allowed", "extra:allowed"),
                Column("c_extra_to_allowed", "two C logs' extra:allowed"),
                Column("single_processor_microseconds", "single CPU us/event"),
                Column("leader_processor_microseconds", "leader"),
                Column("standby_processor_microseconds", "standby"),
            ])
        try await withTemporaryDirectory(in: common.parent) { directory in
            let results = try await standby.withDirectory(otherwise: directory) {
                try await measure(in: directory, standbysIn: $0)
            }
            report.rows = results.map(\.row)
        }
        report.notes = [
            "pair:single is to be at least 0.60. two C logs:one: the C loop over LMDB with the pair's batches, two "
                + "of them at the same time by one alone, which is what this disk leaves two logs.",
            "sync: median of one pwrite + fdatasync of a batch; round trip: the same of its frame over loopback, in C.",
            "extra:allowed: what the pair's p50 is above the single one's, by one sync and one round trip; to be at "
                + "most 1 with one caller. Beside it what a commit of two C logs at the same time takes longer than of "
                + "one, by the same: each commit of theirs is two syncs, and a disk flushes for one log after the other.",
        ]
        try report.print(asJSON: common.json)
    }

    private func measure(
        in directory: String, standbysIn standbyParent: String
    ) async throws -> [PairResult] {
        let single = try await Conductor(
            .init(directory: directory + "/single"), logger: Logger(label: "benchmark"))
        let singleFleet = try await Fleet(registering: vims, with: single)
        let pair = try await EmbeddedPair(
            leading: directory + "/leader", standbysIn: standbyParent, in: directory)
        try pair.join()
        try await pair.waitUntilInSync()
        let pairFleet = try await Fleet(registering: vims, with: pair.conductor)
        let limits = try PairLimits(directory: directory, streams: vims, seed: common.seed)
        let readers = try ["single", "leader"].map {
            try ReferenceReader(path: "\(directory)/\($0)/events.lmdb")
        }
        var results = callers.flatMap { callers in forms.map { PairResult(callers: callers, form: $0) } }
        // One round more than counted: the first warms everything up.
        for round in 0...rounds {
            for index in results.indices {
                let seed = common.seed &+ UInt64(round * 1_000 + index)
                let alone = try await part(results[index], single, singleFleet, readers[0], seed)
                let processor = pair.standbyProcessorSeconds
                var both = try await part(results[index], pair.conductor, pairFleet, readers[1], seed)
                both.standbySeconds = pair.standbyProcessorSeconds - processor
                let limit = try limits.measure(both.sizes)
                if round > 0 { results[index].take(alone, both, limit) }
            }
        }
        try await pair.waitUntilInSync(within: 1)
        await pair.stop()
        await single.stop()
        return results
    }

    private func part(
        _ result: PairResult, _ conductor: Conductor, _ fleet: Fleet, _ reader: ReferenceReader,
        _ seed: UInt64
    ) async throws -> PairPart {
        let start = conductor.read { $0.position }
        let load =
            switch result.form {
            case .task:
                try await fleet.load(conductor, callers: result.callers, seconds: seconds, seed: seed)
            case .reply:
                try await fleet.carry(conductor, callers: result.callers, seconds: seconds, seed: seed)
            }
        return PairPart(
            load: load, sizes: try reader.batchSizes(after: start, most: load.nanoseconds.count))
    }
}

/// What one conductor did in a round.
private struct PairPart {
    var load: Fleet.Load
    /// Events of each of its batches.
    var sizes: [UInt32]
    var standbySeconds = 0.0

    var perSecond: Double { Double(load.nanoseconds.count) / load.seconds }

    func processorMicroseconds(_ seconds: Double) -> Double {
        seconds / Double(load.nanoseconds.count) * 1e6
    }
}

/// What the machine allows: the same batches in C, on one disk and over one loopback.
private struct PairLimits {
    struct Found {
        var syncNanoseconds: [UInt64]
        var roundTripNanoseconds: [UInt64]
        var twoLogsToOne: Double
        /// What a commit takes longer while the other log makes the same.
        var extraNanoseconds: Double
    }

    /// What a batch's frame has beside its value, and its answer in all (Sources/HighAvailability/PairWire).
    private static let frameByteCount = 117
    private static let answerByteCount = 45
    private static let samples = 50

    private let file: ReferenceFile
    private let logs: [ReferenceLog]

    init(directory: String, streams: Int, seed: UInt64) throws {
        file = try ReferenceFile(path: directory + "/reference.raw")
        logs = try (0..<2).map {
            try ReferenceLog(
                path: "\(directory)/reference-\($0).lmdb", streams: streams, seed: seed, sealing: true)
        }
    }

    func measure(_ sizes: [UInt32]) throws -> Found {
        let mean = UInt32((Double(sizes.reduce(0) { $0 + Int($1) }) / Double(sizes.count)).rounded())
        let value = 64 + 56 * Int(mean)
        let loopback = try ReferenceLoopback(
            there: PairLimits.frameByteCount + value, back: PairLimits.answerByteCount)
        // A tenth of a second or so of the same batches.
        let part = Array(sizes.prefix(max(1, sizes.count / 4)))
        let alone = try logs[0].append(part)
        let together = try PairLimits.atTheSameTime(logs) { try $0.append(part) }
        return Found(
            syncNanoseconds: try (0..<PairLimits.samples).map { _ in
                UInt64(try file.append([mean]) * 1e9)
            },
            roundTripNanoseconds: try (0..<PairLimits.samples).map { _ in try loopback.roundTrip() },
            twoLogsToOne: alone / together, extraNanoseconds: (together - alone) / Double(part.count) * 1e9)
    }

    /// Seconds until all of them have done it, each in a thread.
    private static func atTheSameTime(
        _ logs: [ReferenceLog], _ body: @Sendable (ReferenceLog) throws -> Double
    ) throws -> Double {
        let failure = Mutex<(any Error)?>(nil)
        // Each log is one thread's.
        nonisolated(unsafe) let logs = logs
        let start = nowNanoseconds()
        DispatchQueue.concurrentPerform(iterations: logs.count) { index in
            do { _ = try body(logs[index]) } catch { failure.withLock { $0 = error } }
        }
        let seconds = Double(nowNanoseconds() - start) / 1e9
        if let failure = failure.withLock({ $0 }) { throw failure }
        return seconds
    }
}

/// What the rounds with one number of callers gave.
private struct PairResult {
    let callers: Int
    let form: CallerForm
    private var single = Side()
    private var pair = Side()
    private var standbyProcessor: [Double] = []
    private var twoLogsToOne: [Double] = []
    private var extras: [Double] = []
    private var syncs = Latencies()
    private var roundTrips = Latencies()

    private struct Side {
        var perSecond: [Double] = []
        var processor: [Double] = []
        var latencies = Latencies()
        var eventCount = 0
        var batchCount = 0

        mutating func take(_ part: PairPart) {
            perSecond.append(part.perSecond)
            processor.append(part.processorMicroseconds(part.load.processorSeconds))
            latencies.add(part.load.nanoseconds)
            eventCount += part.load.nanoseconds.count
            batchCount += part.sizes.count
        }

        var batchMean: Cell { .number(Double(eventCount) / Double(batchCount), digits: 1) }
        var latencyCells: [Cell] { [50, 95, 99].map { .number(latencies.microseconds(at: $0)) } }
    }

    init(callers: Int, form: CallerForm) {
        self.callers = callers
        self.form = form
    }

    mutating func take(_ alone: PairPart, _ both: PairPart, _ limit: PairLimits.Found) {
        single.take(alone)
        pair.take(both)
        standbyProcessor.append(both.processorMicroseconds(both.standbySeconds))
        twoLogsToOne.append(limit.twoLogsToOne)
        extras.append(limit.extraNanoseconds / 1e3)
        syncs.add(limit.syncNanoseconds)
        roundTrips.add(limit.roundTripNanoseconds)
    }

    var row: [Cell] {
        let (sync, roundTrip) = (syncs.microseconds(at: 50), roundTrips.microseconds(at: 50))
        let extra = pair.latencies.microseconds(at: 50) - single.latencies.microseconds(at: 50)
        return [
            .count(callers), .text(form.rawValue), .spread(single.perSecond), .spread(pair.perSecond),
            .spread(zip(pair.perSecond, single.perSecond).map { $0 / $1 }, digits: 2),
            .spread(twoLogsToOne, digits: 2), single.batchMean, pair.batchMean,
        ] + single.latencyCells + pair.latencyCells + [
            .number(sync), .number(roundTrip, digits: 1),
            .number(extra / (sync + roundTrip), digits: 2),
            .number(Spread(extras).median / (sync + roundTrip), digits: 2),
            .spread(single.processor, digits: 1),
            .spread(pair.processor, digits: 1), .spread(standbyProcessor, digits: 1),
        ]
    }
}
