import ArgumentParser
import EventLog
import Glibc
import Reference
import Registry

/// Batches of status reports straight into the log.
struct Append: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "EventLog.append of status reports, beside C over LMDB and a raw file.",
        discussion: """
            In each round and for each batch size: the log (gather the events, seal, commit) for --seconds; then \
            the plain C loop with as many batches, then pwrite + fdatasync of the same bytes. The C loop gathers \
            straight into the page and does not seal.
            """)

    @OptionGroup var common: CommonOptions
    @Option(help: "Streams among which each event chooses one at random.") var streams = 10_000
    @Option(parsing: .upToNextOption, help: "Events in a batch.") var batches = [1, 64, 1_000, 10_000]
    @Option(help: "Rounds; many short ones pair the contestants better on a busy machine.") var rounds = 25
    @Option(help: "Seconds of the log's part in each round.") var seconds = 0.1

    func validate() throws {
        let range = 1...Limits.batchEventMax
        guard streams > 0, rounds > 0, seconds > 0, batches.allSatisfy(range.contains) else {
            throw ValidationError(
                "streams, rounds and seconds must be greater than zero, and batches in \(range)")
        }
    }

    func run() throws {
        var report = Report(
            "append",
            configuration: common.facts + [
                ("streams", .count(streams)), ("rounds", .count(rounds)),
                ("seconds", .number(seconds, digits: 2)),
            ],
            columns: [
                Column("batch", "events/batch"), Column("log_per_second", "log/s"),
                Column("c_per_second", "C LMDB/s"), Column("raw_per_second", "raw file/s"),
                Column("log_to_c", "log:C"), Column("log_to_raw", "log:raw"), Column("c_to_raw", "C:raw"),
                Column("gather_share", "gathering %"), Column("seal_share", "sealing %"),
                Column("file_bytes_per_byte", "file B/event B"),
                Column("c_file_bytes_per_byte", "same in C"),
            ])
        try withTemporaryDirectory(in: common.parent) { directory in
            var trials = try batches.map { size in
                try AppendTrial(size: size, directory: directory, streams: streams, seed: common.seed)
            }
            for round in 0...rounds {
                for index in trials.indices { try trials[index].measure(seconds: seconds, counts: round > 0) }
            }
            report.rows = try trials.map { try $0.row() }
        }
        report.notes = [
            "gathering and sealing are the log's time in the batch builder and in SHA-256, which the C loop "
                + "does not do as such.",
            "file B/event B: bytes of the data file in use by the appended events' own bytes "
                + "(\(REFERENCE_EVENT_BYTES) each).",
        ]
        try report.print(asJSON: common.json)
    }
}

/// One batch size.
private struct AppendTrial {
    private let size: Int
    private let log: EventLog
    private let peers: Peers
    private var random: SeededGenerator
    private var previous: [UInt64]
    private var batch: BatchBuilder
    private var rates: (log: [Double], c: [Double], raw: [Double]) = ([], [], [])
    private var gatherShares: [Double] = []
    private var eventCount = 0
    private let emptyBytes: (log: Int, c: Int)

    init(size: Int, directory: String, streams: Int, seed: UInt64) throws {
        self.size = size
        log = try EventLog(directory: directory + "/log-\(size)", access: .write)
        peers = try Peers(directory: directory, streams: streams, seed: seed, name: "reference-\(size)")
        random = SeededGenerator(seed: seed)
        previous = [UInt64](repeating: 0, count: streams)
        batch = BatchBuilder(firstPosition: 1, time: 0)
        emptyBytes = (log.usedByteCount, peers.log.usedByteCount)
    }

    mutating func measure(seconds: Double, counts: Bool) throws {
        var gatherNanoseconds: UInt64 = 0
        var commitCount = 0
        let start = nowNanoseconds()
        let end = start + UInt64(seconds * 1e9)
        var now = start
        while now < end {
            batch.reset(firstPosition: log.head.position + 1, time: Timestamp.benchmarkNow.microseconds)
            for _ in 0..<size { gather() }
            gatherNanoseconds += nowNanoseconds() - now
            _ = try log.append(&batch, epoch: 1)
            commitCount += 1
            now = nowNanoseconds()
        }
        let elapsed = Double(now - start)
        let sizes = [UInt32](repeating: UInt32(size), count: commitCount)
        let peer = try peers.append(sizes)
        eventCount += size * commitCount
        guard counts else { return }
        let events = Double(size * commitCount)
        rates.log.append(events / (elapsed / 1e9))
        rates.c.append(events / peer.c)
        rates.raw.append(events / peer.raw)
        gatherShares.append(Double(gatherNanoseconds) / elapsed * 100)
    }

    private mutating func gather() {
        let stream = Int.random(in: 0..<previous.count, using: &random)
        let reported = VIMStatusReported(
            actionID: MonitorActionID(UniqueID(high: UInt64(stream), low: ~UInt64(stream))),
            status: .reachable, verdict: .accepted,
            finding: ProbeFinding(.answered, detail: 200, roundTripMicroseconds: 1_500))
        let event = Event.vimStatusReported(reported)
        previous[stream] = event.withPayload { format, payload in
            batch.append(
                stream: UInt32(stream) + 1, previousInStream: previous[stream], type: event.type.rawValue,
                format: format, payload: payload)
        }
    }

    func row() throws -> [Cell] {
        let batchesPerSecond = Spread(rates.log).median / Double(size)
        let sealShare = try Seals.secondsPerBatch(of: log) * batchesPerSecond * 100
        let eventBytes = Double(eventCount) * Double(REFERENCE_EVENT_BYTES)
        return [
            .count(size), .spread(rates.log), .spread(rates.c), .spread(rates.raw),
            .spread(zip(rates.log, rates.c).map { $0 / $1 }, digits: 2),
            .spread(zip(rates.log, rates.raw).map { $0 / $1 }, digits: 2),
            .spread(zip(rates.c, rates.raw).map { $0 / $1 }, digits: 2),
            .number(Spread(gatherShares).median, digits: 1), .number(sealShare, digits: 1),
            .number(Double(log.usedByteCount - emptyBytes.log) / eventBytes, digits: 3),
            .number(Double(peers.log.usedByteCount - emptyBytes.c) / eventBytes, digits: 3),
        ]
    }
}

/// What closing a batch with SHA-256 costs here.
enum Seals {
    /// Seconds to seal the log's last batch again.
    static func secondsPerBatch(of log: EventLog) throws -> Double {
        var seconds = 0.0
        try log.readBatches(from: log.head.position) { batch in
            let repeats = max(20, (32 << 20) / batch.bytes.count)
            var seal = Seal.none
            let run = timedOnProcessor { for _ in 0..<repeats { seal = batch.computedSeal(after: seal) } }
            precondition(seal != .none, "a seal of nothing")
            seconds = run.seconds / Double(repeats)
            return false
        }
        return seconds
    }
}

extension Timestamp {
    /// The machine's wall clock.
    static var benchmarkNow: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(microseconds: UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1_000)
    }
}
