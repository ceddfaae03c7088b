import Foundation
import Harness

/// A pair on a network of its own, with all that it needs, and callers.
struct PairSite: Sendable {
    let network: TestNetwork
    /// Three members, each on a host of its own.
    let etcd: RunningEtcd
    /// Each node on a host of its own, with a small disk.
    let pair: RunningPair
    let balancer: RunningBalancer
    let callers: PairCallers

    /// Where etcd's members are.
    var etcdPlaces: [Place] { etcd.nodes.map(\.place) }

    /// Waits until so many logs stand in `insync`.
    func waitForSync(_ count: Int) async throws {
        try await eventually("\(count) of the logs are in sync") {
            try await statusNow()?["in_sync"].integer == count
        }
    }

    /// Waits until a node leads.
    func waitForLead(of node: RunningNode) async throws {
        try await eventually("node \(node.number) leads") { await node.leads() }
    }

    /// What etcd shows of the pair; nil where it shows nothing now.
    func statusNow() async throws -> JSON? { try? await pair.status() }
}

/// HAProxy beside the test, with the file that is shipped.
struct RunningBalancer: Sendable {
    let place: Place
    let address: String
    let process: RunningProcess

    /// Waits until it asks the leader, and nobody else, again and again.
    func waitForLeaderAlone(of pair: RunningPair) async throws {
        try await eventually("the balancer asks the leader alone") {
            let name = try await pair.leader().number == 0 ? "leader/one" : "leader/two"
            for _ in 0..<5 { guard try await serverOfOne() == name else { return false } }
            return true
        }
    }

    /// Asks once, and returns which server its log says was asked.
    private func serverOfOne() async throws -> String? {
        let mark = UUID().uuidString
        _ = try await ask(address, .get, "/v1.0/vims?name=\(mark)")
        return try await eventually("the balancer logs a request") {
            process.logText().split(separator: "\n").last { $0.contains(mark) }.map { line in
                line.split(separator: " ").first { $0.hasPrefix("leader/") || $0.hasPrefix("either/") }
                    .map(String.init) ?? "nobody"
            }
        }
    }
}

/// Starts what a ``PairSite`` has: a network, three members of etcd, RabbitMQ, two nodes, HAProxy.
func withPairSite(_ body: (PairSite) async throws -> Void) async throws {
    let hosts = ["node0", "node1", "etcd0", "etcd1", "etcd2", "balancer"]
    try await withTemporaryDirectory { directory in
        try await withNetwork(of: hosts) { network in
            let ports = try freePorts(count: 2)
            let members = try (0..<3).map { try network.host("etcd\($0)") }
            try await withEtcd(directory: directory, places: members) { etcd in
                let settings = [
                    "listeners.tcp.2 = \(network.here.address):\(ports[0])", "loopback_users = none",
                ]
                try await withBroker(directory: directory, settings: settings) { broker in
                    let nodes = try (0..<2).map { try network.host("node\($0)") }
                    let certificates = try await makeCertificates(in: directory)
                    // What is sent to one that was cut off comes back after two missed heartbeats.
                    let broker = (
                        inside: "rabbit://guest:guest@\(network.here.address):\(ports[0])/?heartbeat=5",
                        outside: broker.url
                    )
                    try await withSmallDisks(directory) {
                        try await withPair(
                            directory: directory, etcd: etcd, places: nodes,
                            arguments: certificates + [
                                "--insecure", "--registration-check", "deferred", "--rabbitmq", broker.inside,
                                // No worker comes: those who report are the callers.
                                "--workflows", "workers",
                            ]
                        ) { pair in
                            try await withBalancer(
                                at: try network.host("balancer"), port: ports[1], of: pair, directory
                            ) { balancer in
                                let doors = [balancer.address] + pair.nodes.map(\.address)
                                let callers = try PairCallers(doors: doors, broker: broker.outside)
                                let site = PairSite(
                                    network: network, etcd: etcd, pair: pair, balancer: balancer,
                                    callers: callers)
                                try await site.waitForSync(2)
                                try await body(site)
                            }
                        }
                    }
                }
            }
        }
    }
}

private func makeCertificates(in directory: String) async throws -> [String] {
    let made = try await run(Programs.repository + "/Tests/Fixtures/certificates/make", [directory])
    guard made.exitCode == 0 else { throw HarnessError("openssl: \(made.errorOutput)") }
    return [
        "--pair-certificate", "\(directory)/server.pem", "--pair-key", "\(directory)/server.key",
        "--pair-ca", "\(directory)/ca.pem",
    ]
}

/// Mounts a small disk where each node keeps its data.
private func withSmallDisks(_ directory: String, _ body: () async throws -> Void) async throws {
    let paths = (0..<2).map { "\(directory)/node-\($0)" }
    for path in paths {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }
    try await withTmpfs(paths[0], megabytes: 192) { try await withTmpfs(paths[1], megabytes: 192, body) }
}

private func withBalancer(
    at place: Place, port: Int, of pair: RunningPair, _ directory: String,
    _ body: (RunningBalancer) async throws -> Void
) async throws {
    let (program, arguments) = place.command(
        "/usr/sbin/haproxy", ["-db", "-f", Programs.repository + "/tools/haproxy/haproxy.cfg"])
    let address = "\(place.address):\(port)"
    try await withProcess(
        program, arguments,
        environment: [
            "VEDETTE_BIND": address, "VEDETTE_ONE": pair.nodes[0].address,
            "VEDETTE_TWO": pair.nodes[1].address,
        ], log: directory + "/haproxy.log"
    ) { process in
        try await eventually("HAProxy takes connections") { isListening(port, at: place) }
        try await body(RunningBalancer(place: place, address: address, process: process))
    }
}
