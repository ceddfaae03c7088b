import Conductor
import Encodings
import EventLog
import Foundation
import Logging
import OperatorRequests
import Registry

/// Destroys archived events: shows which, asks, and has it done.
struct Dropping {
    let directory: DataDirectory
    let time: Timestamp
    let isDryRun: Bool
    let isConfirmed: Bool
    let json: Bool

    func run() async throws {
        guard let plan = try plan() else {
            guard json else { return print("no file of the archive is that old: nothing to drop") }
            return printJSON(DropReport())
        }
        if isDryRun { return json ? printJSON(plan) : print("would be dropped: " + sentence(plan)) }
        try confirm(plan)
        let bar = SharedProgressBar(isShown: !json)
        let report: DropReport
        do {
            defer { bar.finish() }
            report = try await drop(upTo: plan.last, bar)
        }
        json ? printJSON(report) : print(report)
    }

    /// What would go.
    private struct Plan {
        var report = DropReport()
        var first: UInt64
        var last: UInt64
        var from: Timestamp
        var until: Timestamp
    }

    /// Nil if nothing is that old.
    private func plan() throws -> Plan? {
        let log = try directory.open()
        let segments = try reading { () throws(EventLogError) in
            try log.droppableSegments(before: time.microseconds)
        }
        guard let first = segments.first, let last = segments.last else { return nil }
        var plan = Plan(
            first: first.firstPosition, last: last.lastPosition,
            from: Timestamp(microseconds: first.firstTime), until: Timestamp(microseconds: last.lastTime))
        plan.report.segmentCount = segments.count
        plan.report.eventCount = last.lastPosition - first.firstPosition + 1
        plan.report.fileByteCount = segments.reduce(0) { $0 + $1.fileByteCount }
        plan.report.droppedEnd = plan.last
        return plan
    }

    private func sentence(_ plan: Plan) -> String {
        "\(plan.report.eventCount) events in \(plan.report.segmentCount) files of "
            + "\(plan.report.fileByteCount) bytes, positions \(plan.first) to \(plan.last), from "
            + "\(plan.from.spaced) to \(plan.until.spaced)"
    }

    /// It cannot be undone, so somebody says yes who has seen what goes.
    private func confirm(_ plan: Plan) throws {
        if isConfirmed { return }
        guard isatty(STDIN_FILENO) == 1, !json else {
            throw Failure.usage(
                "--drop-before destroys \(sentence(plan)), for good: look with --dry-run, then add --yes")
        }
        Terminal.draw("This destroys " + sentence(plan) + ", for good.\nType yes to go on: ")
        guard readLine() == "yes" else { throw Failure("nothing was dropped") }
    }

    /// Asks the server that runs there, or does it here if none does.
    ///
    /// By position, so that what goes is what was shown.
    private func drop(upTo end: UInt64, _ bar: SharedProgressBar) async throws -> DropReport {
        if let client = OperatorClient(directory: directory.path) {
            let wish = DropTask.Wish(upTo: end, userName: NSUserName())
            do throws(OperatorFailure) {
                return try await client.ask(DropTask.self, wish) { bar.show($0) }
            } catch { throw Failure(error.sentence) }
        }
        var options = Conductor.Options(directory: directory.path)
        options.version = Vedette.version
        do throws(StartFault) {
            return try await Conductor.drop(
                directory: directory.path, upTo: end,
                actor: Actor(userName: NSUserName(), remoteAddress: "local"), options: options,
                logger: Logger(label: "vedette") { StreamLogHandler.standardError(label: $0) },
                progress: { bar.show($0, of: $1) })
        } catch { throw Failure(error.sentence) }
    }

    private func print(_ report: DropReport) {
        Swift.print(
            "\(report.eventCount) events in \(report.segmentCount) files of \(report.fileByteCount) bytes "
                + "were dropped; the log begins at position \(report.droppedEnd + 1)")
        if report.leftFileCount > 0 {
            Swift.print("\(report.leftFileCount) files could not be removed; the next start tries again")
        }
    }

    private func printJSON(_ plan: Plan) {
        var line = jsonLine(plan.report)
        line.add("first_position", .integer(Int64(clamping: plan.first)))
        line.add("from", .string(plan.from.description))
        line.add("until", .string(plan.until.description))
        Swift.print(line.text)
    }

    private func printJSON(_ report: DropReport) {
        var line = jsonLine(report)
        line.add("left_files", .integer(Int64(report.leftFileCount)))
        Swift.print(line.text)
    }

    private func jsonLine(_ report: DropReport) -> JSONLine {
        var line = JSONLine()
        line.add("events", .integer(Int64(clamping: report.eventCount)))
        line.add("segments", .integer(Int64(report.segmentCount)))
        line.add("file_bytes", .integer(Int64(clamping: report.fileByteCount)))
        line.add("dropped_end", .integer(Int64(clamping: report.droppedEnd)))
        return line
    }

    private func print(_ text: String) { Swift.print(text) }
}

extension DataDirectory {
    /// Says, beside the output, that a log's beginning was dropped, if what is asked for begins before its
    /// end; returns where it ends.
    @discardableResult
    func noteDropped(_ log: EventLog, before position: UInt64) throws -> DroppedPart? {
        let dropped = try reading { () throws(EventLogError) in try log.droppedPart() }
        guard let dropped, position <= dropped.lastPosition else { return nil }
        Terminal.note(
            "what happened up to position \(dropped.lastPosition) was dropped on "
                + "\(Timestamp(microseconds: dropped.time).spaced): vedette audit log --type log.dropped")
        return dropped
    }
}
