import ArgumentParser
import Encodings
import OperatorRequests
import Registry

/// The workers of the running server.
struct WorkersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "workers",
        abstract: "Show the workers of the running server: their load, room and version.",
        discussion: """
            A worker is listed while it announces itself. It takes monitor actions while it carries \
            fewer than its share. Actions that wait are those that no worker has taken: if they stay, \
            start another vedette worker or raise --capacity.

              vedette workers --json
            """)

    @OptionGroup var directory: DataDirectory
    @Flag(help: "One JSON object.") var json = false

    func run() async throws {
        guard let client = OperatorClient(directory: directory.path) else {
            throw Failure(
                "no server answers in \(directory.path): start vedette serve --workflows workers there, or "
                    + "name its directory with --data-directory")
        }
        let report: WorkersTask.Outcome
        do throws(OperatorFailure) {
            report = try await client.ask(WorkersTask.self, WorkersTask.Wish()) { _ in }
        } catch { throw Failure(error.sentence) }
        json ? printJSON(report) : print(report)
    }

    private func print(_ report: WorkersTask.Outcome) {
        if report.workers.isEmpty {
            Swift.print("No worker is heard of: start one with vedette worker --rabbitmq URL.")
        } else {
            var table = TextTable(
                ["NAME", "HOST", "PROCESS", "VERSION", "LOAD", "SHARE", "CAPACITY", "HEARD"])
            for row in report.workers {
                table.add([
                    row.name, row.host, "\(row.processID)", row.version, "\(row.load)", "\(row.loadMax)",
                    "\(row.capacity)", "\(Int(row.silentSeconds)) s ago",
                ])
            }
            table.print()
        }
        if report.waiting > 0 { Swift.print("\(report.waiting) monitor actions wait for a worker.") }
    }

    private func printJSON(_ report: WorkersTask.Outcome) {
        var line = JSONLine()
        line.add(
            "workers",
            .array(
                report.workers.map {
                    [
                        "name": .string($0.name), "host": .string($0.host),
                        "process_id": .integer(Int64($0.processID)), "version": .string($0.version),
                        "load": .integer(Int64($0.load)), "load_max": .integer(Int64($0.loadMax)),
                        "capacity": .integer(Int64($0.capacity)),
                        "silent_seconds": .integer(Int64($0.silentSeconds)),
                    ]
                }))
        line.add("waiting", .integer(Int64(report.waiting)))
        Swift.print(line.text)
    }
}
