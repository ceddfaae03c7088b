import ArgumentParser
import EventLog
import Foundation

/// The real `vedette audit export` beside cp of what it wrote.
struct Export: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "vedette audit export in each of its forms, beside cp of what it wrote.",
        discussion: """
            Makes a log of --events status reports, then in each round, for each form: the program's audit export \
            of all of it into a file, durable at its end; cp and sync of that file; and audit verify of the log, \
            which reads and proves the same events and writes nothing.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var server: ServerOptions
    @Option(help: "Status reports in the log.") var events = 500_000
    @Option(help: "Registered VIMs.") var vims = 1_000
    @Option(help: "Events in a batch.") var batch = 64
    @Option(parsing: .upToNextOption, help: "The forms.") var forms = ["jsonl", "cloudevents", "cadf", "csv"]
    @Option(help: "Rounds.") var rounds = 3

    func validate() throws {
        guard events > 0, vims > 0, (1...Limits.batchEventMax).contains(batch), rounds > 0 else {
            throw ValidationError("all numbers must be greater than zero, and batches fit into one")
        }
    }

    func run() async throws {
        var report = Report(
            "export",
            configuration: common.facts + [
                ("events", .count(events)), ("vims", .count(vims)), ("batch", .count(batch)),
                ("rounds", .count(rounds)),
            ],
            columns: [
                Column("form", "form"), Column("megabytes", "MB"), Column("events_per_second", "events/s"),
                Column("megabytes_per_second", "MB/s"),
                Column("processor_microseconds", "CPU us/event"), Column("to_copy", "export:cp+sync"),
                Column("to_verify", "export:verify"),
            ])
        try await withTemporaryDirectory(in: common.parent) { directory in
            let data = directory + "/data"
            try await makeLog(in: data)
            for form in forms { report.rows.append(try measure(form, of: data, in: directory)) }
        }
        report.notes = [
            "export:cp+sync and export:verify: the speed of the export by that of these; each includes the start of "
                + "its program."
        ]
        try report.print(asJSON: common.json)
    }

    /// A function of its own, so that the log is let go of when it returns.
    private func makeLog(in data: String) async throws {
        _ = try await makeReportLog(in: data, vims: vims, events: events, batch: batch, seed: common.seed)
    }

    private func measure(_ form: String, of data: String, in directory: String) throws -> [Cell] {
        let (out, copy, log) = (directory + "/out", directory + "/copy", directory + "/export.log")
        func vedette(_ arguments: String...) throws {
            try Program.run([server.vedette, "audit"] + arguments + ["--data-directory", data], log: log)
        }
        var (exporting, copying, verifying): ([Double], [Double], [Double]) = ([], [], [])
        var processor: [Double] = []
        var byteCount = 0
        // One round more than counted: the first warms everything up.
        for round in 0...rounds {
            let before = childProcessorSeconds()
            let export = try timed { try vedette("export", "--format", form, "--out", out) }.seconds
            let spent = childProcessorSeconds() - before
            let copied = try timed {
                try Program.run(["/bin/cp", out, copy], log: log)
                try Program.run(["/bin/sync", "--data", copy], log: log)
            }.seconds
            let verified = try timed { try vedette("verify") }.seconds
            byteCount = try FileManager.default.attributesOfItem(atPath: out)[.size] as? Int ?? 0
            for file in [out, copy] { try FileManager.default.removeItem(atPath: file) }
            guard round > 0 else { continue }
            exporting.append(export)
            copying.append(copied)
            verifying.append(verified)
            processor.append(spent)
        }
        let megabytes = Double(byteCount) / 1e6
        return [
            .text(form), .number(megabytes), .spread(exporting.map { Double(events) / $0 }),
            .spread(exporting.map { megabytes / $0 }),
            .spread(processor.map { $0 / Double(events) * 1e6 }, digits: 1),
            .spread(zip(copying, exporting).map { $0 / $1 }, digits: 3),
            .spread(zip(verifying, exporting).map { $0 / $1 }, digits: 3),
        ]
    }
}
