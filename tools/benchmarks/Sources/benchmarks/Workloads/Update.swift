import ArgumentParser
import Conductor
import EventLog
import Glibc
import Logging
import Projections
import Registry

/// How callers wait for their answers.
enum CallerForm: String, ExpressibleByArgument, CaseIterable {
    case task, reply
}

/// Status reports through the conductor, by more and more concurrent callers.
struct Update: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Durable updateVIM per second through the conductor, beside the bare log, C and a raw file.",
        discussion: """
            In each round, for each number of callers and each form: first the conductor, for --seconds; then \
            EventLog.append alone and the plain C loop over LMDB, both with exactly the batch sizes that the \
            conductor formed (read back from its log); the same callers answered by a thread that does nothing \
            else, which is what they and their switches allow; then pwrite + fdatasync of the same bytes on a file \
            written beforehand. Form "task": each caller is a Swift task in updateVIM; form "reply": each is a \
            closure that submits its next report when the last one was answered, as a door carries them.
            """)

    @OptionGroup var common: CommonOptions
    @Option(help: "Registered VIMs, of which each call chooses one at random.") var vims = 10_000
    @Option(parsing: .upToNextOption, help: "Numbers of concurrent callers.") var callers = [
        1, 64, 1_024, 10_000,
    ]
    @Option(parsing: .upToNextOption, help: "task, reply or both.") var forms = [CallerForm.task, .reply]
    @Option(help: "Rounds; many short ones pair the contestants better on a busy machine.") var rounds = 25
    @Option(help: "Seconds of the conductor's part in each round.") var seconds = 0.2
    @Option(help: "Programs that compute meanwhile at nice 10: a machine that has other work.") var busy = 0

    func validate() throws {
        guard vims > 0, rounds > 0, seconds > 0, busy >= 0, callers.allSatisfy({ $0 > 0 }) else {
            throw ValidationError("vims, rounds, seconds and callers must be above zero, busy not below")
        }
    }

    func run() async throws {
        var report = Report(
            "update",
            configuration: common.facts + [
                ("vims", .count(vims)), ("rounds", .count(rounds)), ("seconds", .number(seconds, digits: 2)),
                ("busy", .count(busy)),
            ],
            columns: [
                Column("callers", "callers"), Column("form", "form"), Column("batch_mean", "events/batch"),
                Column("conductor_per_second", "conductor/s"), Column("append_per_second", "append/s"),
                Column("c_per_second", "C LMDB/s"), Column("conductor_to_append", "conductor:append"),
                Column("conductor_to_c", "conductor:C"), Column("c_to_raw", "C:raw"),
                Column("echo_per_second", "echo/s"), Column("conductor_to_bound", "conductor:bound"),
                Column("p50_microseconds", "p50 us"), Column("p95_microseconds", "p95 us"),
                Column("p99_microseconds", "p99 us"), Column("p999_microseconds", "p99.9 us"),
                Column("p50_in_commits", "p50 in C commits"),
                Column("processor_microseconds", "CPU us/event"),
                Column("echo_processor_microseconds", "echo CPU us/event"),
            ])
        try await withTemporaryDirectory(in: common.parent) { directory in
            for result in try await measure(in: directory) { report.rows.append(result.row) }
        }
        report.notes = [
            "conductor:append is 1.00 when deciding, projecting and answering cost nothing beside the bare log; "
                + "conductor:C the same of sealing and gathering, too.",
            "conductor:bound: by the lesser of append/s and echo/s, which is the same callers answered by a "
                + "thread that does nothing else.",
            "p50 in C commits: the median call's latency in mean commits of the C loop, same batches.",
        ]
        try report.print(asJSON: common.json)
    }

    private func measure(in directory: String) async throws -> [UpdateResult] {
        var options = Conductor.Options(directory: directory + "/conductor")
        options.version = "benchmark"
        let conductor = try await Conductor(options, logger: Logger(label: "benchmark"))
        let fleet = try await Fleet(registering: vims, with: conductor)
        let peers = try Peers(directory: directory, streams: vims, seed: common.seed)
        let bare = try BareLog(directory: directory + "/bare", streams: vims, seed: common.seed)
        let echo = Echo()
        // Programs, so that their processor time does not count as this one's.
        let others = try (0..<busy).map {
            try Program(
                ["/usr/bin/nice", "-n", "10", "/bin/sh", "-c", "while :; do :; done"],
                log: "\(directory)/busy-\($0).log")
        }
        defer {
            echo.stop()
            for other in others { other.stop() }
        }
        let reader = try ReferenceReader(path: directory + "/conductor/events.lmdb")
        var results = callers.flatMap { callers in forms.map { UpdateResult(callers: callers, form: $0) } }
        // One round more than counted: the first warms everything up.
        for round in 0...rounds {
            for index in results.indices {
                let start = conductor.read { $0.position }
                let (callers, seed) = (results[index].callers, common.seed &+ UInt64(round * 1_000 + index))
                let (load, echoed) =
                    switch results[index].form {
                    case .task:
                        (
                            try await fleet.load(conductor, callers: callers, seconds: seconds, seed: seed),
                            try await fleet.load(echo, callers: callers, seconds: seconds / 2, seed: seed)
                        )
                    case .reply:
                        (
                            try await fleet.carry(conductor, callers: callers, seconds: seconds, seed: seed),
                            try await fleet.carry(echo, callers: callers, seconds: seconds / 2, seed: seed)
                        )
                    }
                let sizes = try reader.batchSizes(after: start, most: load.nanoseconds.count)
                let alone = try bare.append(sizes)
                let peer = try peers.append(sizes)
                if round > 0 { results[index].take(load, echoed, sizes, alone, peer) }
            }
        }
        await conductor.stop()
        return results
    }
}

/// What the rounds with one number of callers gave.
private struct UpdateResult {
    let callers: Int
    let form: CallerForm
    private var eventCount = 0
    private var batchCount = 0
    private var conductor: [Double] = []
    private var append: [Double] = []
    private var c: [Double] = []
    private var raw: [Double] = []
    private var echo: [Double] = []
    private var echoProcessor: [Double] = []
    private var processor: [Double] = []
    private var commitSeconds: [Double] = []
    private var latencies = Latencies()

    init(callers: Int, form: CallerForm) {
        self.callers = callers
        self.form = form
    }

    mutating func take(
        _ load: Fleet.Load, _ echoed: Fleet.Load, _ sizes: [UInt32], _ alone: Double,
        _ peer: (c: Double, raw: Double)
    ) {
        let events = Double(load.nanoseconds.count)
        eventCount += load.nanoseconds.count
        batchCount += sizes.count
        conductor.append(events / load.seconds)
        append.append(events / alone)
        c.append(events / peer.c)
        raw.append(events / peer.raw)
        echo.append(Double(echoed.nanoseconds.count) / echoed.seconds)
        echoProcessor.append(echoed.processorSeconds / Double(echoed.nanoseconds.count) * 1e6)
        processor.append(load.processorSeconds / events * 1e6)
        commitSeconds.append(peer.c / Double(sizes.count))
        latencies.add(load.nanoseconds)
    }

    var row: [Cell] {
        let p50 = latencies.microseconds(at: 50)
        return [
            .count(callers), .text(form.rawValue),
            .number(Double(eventCount) / Double(batchCount), digits: 1),
            .spread(conductor), .spread(append), .spread(c),
            .spread(zip(conductor, append).map { $0 / $1 }, digits: 2),
            .spread(zip(conductor, c).map { $0 / $1 }, digits: 2),
            .spread(zip(c, raw).map { $0 / $1 }, digits: 2),
            .spread(echo), .spread(zip(conductor, zip(append, echo).map(min)).map { $0 / $1 }, digits: 2),
            .number(p50),
            .number(latencies.microseconds(at: 95)), .number(latencies.microseconds(at: 99)),
            .number(latencies.microseconds(at: 99.9)),
            .number(p50 / (Spread(commitSeconds).median * 1e6), digits: 1), .spread(processor, digits: 2),
            .spread(echoProcessor, digits: 2),
        ]
    }
}

/// The C loop and the raw file, fed the same batch sizes.
struct Peers {
    let log: ReferenceLog
    let file: ReferenceFile

    init(directory: String, streams: Int, seed: UInt64, name: String = "reference") throws {
        log = try ReferenceLog(path: directory + "/\(name).lmdb", streams: streams, seed: seed)
        file = try ReferenceFile(path: directory + "/\(name).raw")
    }

    /// The seconds that each took.
    func append(_ sizes: [UInt32]) throws -> (c: Double, raw: Double) {
        (try log.append(sizes), try file.append(sizes))
    }
}
