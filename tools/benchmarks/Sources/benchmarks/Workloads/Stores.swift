import ArgumentParser
import Conductor
import Foundation
import Logging

/// Other stores with 64 appenders beside the conductor with 64 callers, all durable before they answer.
struct Stores: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Redis XADD, PostgreSQL insert+update and UmaDB with 64 appenders, beside the conductor.",
        discussion: """
            Starts each store on a throw-away directory and a private socket or port, and in each round lets its \
            own fast client append for --seconds: redis-benchmark (appendfsync always), pgbench (one insert into \
            a log and one update of a table per transaction, prepared), and UmaDB's own client, compiled Rust \
            called from as many Python threads. The conductor is called in this process.
            """)

    @OptionGroup var common: CommonOptions
    @Option(help: "Concurrent appenders.") var appenders = 64
    @Option(help: "Registered VIMs.") var vims = 10_000
    @Option(help: "Rounds.") var rounds = 5
    @Option(help: "Seconds of each store in each round.") var seconds = 3
    @Option(help: ArgumentHelp("A Python with umadb installed.", valueName: "path")) var python: String
    @Option(help: "Where initdb and pgbench are.") var postgres = "/usr/lib/postgresql/15/bin"

    func run() async throws {
        var report = Report(
            "stores",
            configuration: common.facts + [
                ("appenders", .count(appenders)), ("vims", .count(vims)), ("rounds", .count(rounds)),
                ("seconds", .count(seconds)),
            ],
            columns: [
                Column("store", "store"), Column("per_second", "durable appends/s"),
                Column("conductor_ratio", "conductor:store"), Column("raw_ratio", "store:raw file, batch 1"),
            ])
        try await withTemporaryDirectory(in: common.parent) { directory in
            // The path of a socket has 107 bytes at most.
            let rates = try await withTemporaryDirectory(in: "/tmp") { sockets in
                try await measure(in: directory, sockets: sockets)
            }
            for (name, values) in rates.stores {
                report.rows.append([
                    .text(name), .spread(values),
                    .spread(zip(rates.conductor, values).map { $0 / $1 }, digits: 1),
                    .spread(zip(values, rates.raw).map { $0 / $1 }, digits: 2),
                ])
            }
        }
        report.notes = [
            "The conductor decides, projects and seals in this process; the stores are asked over a unix socket "
                + "(UmaDB: loopback), and only PostgreSQL keeps a projection.",
            "Its callers are closures, as the doors' are: each submits its next report when the last one was "
                + "answered. A Swift task for each costs a switch more a call.",
            "EventLog.append is the most that callers who wait for their answers could get: all of them in every "
                + "commit.",
        ]
        try report.print(asJSON: common.json)
    }

    private struct Rates {
        var conductor: [Double] = []
        var raw: [Double] = []
        var stores: [(name: String, values: [Double])] = []
    }

    private func measure(in directory: String, sockets: String) async throws -> Rates {
        let conductor = try await Conductor(
            Conductor.Options(directory: directory + "/conductor"), logger: Logger(label: "benchmark"))
        let fleet = try await Fleet(registering: vims, with: conductor)
        let file = try ReferenceFile(path: directory + "/raw")
        let stores: [any Store] = [
            try Redis(directory: directory, sockets: sockets),
            try PostgreSQL(directory: directory, sockets: sockets, programs: postgres, rows: vims),
            try UmaDB(directory: directory, python: python),
        ]
        var rates = Rates()
        let bare = try BareLog(directory: directory + "/bare", streams: vims, seed: common.seed)
        let ceiling = "EventLog.append, batches of \(appenders)"
        rates.stores =
            [("conductor", []), ("conductor, callers are tasks", []), (ceiling, [])]
            + stores.map { ($0.name, []) }
        for round in 0...rounds {
            let seed = common.seed &+ UInt64(round)
            let load = try await fleet.carry(
                conductor, callers: appenders, seconds: Double(seconds), seed: seed)
            let tasks = try await fleet.load(
                conductor, callers: appenders, seconds: Double(seconds), seed: seed)
            let others = try stores.map { try $0.append(appenders: appenders, seconds: seconds) }
            let alone =
                Double(500 * appenders)
                / (try bare.append([UInt32](repeating: UInt32(appenders), count: 500)))
            let raw = 2_000 / (try file.append([UInt32](repeating: 1, count: 2_000)))
            guard round > 0 else { continue }
            let ours = Double(load.nanoseconds.count) / load.seconds
            let byTasks = Double(tasks.nanoseconds.count) / tasks.seconds
            rates.conductor.append(ours)
            rates.raw.append(raw)
            for (index, rate) in ([ours, byTasks, alone] + others).enumerated() {
                rates.stores[index].values.append(rate)
            }
        }
        await conductor.stop()
        return rates
    }
}

/// A store that is running, and how fast its own client appends to it.
private protocol Store {
    var name: String { get }
    /// Durable appends per second.
    func append(appenders: Int, seconds: Int) throws -> Double
}

private final class Redis: Store {
    let name = "Redis XADD, appendfsync always"
    private let directory: String
    private let socket: String
    private let server: Program
    // Guessed from the last run, so that one lasts as long as was asked for.
    private var requestCount = 20_000

    init(directory: String, sockets: String) throws {
        self.directory = directory
        socket = sockets + "/redis.sock"
        server = try Program(
            [
                "/usr/bin/redis-server", "--port", "0", "--unixsocket", socket, "--dir", directory,
                "--appendonly", "yes", "--appendfsync", "always", "--save", "",
            ], log: directory + "/redis.log")
        try awaitFile(socket)
    }

    func append(appenders: Int, seconds: Int) throws -> Double {
        let payload = String(repeating: "x", count: 56)
        let run = try timed {
            try Program.run(
                [
                    "/usr/bin/redis-benchmark", "-s", socket, "-c", "\(appenders)", "-n",
                    "\(requestCount)", "-q", "XADD", "log", "*", "e", payload,
                ], log: directory + "/redis-client.log")
        }
        let rate = Double(requestCount) / run.seconds
        requestCount = max(1_000, Int(rate * Double(seconds)))
        return rate
    }
}

private final class PostgreSQL: Store {
    let name = "PostgreSQL insert+update"
    private let directory: String
    private let sockets: String
    private let programs: String
    private let server: Program

    init(directory: String, sockets: String, programs: String, rows: Int) throws {
        self.directory = directory
        self.sockets = sockets
        self.programs = programs
        let data = directory + "/postgres"
        // Its programs refuse to run as root.
        let user = geteuid() == 0 ? ["/usr/sbin/runuser", "-u", "postgres", "--"] : []
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
        if geteuid() == 0, let facts = getpwnam("postgres") {
            for path in [data, sockets] { chown(path, facts.pointee.pw_uid, facts.pointee.pw_gid) }
        }
        try Program.run(
            user + [
                "\(programs)/initdb", "-D", data + "/data", "-A", "trust", "-U", "postgres", "--no-sync",
            ],
            log: directory + "/initdb.log")
        server = try Program(
            user + [
                "\(programs)/postgres", "-D", data + "/data", "-k", sockets, "-c", "listen_addresses=", "-c",
                "max_connections=200",
            ], log: directory + "/postgres.log")
        let ready = ["\(programs)/pg_isready", "-q", "-h", sockets]
        for _ in 0..<600 {
            if (try? Program.run(ready, log: directory + "/ready.log")) != nil { break }
            usleep(50_000)
        }
        let setup = """
            CREATE TABLE events (position bigserial PRIMARY KEY, stream int NOT NULL, payload bytea NOT NULL);
            CREATE TABLE vims (stream int PRIMARY KEY, status int NOT NULL, position bigint NOT NULL);
            INSERT INTO vims SELECT n, 0, 0 FROM generate_series(1, \(rows)) n;
            """
        try Program.run(
            ["\(programs)/psql", "-q", "-h", sockets, "-U", "postgres", "-c", setup, "postgres"],
            log: directory + "/psql.log")
        let script = """
            \\set stream random(1, \(rows))
            BEGIN;
            INSERT INTO events (stream, payload) VALUES (:stream, decode(repeat('ab', 56), 'hex'));
            UPDATE vims SET status = 1, position = position + 1 WHERE stream = :stream;
            COMMIT;
            """
        try script.write(toFile: directory + "/report.sql", atomically: true, encoding: .utf8)
    }

    func append(appenders: Int, seconds: Int) throws -> Double {
        let output = try Program.run(
            [
                "\(programs)/pgbench", "-h", sockets, "-U", "postgres", "-n", "-M", "prepared", "-f",
                directory + "/report.sql", "-c", "\(appenders)", "-j", "2", "-T", "\(seconds)",
                "postgres",
            ], log: directory + "/pgbench.log")
        return try number(after: "tps = ", in: output)
    }
}

private final class UmaDB: Store {
    let name = "UmaDB"
    private let directory: String
    private let python: String
    private let port: Int
    private let server: Program

    init(directory: String, python: String) throws {
        self.directory = directory
        self.python = python
        port = try freePort()
        let program = URL(fileURLWithPath: python).deletingLastPathComponent().path + "/umadb"
        server = try Program(
            [program, "--listen", "127.0.0.1:\(port)", "--db-path", directory + "/uma.db"],
            log: directory + "/umadb.log")
        try UmaDB.client.write(toFile: directory + "/append.py", atomically: true, encoding: .utf8)
    }

    func append(appenders: Int, seconds: Int) throws -> Double {
        let output = try Program.run(
            [python, directory + "/append.py", "http://127.0.0.1:\(port)", "\(appenders)", "\(seconds)"],
            log: directory + "/umadb-client.log")
        return try number(after: "rate ", in: output)
    }

    private static let client = """
        import sys, threading, time, umadb
        url, appenders, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
        for attempt in range(100):
            try:
                umadb.Client(url).head()
                break
            except Exception:
                time.sleep(0.1)
        counts = [0] * appenders
        start = time.monotonic()
        end = start + seconds
        def run(number):
            client = umadb.Client(url)
            while time.monotonic() < end:
                client.append([umadb.Event("report", b"x" * 56, [f"vim-{number}"])])
                counts[number] += 1
        threads = [threading.Thread(target=run, args=(number,)) for number in range(appenders)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print("rate", sum(counts) / (time.monotonic() - start))
        """
}

private func awaitFile(_ path: String) throws {
    for _ in 0..<2_000 {
        if access(path, F_OK) == 0 { return }
        usleep(10_000)
    }
    throw BenchmarkError("\(path) did not appear")
}

private func number(after word: String, in output: String) throws -> Double {
    guard let start = output.range(of: word)?.upperBound,
        let number = Double(output[start...].prefix { $0.isNumber || $0 == "." })
    else { throw BenchmarkError("no '\(word)' in: \(output.suffix(1_000))") }
    return number
}

private func freePort() throws -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var place = sockaddr_in()
    place.sin_family = sa_family_t(AF_INET)
    inet_pton(AF_INET, "127.0.0.1", &place.sin_addr)
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafeMutablePointer(to: &place) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, size) == 0 ? getsockname(descriptor, $0, &size) : -1
        }
    }
    guard code == 0 else { throw BenchmarkError("no free port was found") }
    return Int(UInt16(bigEndian: place.sin_port))
}
