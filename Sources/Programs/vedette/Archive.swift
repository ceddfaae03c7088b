import ArgumentParser
import Conductor
import Encodings
import EventLog
import Foundation
import Logging
import OperatorRequests
import Registry

/// Moves old batches into the archive, and destroys what is archived.
struct Archive: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Move old events into compressed, immutable files that read as before; drop the oldest.",
        discussion: """
            Times are RFC 3339 (2026-11-23T01:29:53Z), a date, or how long ago (90s, 5m, 2h, 3d). The events \
            go to archive/ in the data directory, where they take a few per cent of the space; nothing is \
            lost, and the seals still prove all of it. A running server does it beside its work; without one \
            this command does it. What is older than serve's --archive-after the server moves unasked. Of a \
            pair the leader is asked; the other node then does the same with its own log.

              vedette archive --before 30d
              vedette archive --before 30d --dry-run

            --drop-before destroys archived events for good, whole files at a time. What remains: the state \
            they led to, so that nothing else changes, and the seal at each file's end, so that the rest of \
            the log, and heads signed there, still prove. The log remembers who did it as log.dropped, and \
            GET /v1.0/events begins with an event of type DROP. Backups made before still hold what was \
            dropped; one that is being made begins anew.

              vedette archive --drop-before 2025-01-01 --dry-run
            """)

    @OptionGroup var directory: DataDirectory
    @Option(help: ArgumentHelp("Archive what happened before this time.", valueName: "time"))
    var before: String?
    @Option(
        help: ArgumentHelp(
            "Destroy the archive's files that hold nothing but what happened before this time.",
            valueName: "time"))
    var dropBefore: String?
    @Flag(help: "Only say what would be done.") var dryRun = false
    @Flag(help: "Drop without asking.") var yes = false
    @Flag(help: "One JSON object.") var json = false

    func validate() throws {
        guard (before == nil) != (dropBefore == nil) else {
            throw ValidationError("Name a time: either --before or --drop-before.")
        }
    }

    func run() async throws {
        if let dropBefore {
            return try await Dropping(
                directory: directory, time: try Moment.time(dropBefore, flag: "--drop-before"),
                isDryRun: dryRun, isConfirmed: yes, json: json
            ).run()
        }
        let time = try Moment.time(before ?? "", flag: "--before")
        EventLog.explainDamagedPages(of: directory.path)
        // Only looks whether there is a log: a mistyped directory must not become a new one.
        _ = try directory.open()
        if dryRun { return try tellPlan(before: time) }
        let bar = SharedProgressBar(isShown: !json)
        let report: ArchiveReport
        do {
            defer { bar.finish() }
            report = try await archive(before: time, bar)
        }
        json ? printJSON(report) : print(report)
    }

    private func tellPlan(before time: Timestamp) throws {
        let log = try directory.open()
        let plan = try reading { () throws(EventLogError) in
            try log.archivePlan(before: time.microseconds)
        }
        json ? printJSON(plan) : print(plan)
    }

    /// Asks the server that runs there, or does it here if none does.
    private func archive(before time: Timestamp, _ bar: SharedProgressBar) async throws -> ArchiveReport {
        if let client = OperatorClient(directory: directory.path) {
            let wish = ArchiveTask.Wish(before: time.microseconds, userName: NSUserName())
            do throws(OperatorFailure) {
                return try await client.ask(ArchiveTask.self, wish) { bar.show($0) }
            } catch { throw Failure(error.sentence) }
        }
        var options = Conductor.Options(directory: directory.path)
        options.version = Vedette.version
        do throws(StartFault) {
            return try await Conductor.archive(
                directory: directory.path, before: time,
                actor: Actor(userName: NSUserName(), remoteAddress: "local"), options: options,
                logger: Logger(label: "vedette") { StreamLogHandler.standardError(label: $0) },
                progress: { bar.show($0, of: $1) })
        } catch { throw Failure(error.sentence) }
    }

    private func print(_ plan: ArchivePlan) {
        guard plan.eventCount > 0 else { return Swift.print("nothing would move") }
        Swift.print(
            "\(plan.eventCount) events would move into \(plan.segmentCount) segments: "
                + "\(plan.batchByteCount) bytes in the data file")
    }

    private func printJSON(_ plan: ArchivePlan) {
        var line = JSONLine()
        line.add("events", .integer(Int64(clamping: plan.eventCount)))
        line.add("segments", .integer(Int64(plan.segmentCount)))
        line.add("batch_bytes", .integer(Int64(clamping: plan.batchByteCount)))
        Swift.print(line.text)
    }

    private func print(_ report: ArchiveReport) {
        let end =
            report.archivedEnd == 0 ? "nothing is archived" : "archived up to position \(report.archivedEnd)"
        guard report.eventCount > 0 else { return Swift.print("there was nothing to move; \(end)") }
        Swift.print(
            "\(report.eventCount) events moved into \(report.segmentCount) segments: "
                + "\(report.batchByteCount) bytes became \(report.fileByteCount); \(end)")
    }

    private func printJSON(_ report: ArchiveReport) {
        var line = JSONLine()
        line.add("events", .integer(Int64(clamping: report.eventCount)))
        line.add("segments", .integer(Int64(report.segmentCount)))
        line.add("batch_bytes", .integer(Int64(clamping: report.batchByteCount)))
        line.add("file_bytes", .integer(Int64(clamping: report.fileByteCount)))
        line.add("archived_end", .integer(Int64(clamping: report.archivedEnd)))
        Swift.print(line.text)
    }
}
