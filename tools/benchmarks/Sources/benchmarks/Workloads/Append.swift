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
            In each round and for each batch size, as many batches as the log makes in --seconds: gather, seal and \
            commit one after another; gather and seal one while another thread commits the one before \
            (overlapped, as the conductor does); the plain C loop, which gathers straight into the page, without \
            and with a seal; SQLite (WAL, synchronous=FULL); pwrite + fdatasync of the same bytes.
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
                Column("overlapped_per_second", "overlapped/s"), Column("c_per_second", "C LMDB/s"),
                Column("c_sealing_per_second", "C sealing/s"),
                Column("sqlite_per_second", "SQLite/s"), Column("raw_per_second", "raw file/s"),
                Column("log_to_c", "log:C"), Column("overlapped_to_c", "overlapped:C"),
                Column("log_to_c_sealing", "log:C sealing"),
                Column("overlapped_to_c_sealing", "overlapped:C sealing"),
                Column("log_to_sqlite", "log:SQLite"), Column("c_to_raw", "C:raw"),
                Column("log_processor_nanoseconds", "log CPU ns/event"),
                Column("c_processor_nanoseconds", "C CPU ns/event"),
                Column("c_sealing_processor_nanoseconds", "C sealing CPU ns/event"),
                Column("gather_share", "gathering %"), Column("seal_share", "sealing %"),
                Column("file_bytes_per_byte", "file B/event B"),
                Column("disk_bytes_per_event", "disk B/event"),
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
            "C sealing writes the same values as the log, seals included; C writes values of the same length.",
            "gathering and sealing are the log's time in the batch builder and in SHA-256.",
            "file B/event B: bytes of the data file in use by the appended events' own bytes "
                + "(\(REFERENCE_EVENT_BYTES) each).",
            "disk B/event: what the whole disk wrote in the log's part, per event; also what others wrote, so the "
                + "least of all rounds is nearest to the truth.",
        ]
        try report.print(asJSON: common.json)
    }
}

/// One batch size.
private struct AppendTrial {
    private let size: Int
    private let bare: BareLog
    private let overlapped: BareLog
    private let sqlite: ReferenceSQLite
    private let peers: Peers
    private let sealing: ReferenceLog
    private let disk: Disk
    private var log: [Double] = []
    private var ahead: [Double] = []
    private var c: [Double] = []
    private var cSealing: [Double] = []
    private var sql: [Double] = []
    private var raw: [Double] = []
    private var processors: [[Double]] = [[], [], []]
    private var gatherShares: [Double] = []
    private var diskBytes: [Double] = []
    private var batchCount = 8

    init(size: Int, directory: String, streams: Int, seed: UInt64) throws {
        self.size = size
        bare = try BareLog(directory: directory + "/log-\(size)", streams: streams, seed: seed)
        overlapped = try BareLog(directory: directory + "/overlapped-\(size)", streams: streams, seed: seed)
        sqlite = try ReferenceSQLite(path: directory + "/\(size).sqlite", streams: streams, seed: seed)
        peers = try Peers(directory: directory, streams: streams, seed: seed, name: "reference-\(size)")
        sealing = try ReferenceLog(
            path: directory + "/sealing-\(size).lmdb", streams: streams, seed: seed, sealing: true)
        disk = try Disk(holding: directory)
    }

    mutating func measure(seconds: Double, counts: Bool) throws {
        let sizes = [UInt32](repeating: UInt32(size), count: batchCount)
        let (written, gathered) = (disk.writtenByteCount, bare.gatherNanoseconds)
        let alone = try timedOnProcessor { try bare.append(sizes) }
        let events = Double(size * batchCount)
        let diskShare = Double(disk.writtenByteCount - written) / events
        let gatherShare = Double(bare.gatherNanoseconds - gathered) / (alone.result * 1e9) * 100
        let together = try overlapped.appendOverlapped(sizes)
        let peer = try timedOnProcessor { try peers.log.append(sizes) }
        let sealed = try timedOnProcessor { try sealing.append(sizes) }
        let file = try peers.file.append(sizes)
        let other = try sqlite.append(sizes)
        batchCount = max(2, Int(Double(batchCount) * seconds / alone.result))
        guard counts else { return }
        log.append(events / alone.result)
        ahead.append(events / together)
        c.append(events / peer.result)
        cSealing.append(events / sealed.result)
        sql.append(events / other)
        raw.append(events / file)
        for (index, part) in [alone, peer, sealed].enumerated() {
            processors[index].append(part.seconds / events * 1e9)
        }
        gatherShares.append(gatherShare)
        diskBytes.append(diskShare)
    }

    func row() throws -> [Cell] {
        let batchesPerSecond = Spread(log).median / Double(size)
        let sealShare = try Seals.secondsPerBatch(of: bare.log) * batchesPerSecond * 100
        return [
            .count(size), .spread(log), .spread(ahead), .spread(c), .spread(cSealing),
            .spread(sql), .spread(raw),
            .spread(zip(log, c).map { $0 / $1 }, digits: 2),
            .spread(zip(ahead, c).map { $0 / $1 }, digits: 2),
            .spread(zip(log, cSealing).map { $0 / $1 }, digits: 2),
            .spread(zip(ahead, cSealing).map { $0 / $1 }, digits: 2),
            .spread(zip(log, sql).map { $0 / $1 }, digits: 2),
            .spread(zip(c, raw).map { $0 / $1 }, digits: 2),
            .spread(processors[0], digits: 1), .spread(processors[1], digits: 1),
            .spread(processors[2], digits: 1),
            .number(Spread(gatherShares).median, digits: 1), .number(sealShare, digits: 1),
            .number(bare.fileBytesPerEventByte, digits: 3), .number(Spread(diskBytes).least),
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
