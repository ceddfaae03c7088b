import ArgumentParser
import EventLog
import Foundation

/// The real `vedette audit verify` beside libcrypto's SHA-256.
struct Verify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "vedette audit verify of ten million events, beside SHA-256 on as many threads.",
        discussion: """
            Makes a log of --events status reports, then in each round runs the program's audit verify over it \
            (page cache warm) and, right after, libcrypto's SHA-256 on every core, as openssl speed does.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var server: ServerOptions
    @Option(help: "Status reports in the log.") var events = 10_000_000
    @Option(help: "Registered VIMs.") var vims = 10_000
    @Option(parsing: .upToNextOption, help: "Events in a batch.") var batches = [64, 1_000]
    @Option(help: "Rounds.") var rounds = 5

    func run() async throws {
        var report = Report(
            "verify",
            configuration: common.facts + [
                ("events", .count(events)), ("vims", .count(vims)), ("rounds", .count(rounds)),
            ],
            columns: [
                Column("batch", "events/batch"), Column("seconds", "audit verify s"),
                Column("events_per_second", "events/s"), Column("megabytes_per_second", "MB/s"),
                Column("sha256_one", "SHA-256 MB/s, 1 core"), Column("sha256_all", "all cores"),
                Column("to_one", "verify:1 core"), Column("to_all", "verify:all cores"),
                Column("cores_used", "cores used"),
            ])
        for size in batches {
            try await withTemporaryDirectory(in: common.parent) { directory in
                let byteCount = try await makeLog(in: directory + "/data", batch: size)
                report.rows.append(try measure(directory, batch: size, byteCount: byteCount))
            }
        }
        report.notes = [
            "MB/s are bytes of batches, each verified and hashed once; audit verify also checks positions, times, "
                + "chains and payloads, and replays for the checkpoint."
        ]
        try report.print(asJSON: common.json)
    }

    private func makeLog(in directory: String, batch size: Int) async throws -> Int {
        let log = try await makeReportLog(
            in: directory, vims: vims, events: events, batch: size, seed: common.seed)
        var byteCount = 0
        try log.readBatches { batch in
            byteCount += batch.bytes.count
            return true
        }
        return byteCount
    }

    private func measure(_ directory: String, batch size: Int, byteCount: Int) throws -> [Cell] {
        var (taken, one, all, cores): ([Double], [Double], [Double], [Double]) = ([], [], [], [])
        for round in 0...rounds {
            let before = childProcessorSeconds()
            let run = try timed {
                try Program.run(
                    [server.vedette, "audit", "verify", "--json", "--data-directory", directory + "/data"],
                    log: directory + "/verify.log")
            }
            let used = childProcessorSeconds() - before
            let single = try sha256BytesPerSecond(threads: 1, seconds: 0.3)
            let whole = try sha256BytesPerSecond(threads: Machine.cores, seconds: 0.3)
            guard round > 0 else { continue }
            taken.append(run.seconds)
            cores.append(used / run.seconds)
            one.append(single / 1e6)
            all.append(whole / 1e6)
        }
        let rates = taken.map { Double(byteCount) / $0 / 1e6 }
        return [
            .count(size), .spread(taken, digits: 2), .spread(taken.map { Double(events) / $0 }),
            .spread(rates), .spread(one), .spread(all),
            .spread(zip(rates, one).map { $0 / $1 }, digits: 2),
            .spread(zip(rates, all).map { $0 / $1 }, digits: 2), .spread(cores, digits: 2),
        ]
    }
}
