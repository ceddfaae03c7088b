import ArgumentParser
import Encodings
import EventLog
import Glibc
import Projections
import Registry
import VIMDrivers

/// Makes the projections anew from the first event.
struct Rebuild: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Drop the checkpoint and replay the log from the first event; --check only compares.",
        discussion: """
            Replay verifies every seal on the way. With --check nothing is written: what the checkpoint \
            holds is compared, row by row, with what replay gives at the same position, and the exit code \
            is 1 with the difference if they part. Where the log's beginning was dropped, replay begins with \
            the state that stands for it.
            """)

    @OptionGroup var directory: DataDirectory
    @Flag(help: "Compare the checkpoint with a replay; change nothing.") var check = false
    @Flag(help: "One JSON object.") var json = false

    func run() async throws {
        let log = try directory.open(check ? .read : .maintain, checking: .trees)
        let outcome = try log.undisturbedByDrops { () throws(any Error) in try rebuild(log) }
        try directory.noteDropped(log, before: 1)
        report(outcome)
        if !outcome.differences.isEmpty { throw ExitCode(1) }
    }

    private struct Outcome {
        var replay: Replay
        /// What was stored before.
        var checkpoint: Checkpoint?
        var differences: [Difference]
        var seconds: Double
    }

    private func rebuild(_ log: EventLog) throws -> Outcome {
        let stored = try reading { () throws(EventLogError) in try log.readStoredCheckpoint() }
        if !check { try reading { () throws(EventLogError) in try log.dropCheckpoint() } }
        let began = ContinuousClock.now
        let differences = check ? try stored.map { try compare($0, in: log) } ?? [] : []
        let replay = try replay(log, upTo: nil, showsProgress: !json)
        let seconds = Double((ContinuousClock.now - began) / .milliseconds(1)) / 1_000
        if !check {
            let seal = try reading { () throws(EventLogError) in try log.head(at: replay.table.position).seal
            }
            try reading { () throws(EventLogError) in try log.write(replay.table.checkpoint(seal: seal)) }
        }
        return Outcome(
            replay: replay, checkpoint: stored?.checkpoint, differences: differences, seconds: seconds)
    }

    /// The rows of the checkpoint against a replay to its position.
    private func compare(_ stored: (checkpoint: Checkpoint, isIntact: Bool), in log: EventLog) throws
        -> [Difference]
    {
        let checkpoint = stored.checkpoint
        let fault: String
        if checkpoint.schema != VIMTable.schema {
            fault = "it has schema \(checkpoint.schema), this version knows \(VIMTable.schema)"
        } else if try reading({ () throws(EventLogError) in try log.head(at: checkpoint.position) }).seal
            != checkpoint.seal
        {
            fault = "the log has another seal at its position \(checkpoint.position)"
        } else if let kept = VIMTable(encoded: checkpoint.rows, position: checkpoint.position) {
            let replayed = try replay(log, upTo: checkpoint.position, showsProgress: false).table
            let differences = kept.differences(from: replayed)
            if stored.isIntact || !differences.isEmpty { return differences }
            fault = "its checksum does not hold, although its rows equal the replay"
        } else {
            fault = "its rows cannot be read"
        }
        return [Difference(vimID: nil, field: "checkpoint", first: fault, second: "usable")]
    }

    private func replay(_ log: EventLog, upTo end: UInt64?, showsProgress: Bool) throws -> Replay {
        var bar = ProgressBar(isShown: showsProgress && isatty(STDERR_FILENO) == 1)
        defer { bar.finish() }
        do throws(ReadError<ProjectionFault>) {
            return try Replay(of: log, upTo: end, verifyingSeals: true) {
                bar.show($0.position, of: $0.end)
            }
        } catch { throw Failure(error.sentence(for: log)) }
    }

    private func counted(_ count: UInt64, _ noun: String) -> String {
        "\(count) \(noun)\(count == 1 ? "" : "s")"
    }

    private func report(_ outcome: Outcome) {
        let (replay, differences) = (outcome.replay, outcome.differences)
        let table = replay.table
        let rate = UInt64(Double(replay.eventCount) / max(outcome.seconds, 0.001))
        if json {
            var line = JSONLine()
            line.add("position", .integer(Int64(clamping: table.position)))
            line.add("vims", .integer(Int64(table.registeredCount)))
            line.add("events_per_second", .integer(Int64(clamping: rate)))
            line.add(
                "checkpoint_position",
                outcome.checkpoint.map { .integer(Int64(clamping: $0.position)) } ?? .null)
            line.add(
                "differences",
                .array(
                    differences.map { difference in
                        [
                            "vim_id": difference.vimID.map { .string($0.description) } ?? .null,
                            "field": .string(difference.field), "checkpoint": .string(difference.first),
                            "replay": .string(difference.second),
                        ]
                    }))
            return print(line.text)
        }
        print(
            "\(counted(replay.eventCount, "event")) replayed and their seals verified, \(rate) events/s; "
                + "\(counted(UInt64(table.registeredCount), "VIM")) registered at position \(table.position)"
        )
        guard check else { return print("a new checkpoint is stored") }
        guard let checkpoint = outcome.checkpoint else {
            return print("there is no checkpoint to compare with")
        }
        if differences.isEmpty {
            return print("the checkpoint at position \(checkpoint.position) equals the replay, row by row")
        }
        print(
            Terminal.painted(
                "the checkpoint at position \(checkpoint.position) differs from the replay:", .red))
        for difference in differences {
            let whose = difference.vimID.map { "VIM \($0) " } ?? ""
            print(
                "  \(whose)\(difference.field): checkpoint \(difference.first), replay \(difference.second)")
        }
    }
}
