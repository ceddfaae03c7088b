import ArgumentParser
import EventLog
import Foundation

/// The real `vedette audit verify` beside libcrypto's SHA-256.
struct Verify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "vedette audit verify of ten million events, beside SHA-256 on as many threads.",
        discussion: """
            Makes a log of --events status reports, then in each round runs the program's audit verify over it \
            (page cache warm), on every core and on one, and right after each libcrypto's SHA-256 on as many, \
            as openssl speed does.
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
                Column("batch", "events/batch"),
                Column("sha256_one", "SHA-256 MB/s, 1 core"), Column("sha256_all", "all cores"),
                Column("one_megabytes_per_second", "verify MB/s, 1 core"),
                Column("megabytes_per_second", "all cores"),
                Column("events_per_second", "events/s, all cores"), Column("seconds", "s"),
                Column("to_one", "verify:SHA-256, 1 core"), Column("to_all", "all cores"),
                Column("to_processor", "by processor time"), Column("cores_used", "cores used"),
            ])
        for size in batches {
            try await withTemporaryDirectory(in: common.parent) { directory in
                let byteCount = try await makeLog(in: directory + "/data", batch: size)
                report.rows.append(try measure(directory, batch: size, byteCount: byteCount))
            }
        }
        report.notes = [
            "MB/s are bytes of batches, each verified and hashed once; audit verify also checks positions, times, "
                + "chains, payloads, checkpoint and vault.",
            "s are what audit verify takes for \(events) events on all cores, its start included.",
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
        let bytes = Double(byteCount)
        var (one, all, byProcessor, cores): ([Double], [Double], [Double], [Double]) = ([], [], [], [])
        var (shaOne, shaAll, shaByProcessor): ([Double], [Double], [Double]) = ([], [], [])
        for round in 0...rounds {
            let whole = try verify(directory, under: [])
            let shaWhole = try sha256BytesPerSecond(threads: Machine.cores, seconds: 0.3)
            let single = try verify(directory, under: ["/usr/bin/taskset", "-c", "0"])
            let shaSingle = try sha256BytesPerSecond(threads: 1, seconds: 0.3)
            guard round > 0 else { continue }
            one.append(bytes / single.seconds)
            all.append(bytes / whole.seconds)
            byProcessor.append(bytes / whole.processorSeconds)
            cores.append(whole.processorSeconds / whole.seconds)
            shaOne.append(shaSingle.elapsed)
            shaAll.append(shaWhole.elapsed)
            shaByProcessor.append(shaSingle.processor)
        }
        func ratio(_ rates: [Double], _ bounds: [Double]) -> Cell {
            .spread(zip(rates, bounds).map { $0 / $1 }, digits: 2)
        }
        return [
            .count(size), .spread(shaOne.map { $0 / 1e6 }), .spread(shaAll.map { $0 / 1e6 }),
            .spread(one.map { $0 / 1e6 }), .spread(all.map { $0 / 1e6 }),
            .spread(all.map { Double(events) * $0 / bytes }), .spread(all.map { bytes / $0 }, digits: 2),
            ratio(one, shaOne), ratio(all, shaAll),
            ratio(byProcessor, shaByProcessor), .spread(cores, digits: 2),
        ]
    }

    /// One run of the program.
    private func verify(
        _ directory: String, under wrapper: [String]
    ) throws -> (seconds: Double, processorSeconds: Double) {
        let before = childProcessorSeconds()
        let run = try timed {
            try Program.run(
                wrapper + [
                    server.vedette, "audit", "verify", "--json", "--data-directory", directory + "/data",
                ],
                log: directory + "/verify.log")
        }
        return (run.seconds, childProcessorSeconds() - before)
    }
}
