import ArgumentParser
import Foundation
import Glibc

/// What a fleet under embedded monitors costs the server.
struct Memory: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Memory and processor time of a server with many VIMs under embedded monitors.",
        discussion: """
            Starts the real `vedette serve`, registers --vims VIMs over REST whose endpoints are --endpoints \
            loopback addresses answered by this program, and lets the embedded monitors run for --seconds.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var server: ServerOptions
    @Option(help: "VIMs to register.") var vims = 10_000
    @Option(help: "Loopback endpoints that the VIMs share.") var endpoints = 256
    @Option(help: "Seconds under monitors.") var seconds = 60
    @Option(help: "Seconds from one probe of a VIM to the next.") var interval = 10
    @Option(help: "Connections that register at a time.") var connections = 32

    func validate() throws {
        guard vims > 0, (1...10_000).contains(endpoints), seconds > 0, interval > 0,
            (1...256).contains(connections)
        else {
            throw ValidationError(
                "vims, seconds and interval must be greater than zero, endpoints at most 10000, connections at "
                    + "most 256")
        }
    }

    func run() throws {
        var report = Report(
            "memory",
            configuration: common.facts + [
                ("vims", .count(vims)), ("endpoints", .count(endpoints)), ("interval", .count(interval)),
                ("seconds", .count(seconds)),
            ],
            columns: [
                Column("moment", "moment"), Column("resident_mib", "RSS MiB"), Column("peak_mib", "peak MiB"),
                Column("bytes_per_vim", "bytes/VIM"), Column("processor_seconds", "CPU s"),
                Column("processor_seconds_per_minute", "CPU s/min"), Column("probes", "probes answered"),
                Column("processor_microseconds_per_probe", "CPU us/probe"),
            ])
        try withTemporaryDirectory(in: common.parent) { directory in
            try measure(in: directory, into: &report)
        }
        try report.print(asJSON: common.json)
    }

    private func measure(in directory: String, into report: inout Report) throws {
        let endpoints = try Endpoints(count: endpoints)
        let server = try ServerProcess(
            program: server.vedette, directory: directory, options: ["--monitor-interval", "\(interval)"])
        usleep(1_000_000)
        let empty = Sample(server, endpoints)
        let registration = try timed { try register(at: server.address, endpoints) }
        let registered = Sample(server, endpoints)
        sleep(UInt32(seconds))
        let monitored = Sample(server, endpoints)
        let reachable = try reachableCount(at: server.address)
        let listing = try list(at: server.address)
        server.stop()

        report.rows = [
            row("idle, no VIM", empty, since: nil, empty),
            row("registered", registered, since: nil, empty),
            row("after \(seconds) s of monitors", monitored, since: registered, empty),
        ]
        let rate = Cell.number(Double(vims) / registration.seconds).text
        report.notes = [
            "registered over REST in \(Cell.number(registration.seconds, digits: 1).text) s (\(rate) per second, "
                + "\(connections) connections)",
            "all \(vims) listed in \(Cell.number(listing.milliseconds).text) ms, "
                + "\(Cell.number(listing.megabytes, digits: 1).text) MB; a loopback carries as many bytes in C in "
                + "\(Cell.number(listing.transferMilliseconds, digits: 1).text) ms",
            "REACHABLE: \(reachable) of \(vims)" + (reachable == vims ? "" : "  (NOT ALL)"),
            "beside it: a Python thread per VIM, the way Tacker once went, takes 15,900 bytes of RSS and 8 MB of "
                + "address space (measured apart, not in this run)",
        ]
    }

    /// One moment of the server's life.
    private struct Sample {
        let at = nowNanoseconds()
        let memory: (resident: Int, peak: Int)
        let processorSeconds: Double
        let probeCount: Int

        init(_ server: ServerProcess, _ endpoints: Endpoints) {
            memory = server.memory
            processorSeconds = server.processorSeconds
            probeCount = endpoints.servedCount
        }
    }

    private func row(_ moment: String, _ sample: Sample, since before: Sample?, _ empty: Sample) -> [Cell] {
        let mib = Double(1 << 20)
        var cells: [Cell] = [
            .text(moment), .number(Double(sample.memory.resident) / mib, digits: 1),
            .number(Double(sample.memory.peak) / mib, digits: 1),
            sample.at == empty.at
                ? .text("-")
                : .number(Double(sample.memory.resident - empty.memory.resident) / Double(vims)),
            .number(sample.processorSeconds, digits: 2),
        ]
        if let before {
            let minutes = Double(sample.at - before.at) / 60e9
            let processor = sample.processorSeconds - before.processorSeconds
            let probes = sample.probeCount - before.probeCount
            cells += [
                .number(processor / minutes, digits: 2), .count(probes),
                .number(processor / Double(max(1, probes)) * 1e6, digits: 0),
            ]
        } else {
            cells += [.text("-"), .count(sample.probeCount), .text("-")]
        }
        return cells
    }

    /// A request on every connection, then a reply from every connection, until all are registered.
    private func register(at address: String, _ endpoints: Endpoints) throws {
        var random = SeededGenerator(seed: common.seed)
        let pool = try (0..<connections).map { _ in try HTTPConnection(to: address) }
        for start in stride(from: 0, to: vims, by: pool.count) {
            let part = pool.prefix(vims - start)
            for (offset, connection) in part.enumerated() {
                let url = endpoints.url(Int.random(in: 0..<self.endpoints, using: &random))
                try connection.send(
                    "POST", "/v1.0/vims", body: registration(name: "site-\(start + offset)", url: url))
            }
            for connection in part { _ = try connection.successfulReply("POST /v1.0/vims") }
        }
    }

    /// The list of all VIMs: the median of five, and what its bytes take over a loopback.
    private func list(
        at address: String
    ) throws -> (milliseconds: Double, megabytes: Double, transferMilliseconds: Double) {
        let connection = try HTTPConnection(to: address)
        var (seconds, byteCount): ([Double], Int) = ([], 0)
        for _ in 0..<5 {
            let reply = try timed { byteCount = try connection.exchange("GET", "/v1.0/vims").body.count }
            seconds.append(reply.seconds)
        }
        let transfer = try ReferenceLoopback.seconds(toTransfer: byteCount)
        return (Spread(seconds).median * 1e3, Double(byteCount) / 1e6, transfer * 1e3)
    }

    private func reachableCount(at address: String) throws -> Int {
        let reply = try HTTPConnection(to: address).exchange("GET", "/v1.0/vims?status=REACHABLE&fields=id")
        return (try reply.json()["vims"] as? [Any])?.count ?? 0
    }
}
