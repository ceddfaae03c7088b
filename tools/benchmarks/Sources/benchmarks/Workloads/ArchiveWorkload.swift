import ArgumentParser
import Conductor
import EventLog
import Foundation
import Logging
import Reference
import Registry

/// What the archive makes of days of monitoring.
struct ArchiveWorkload: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "archive",
        abstract: "Days of 1,000 VIMs reporting every minute, archived one after the other, beside zstd.",
        discussion: """
            Fills a log with a day of reports (jittered: see MonitoredFleet), has zstd compress its raw \
            batches, archives the day, and goes on with the next. Sizes are measured, so the log may lie in \
            memory: a day has some 1.4 million commits.
            """)

    @OptionGroup var common: CommonOptions
    @Option(help: "Registered VIMs.") var vims = 1_000
    @Option(help: "Minutes of a day.") var minutes = 1_440
    @Option(help: "Days.") var days = 3
    @Option(help: "zstd's level over the raw batches; the archive's own is 19.") var zstdLevel = 19
    @Option(help: "Where the log lies: memory, since each commit is synced.") var memory = "/dev/shm"

    func run() async throws {
        let parent = FileManager.default.isWritableFile(atPath: memory) ? memory : common.parent
        var report = Report(
            "archive",
            configuration: [
                ("seed", .text("\(common.seed)")), ("vims", .count(vims)), ("minutes", .count(minutes)),
                ("zstd_level", .count(zstdLevel)), ("log_in", .text(parent)),
            ],
            columns: [
                Column("day", "day"), Column("reports", "reports"), Column("batches", "batches"),
                Column("hot_bytes", "hot B/report"), Column("raw_bytes", "raw B/report"),
                Column("zstd_bytes", "zstd B/report"), Column("segment_bytes", "archive B/report"),
                Column("to_zstd", "archive:zstd"), Column("file_before", "data file MB, before"),
                Column("file_after", "after"), Column("seconds", "archiving s"),
                Column("reports_per_second", "reports/s"),
            ])
        try await withTemporaryDirectory(in: parent) { directory in
            let members = try await register(vims, in: directory)
            var fleet = MonitoredFleet(
                members: members, after: try startTime(of: directory), seed: common.seed)
            var usedBefore = try usedByteCount(of: directory)
            for day in 1...days {
                let filled = try fill(directory, &fleet)
                let hot = filled.usedByteCount - usedBefore
                let (archived, seconds) = try await archive(directory, upTo: filled.end)
                usedBefore = try usedByteCount(of: directory)
                let count = Double(vims * minutes)
                report.rows.append([
                    .count(day), .count(vims * minutes), .count(filled.batchCount),
                    // Later days fill pages that the first one left.
                    day == 1 ? .number(Double(hot) / count, digits: 1) : .text("-"),
                    .number(Double(filled.rawByteCount) / count, digits: 1),
                    .number(Double(filled.zstdByteCount) / count, digits: 2),
                    .number(Double(archived.fileByteCount) / count, digits: 2),
                    .number(Double(archived.fileByteCount) / Double(filled.zstdByteCount), digits: 2),
                    .number(Double(filled.usedByteCount) / 1e6, digits: 1),
                    .number(Double(usedBefore) / 1e6, digits: 1), .number(seconds, digits: 1),
                    .number(count / seconds),
                ])
            }
        }
        report.notes = [
            "hot: growth of the data file; raw: the batches themselves, with their seals; zstd: one frame "
                + "over them; archive: the segments' files, from which every seal is computed anew. "
                + "Archiving's time includes reading everything back, and a replay at its start."
        ]
        try report.print(asJSON: common.json)
    }

    private struct Filled {
        var end: UInt64
        var usedByteCount: Int
        var batchCount = 0
        var rawByteCount = 0
        var zstdByteCount: UInt64 = 0
    }

    private func startTime(of directory: String) throws -> UInt64 {
        try EventLog(directory: directory, access: .read).head.time
    }

    private func usedByteCount(of directory: String) throws -> Int {
        try EventLog(directory: directory, access: .read).usedByteCount
    }

    /// A day's reports, and what zstd makes of them.
    private func fill(_ directory: String, _ fleet: inout MonitoredFleet) throws -> Filled {
        let log = try EventLog(directory: directory, access: .write)
        let start = log.head.position + 1
        try fleet.report(minutes: minutes, to: log)
        var filled = Filled(end: log.head.position, usedByteCount: log.usedByteCount)
        var stream: OpaquePointer?
        try check(reference_zstd_open(Int32(zstdLevel), &stream), "zstd")
        guard let stream else { throw BenchmarkError("zstd could not be set up") }
        var code: Int32 = 0
        try log.readBatches(from: start) { batch in
            filled.batchCount += 1
            filled.rawByteCount += batch.bytes.count
            code = reference_zstd_feed(stream, batch.bytes.baseAddress, batch.bytes.count)
            return code == 0
        }
        try check(code, "zstd")
        try check(reference_zstd_close(stream, &filled.zstdByteCount), "zstd")
        return filled
    }

    /// The same that `vedette archive` does where no server runs.
    private func archive(
        _ directory: String, upTo end: UInt64
    ) async throws -> (ArchiveReport, seconds: Double) {
        let time = try startTime(of: directory) + 1
        var options = Conductor.Options(directory: directory)
        options.now = { Timestamp(microseconds: time) }
        let start = nowNanoseconds()
        let report = try await Conductor.archive(
            directory: directory, before: Timestamp(microseconds: time), options: options,
            logger: Logger(label: "benchmark"))
        guard report.archivedEnd >= end else {
            throw BenchmarkError("only \(report.archivedEnd) is archived")
        }
        return (report, Double(nowNanoseconds() - start) / 1e9)
    }
}
