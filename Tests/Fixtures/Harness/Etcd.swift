import AsyncHTTPClient
import Foundation
import NIOCore

/// A private etcd beside the test: one member, or several that make one cluster.
package struct RunningEtcd: Sendable {
    /// Its members.
    package let nodes: [EtcdNode]

    /// Their client URLs.
    package var urls: [String] { nodes.map(\.url) }

    /// Waits until every member sees a majority.
    package func waitUntilHealthy() async throws {
        for node in nodes { try await node.waitUntilHealthy() }
    }

    /// Runs etcdctl on the first member and returns the lines it prints.
    package func control(_ arguments: String...) async throws -> [String] {
        let finished = try await run(
            "/usr/bin/etcdctl", ["--endpoints", nodes[0].url] + arguments, environment: ["ETCDCTL_API": "3"])
        guard finished.exitCode == 0 else {
            throw HarnessError("etcdctl \(arguments): \(finished.output)\(finished.errorOutput)")
        }
        return finished.lines
    }
}

/// One member of an etcd.
package struct EtcdNode: Sendable {
    /// Where clients ask it, such as `http://127.0.0.1:23456`.
    package let url: String
    /// Where it runs.
    package let place: Place
    fileprivate let port: Int
    fileprivate let name: String
    fileprivate let dataDirectory: String
    fileprivate let peerURL: String
    fileprivate let healthURL: String
    fileprivate let program: RestartableProgram

    /// Its process; nil while it does not run.
    package var processID: Int32? { program.processID }

    /// Ends it as a crash would, and waits until it is gone.
    package func kill9() async throws { try await program.kill9() }

    /// Stops it as an operator would, and waits until it is gone.
    package func stop() async throws {
        try program.signal(SIGTERM)
        try await eventually("etcd ends") { processID == nil }
    }

    /// Lets it stand still, with its connections open, until ``thaw()``.
    package func freeze() throws { try program.freeze() }

    /// Lets a frozen one go on.
    package func thaw() throws { try program.signal(SIGCONT) }

    /// Starts it after it has ended, on its old data and ports, and waits until it takes connections.
    ///
    /// Where no majority runs it answers nothing all the same.
    package func start() async throws {
        try program.startAgain()
        try await waitUntilListening()
    }

    /// Puts a snapshot in the place of what the only member has, after it has ended.
    ///
    /// As operators are told to: with another token, so that it is another cluster.
    package func restore(from snapshot: String) async throws {
        try FileManager.default.removeItem(atPath: dataDirectory)
        let finished = try await run(
            "/usr/bin/etcdctl",
            [
                "snapshot", "restore", snapshot, "--name", name, "--data-dir", dataDirectory,
                "--initial-cluster", "\(name)=\(peerURL)", "--initial-advertise-peer-urls", peerURL,
                "--initial-cluster-token", "restored",
            ], environment: ["ETCDCTL_API": "3"])
        guard finished.exitCode == 0 else { throw HarnessError(finished.output + finished.errorOutput) }
    }

    /// Waits until it sees a majority.
    package func waitUntilHealthy() async throws {
        do {
            try await eventually("etcd is healthy", limit: startLimit) { await isHealthy() }
        } catch { throw HarnessError("\(error); it says: \(logText().suffix(2_000))") }
    }

    /// Whether it runs and sees a majority.
    package func isHealthy() async -> Bool {
        guard
            let response = try? await HTTPClient.shared.execute(
                HTTPClientRequest(url: healthURL), timeout: .seconds(5)),
            let body = try? await response.body.collect(upTo: 1 << 16)
        else { return false }
        return String(buffer: body).contains(#""health":"true""#)
    }

    /// What it has logged so far.
    package func logText() -> String { program.logText() }

    fileprivate func waitUntilListening() async throws {
        try await eventually("etcd takes connections", limit: startLimit) {
            processID != nil && isListening(port, at: place)
        }
    }
}

/// Runs a real etcd beside `body`, and stops it afterwards, whatever happened; it takes two seconds to start.
///
/// - Parameters:
///   - directory: takes its files, below `etcd`.
///   - nodes: how many members it has.
///   - places: where they run, one each; on loopback if it does not say.
///   - scheme: of the client URLs; for `https`, `arguments` must name a certificate.
///   - arguments: further options for every member.
@discardableResult
package func withEtcd<Result: Sendable>(
    directory: String, nodes count: Int = 1, places: [Place] = [], scheme: String = "http",
    arguments: [String] = [], _ body: (RunningEtcd) async throws -> Result
) async throws -> Result {
    let files = directory + "/etcd"
    let places = places.isEmpty ? Array(repeating: .loopback, count: count) : places
    let count = places.count
    try FileManager.default.createDirectory(atPath: files, withIntermediateDirectories: true)
    let ports = try freePorts(count: 3 * count)
    let cluster = (0..<count).map { "node\($0)=http://\(places[$0].address):\(ports[3 * $0 + 1])" }
        .joined(separator: ",")
    let nodes = (0..<count).map { index in
        etcdNode(
            index, at: places[index], ports: Array(ports[3 * index..<3 * index + 3]), scheme: scheme,
            files: files, arguments: arguments + ["--initial-cluster", cluster])
    }
    return try await withPrograms(nodes.map(\.program)[...]) {
        let etcd = RunningEtcd(nodes: nodes)
        for node in nodes { try await node.waitUntilListening() }
        try await etcd.waitUntilHealthy()
        return try await body(etcd)
    }
}

/// - Parameter ports: for clients, for the other members, and for questions after its health.
private func etcdNode(
    _ index: Int, at place: Place, ports: [Int], scheme: String, files: String, arguments: [String]
) -> EtcdNode {
    let name = "node\(index)"
    let clientURL = "\(scheme)://\(place.address):\(ports[0])"
    let peerURL = "http://\(place.address):\(ports[1])"
    let healthURL = "http://\(place.address):\(ports[2])"
    let fixed = [
        "--name", name, "--data-dir", "\(files)/\(name)", "--listen-client-urls", clientURL,
        "--advertise-client-urls", clientURL, "--listen-peer-urls", peerURL,
        "--initial-advertise-peer-urls", peerURL, "--listen-metrics-urls", healthURL,
        "--logger", "zap", "--log-outputs", "stderr",
        // Members that are killed lose nothing by it: the system keeps what was written.
        "--unsafe-no-fsync",
    ]
    return EtcdNode(
        url: clientURL, place: place, port: ports[0], name: name, dataDirectory: "\(files)/\(name)",
        peerURL: peerURL, healthURL: healthURL + "/health",
        program: RestartableProgram(
            "/usr/bin/etcd", fixed + arguments, files: "\(files)/\(name)", log: "\(files)/\(name).log",
            at: place))
}

/// Runs programs beside one another, and `body` beside them all.
private func withPrograms<Result: Sendable>(
    _ programs: ArraySlice<RestartableProgram>, _ body: () async throws -> Result
) async throws -> Result {
    guard let first = programs.first else { return try await body() }
    return try await withProgram(first) { try await withPrograms(programs.dropFirst(), body) }
}
