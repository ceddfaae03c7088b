import ArgumentParser
import Conductor
import EtcdClient
import HighAvailability
import Logging
import PairWire

/// A pair whose leader is in this process and whose standby is another process of this program.
final class EmbeddedPair {
    private static let name = "benchmark"

    /// The leader's.
    let conductor: Conductor
    private let etcd: Etcd
    private let addresses: [String]
    private let directory: String
    private let standbyParent: String
    private let running: Task<Void, any Error>
    private var standby: Program?
    private var standbyCount = 0

    /// Lets a node of this process found a pair, or lead it alone.
    ///
    /// - Parameters:
    ///   - data: of the leader's log.
    ///   - standbyParent: where the standbys have their logs.
    ///   - directory: of everything else.
    init(leading data: String, standbysIn standbyParent: String, in directory: String) async throws {
        (self.directory, self.standbyParent) = (directory, standbyParent)
        etcd = try await Etcd(in: directory)
        addresses = try Machine.freePorts(count: 2).map { "127.0.0.1:\($0)" }
        var logger = Logger(label: "benchmark")
        logger.logLevel = .error
        let node = try RunningNode(
            opening: EmbeddedPair.configuration(addresses[0], addresses[1], etcd.url),
            Conductor.Options(directory: data), logger: logger)
        running = Task { try await node.run() }
        conductor = try await EmbeddedPair.firstConductor(of: node)
    }

    /// Starts a standby on an empty directory.
    func join() throws {
        standbyCount += 1
        standby = try Program(
            [
                // This program itself.
                "/proc/self/exe", "standby", "--data-directory", standbyDirectory, "--listen", addresses[1],
                "--peer", addresses[0], "--etcd", etcd.url,
            ], log: "\(directory)/standby-\(standbyCount).log")
    }

    /// Where the standby that joined last has its log.
    var standbyDirectory: String { "\(standbyParent)/standby-\(standbyCount)" }
    /// What it has logged.
    var standbyOutput: String { standby?.output ?? "" }
    /// Its processor time.
    var standbyProcessorSeconds: Double { standby?.processorSeconds ?? .nan }

    /// Waits until both logs hold all that was acknowledged.
    func waitUntilInSync(within seconds: Double = 600) async throws {
        try await wait(for: 2, within: seconds)
    }

    /// Ends the standby, and waits until the leader goes on alone.
    func leave() async throws {
        standby?.stop()
        standby = nil
        try await wait(for: 1, within: 60)
    }

    func stop() async {
        standby?.stop()
        running.cancel()
        _ = await running.result
        await etcd.stop()
    }

    private func wait(for count: Int, within seconds: Double) async throws {
        try await eventually("so many logs are in sync: \(count)", within: seconds) {
            try await etcd.insyncCount(ofPair: EmbeddedPair.name) == count ? () : nil
        }
    }

    static func configuration(_ listen: String, _ peer: String, _ etcd: String) throws -> NodeConfiguration {
        guard let listen = PairAddress(listen), let peer = PairAddress(peer) else {
            throw BenchmarkError("\(listen) or \(peer) is no address")
        }
        return NodeConfiguration(
            pair: name, address: "", etcd: EtcdSettings(endpoints: [etcd]),
            wire: PairConfiguration(listen: listen, peer: peer, security: .loopback))
    }

    private static func firstConductor(of node: RunningNode) async throws -> Conductor {
        for await role in node.roles { if case .leading(let conductor) = role { return conductor } }
        throw BenchmarkError("the node ended before it led")
    }
}

/// Where the standby of an ``EmbeddedPair`` has its log.
struct StandbyOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Where the standby's log goes (default: beside the leader's, on the same disk); on another disk, or in "
                + "memory (/dev/shm), the leader's syncs do not wait for the standby's, as on two machines.",
            valueName: "dir"))
    var standbyDirectory: String?

    /// Lets the body use a directory there, which is removed at the end.
    func withDirectory<Result>(
        otherwise directory: String, _ body: (String) async throws -> Result
    ) async throws -> Result {
        guard let standbyDirectory else { return try await body(directory) }
        return try await withTemporaryDirectory(in: standbyDirectory, body)
    }

    /// What a report says of it.
    func facts(otherwise parent: String) -> [(key: String, value: Cell)] {
        [("standby_file_system", .text(Machine.fileSystem(of: standbyDirectory ?? parent)))]
    }
}

/// The other process of ``EmbeddedPair``.
struct Standby: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The standby of a pair; started by the workloads.", shouldDisplay: false)

    @Option var dataDirectory: String
    @Option var listen: String
    @Option var peer: String
    @Option var etcd: String

    func run() async throws {
        let node = try await RunningNode.joining(
            EmbeddedPair.configuration(listen, peer, etcd),
            Conductor.Options(directory: dataDirectory), logger: Logger(label: "standby"))
        try await node.run()
    }
}
