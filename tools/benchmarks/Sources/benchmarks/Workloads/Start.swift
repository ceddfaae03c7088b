import ArgumentParser
import EventLog
import Foundation
import Projections

/// How soon the real server serves over a long log.
struct Start: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "From starting vedette serve over fifty million events to the first 200.",
        discussion: """
            Makes a log of --events status reports behind the last checkpoint, starts the server on it, which \
            replays all of them, and asks for the VIMs until the first 200; stopped, it has stored a checkpoint, \
            and is started again. Beside it Replay(of:) with seals verified, which is what a start without a \
            checkpoint has to do.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var server: ServerOptions
    @Option(help: "Status reports in the log.") var events = 50_000_000
    @Option(help: "Registered VIMs.") var vims = 10_000
    @Option(help: "Events in a batch.") var batch = 1_000
    @Option(help: "Starts with a checkpoint.") var rounds = 5

    func run() async throws {
        var report = Report(
            "start",
            configuration: common.facts + [
                ("events", .count(events)), ("vims", .count(vims)), ("batch", .count(batch)),
            ],
            columns: [
                Column("start", "start"), Column("seconds", "s to the first 200"),
                Column("rebuild_seconds", "rebuild s"), Column("progress", "progress lines"),
            ])
        try await withTemporaryDirectory(in: common.parent) { directory in
            let rebuild = try await makeLog(in: directory + "/data")
            let (bare, lines) = try start(in: directory)
            report.rows.append([
                .text("without a checkpoint"), .number(bare, digits: 2), .number(rebuild, digits: 2),
                .count(lines),
            ])
            let seconds = try (0..<rounds).map { _ in try start(in: directory).seconds }
            report.rows.append([
                .text("with a checkpoint"), .spread(seconds, digits: 3), .text("-"), .text("-"),
            ])
        }
        try report.print(asJSON: common.json)
    }

    /// Makes the log, and returns the seconds that a verifying replay of it takes here.
    private func makeLog(in directory: String) async throws -> Double {
        let log = try await makeReportLog(
            in: directory, vims: vims, events: events, batch: batch, seed: common.seed)
        return try timed { _ = try Replay(of: log, verifyingSeals: true) }.seconds
    }

    private func start(in directory: String) throws -> (seconds: Double, progressLines: Int) {
        let begin = nowNanoseconds()
        let process = try ServerProcess(program: server.vedette, directory: directory, patience: 120)
        let connection = try HTTPConnection(to: process.address)
        let reply = try connection.exchange("GET", "/v1.0/vims?limit=1")
        guard reply.status == 200 else { throw BenchmarkError("the first answer was \(reply.status)") }
        let seconds = Double(nowNanoseconds() - begin) / 1e9
        process.stop()
        let lines = Machine.read(directory + "/server.log").split(separator: "\n")
        return (seconds, lines.filter { $0.contains("replay") }.count)
    }
}
