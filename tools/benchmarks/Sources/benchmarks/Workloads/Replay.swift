import ArgumentParser
import EventLog
import Projections
import Reference
import Registry

/// Reading a log of reports from the first event.
struct ReplayWorkload: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Scan and Replay(of:) over a log of reports, beside plain C walks of the same file.",
        discussion: """
            Makes a log of --events status reports of --vims registered VIMs in batches of each size, then walks \
            it again and again, page cache warm, by processor time: C summing, Swift decoding and summing, C keeping a dense \
            table, Replay(of:) without and with seals verified. One core.
            """)

    @OptionGroup var common: CommonOptions
    @Option(help: "Registered VIMs.") var vims = 10_000
    @Option(help: "Status reports in the log.") var events = 5_000_000
    @Option(parsing: .upToNextOption, help: "Events in a batch.") var batches = [64, 1_000]
    @Option(help: "Rounds.") var rounds = 5

    func validate() throws {
        guard vims > 0, events > 0, rounds > 0, batches.allSatisfy((1...Limits.batchEventMax).contains) else {
            throw ValidationError(
                "vims, events and rounds must be greater than zero, and batches in 1...\(Limits.batchEventMax)"
            )
        }
    }

    func run() async throws {
        var report = Report(
            "replay",
            configuration: common.facts + [
                ("vims", .count(vims)), ("events", .count(events)), ("rounds", .count(rounds)),
            ],
            columns: [
                Column("batch", "events/batch"), Column("c_scan_per_second", "C scan/s"),
                Column("scan_per_second", "scan/s"), Column("scan_to_c", "scan:C"),
                Column("c_apply_per_second", "C scan+apply/s"), Column("replay_per_second", "replay/s"),
                Column("replay_to_c_scan", "replay:C scan"), Column("replay_to_c_apply", "replay:C apply"),
                Column("verified_per_second", "replay verifying/s"),
                Column("verified_to_sha256", "verifying:SHA-256"),
                Column("sqlite_per_second", "SQLite replay/s"), Column("replay_to_sqlite", "replay:SQLite"),
            ])
        for size in batches {
            try await withTemporaryDirectory(in: common.parent) { directory in
                let log = try await makeReportLog(
                    in: directory, vims: vims, events: events, batch: size, seed: common.seed)
                report.rows.append(try measure(log, batch: size))
            }
        }
        report.notes = [
            "Figures are per second of one thread's processor time: nothing here waits, and other work on the "
                + "machine counts less that way.",
            "verifying:SHA-256: bytes replayed per second with seals verified, by what SHA-256 alone does of "
                + "the same batches.",
            "SQLite replays a fifth as many rows of the same reports into the same dense table.",
        ]
        try report.print(asJSON: common.json)
    }

    private func measure(_ log: EventLog, batch size: Int) throws -> [Cell] {
        let count = Double(log.head.position)
        let reader = try ReferenceReader(path: log.path)
        let sqlite = try ReferenceSQLite(
            path: log.directory + "/peer.sqlite", streams: vims, seed: common.seed)
        _ = try sqlite.append([UInt32](repeating: 10_000, count: max(1, events / 50_000)))
        var sql: [Double] = []
        var rates: (cScan: [Double], scan: [Double], cApply: [Double]) = ([], [], [])
        var (replay, verified): ([Double], [Double]) = ([], [])
        var byteCount = 0.0
        // One round more than counted: the first warms the page cache.
        for round in 0...rounds {
            let cScan = try reader.walk(applying: false)
            let scan = try timedOnProcessor { try sum(log) }
            let cApply = try reader.walk(applying: true)
            let plain = try timedOnProcessor { try Replay(of: log) }
            let careful = try timedOnProcessor { try Replay(of: log, verifyingSeals: true) }
            let rows = try sqlite.replay()
            guard scan.result == cScan.sum, Double(cScan.events) == count else {
                throw BenchmarkError("the C walk and ours read different events")
            }
            guard plain.result.table.position == log.head.position,
                careful.result.eventCount == log.head.position
            else { throw BenchmarkError("a replay ended early") }
            byteCount = Double(cScan.bytes)
            guard round > 0 else { continue }
            rates.cScan.append(count * 1e9 / Double(cScan.nanoseconds))
            rates.scan.append(count / scan.seconds)
            rates.cApply.append(count * 1e9 / Double(cApply.nanoseconds))
            replay.append(count / plain.seconds)
            verified.append(count / careful.seconds)
            sql.append(Double(rows.events) * 1e9 / Double(rows.nanoseconds))
        }
        let sealBytesPerSecond = try lastBatchByteCount(log) / Seals.secondsPerBatch(of: log)
        let shaRate = count / byteCount * sealBytesPerSecond
        return [
            .count(size), .spread(rates.cScan), .spread(rates.scan),
            .spread(zip(rates.scan, rates.cScan).map { $0 / $1 }, digits: 2), .spread(rates.cApply),
            .spread(replay), .spread(zip(replay, rates.cScan).map { $0 / $1 }, digits: 2),
            .spread(zip(replay, rates.cApply).map { $0 / $1 }, digits: 2), .spread(verified),
            .spread(verified.map { $0 / shaRate }, digits: 2), .spread(sql),
            .spread(zip(replay, sql).map { $0 / $1 }, digits: 1),
        ]
    }

    /// The same sum as the C walk's, over every event, read as a replay reads.
    private func sum(_ log: EventLog) throws -> UInt64 {
        var sum: UInt64 = 0
        let reported = EventType.vimStatusReported.rawValue
        try log.readBatches { batch in
            var events = batch.events
            while let event = try events.next() {
                sum &+= event.envelope.time &+ UInt64(event.envelope.stream)
                if event.envelope.type == reported { sum &+= UInt64(event.payload[16]) }
            }
            return true
        }
        return sum
    }

    private func lastBatchByteCount(_ log: EventLog) throws -> Double {
        var byteCount = 0.0
        try log.readBatches(from: log.head.position) { batch in
            byteCount = Double(batch.bytes.count)
            return false
        }
        return byteCount
    }
}
