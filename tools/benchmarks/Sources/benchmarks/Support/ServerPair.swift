import Foundation
import Glibc
import Synchronization

/// Two `vedette serve --pair` on loopback, and a real etcd.
final class ServerPair {
    private static let name = "benchmark"

    private let program: String
    private let directory: String
    private let lease: Int
    private let etcd: Etcd
    /// Where the nodes' APIs answer.
    let addresses: [String]
    private let peerAddresses: [String]
    private var nodes: [Program] = []

    /// Starts both and waits until they are in sync.
    init(program: String, lease: Int, etcdOptions: [String], in directory: String) async throws {
        (self.program, self.lease, self.directory) = (program, lease, directory)
        etcd = try await Etcd(in: directory, options: etcdOptions)
        let ports = try Machine.freePorts(count: 4).map { "127.0.0.1:\($0)" }
        (addresses, peerAddresses) = (Array(ports[..<2]), Array(ports[2...]))
        for number in 0..<2 { nodes.append(try launch(number)) }
        try await waitUntilInSync()
    }

    func stop() async {
        for node in nodes { node.stop() }
        await etcd.stop()
    }

    func send(signal: Int32, to node: Int) { nodes[node].send(signal: signal) }

    /// Starts a node that was told to end, and waits until it is in sync.
    func restart(_ node: Int) async throws {
        nodes[node].stop(signal: SIGKILL)
        nodes[node] = try launch(node)
        try await waitUntilInSync()
    }

    func waitUntilInSync() async throws {
        for address in addresses {
            try await eventually("a node of the pair answers") {
                try status(of: "/healthz/live", at: address) == 200 ? () : nil
            }
        }
        try await eventually("both nodes are in sync") {
            try await etcd.insyncCount(ofPair: ServerPair.name) == 2 ? () : nil
        }
    }

    /// The number of the node that leads.
    func leader() async throws -> Int {
        try await eventually("a node leads") {
            try addresses.firstIndex { try status(of: "/healthz/leader", at: $0) == 200 }
        }
    }

    /// `vedette pair switchover`, under way.
    func switchover() throws -> Program {
        try Program(
            [program, "pair", "switchover", "--pair", ServerPair.name, "--etcd", etcd.url],
            log: directory + "/switchover.log")
    }

    /// Registers a VIM and returns its id.
    func register() async throws -> String {
        let connection = try HTTPConnection(to: addresses[try await leader()])
        let reply = try connection.exchange(
            "POST", "/v1.0/vims", body: registration(name: "written", url: "http://127.0.0.1:9"))
        guard let id = (try reply.json()["vim"] as? [String: Any])?["id"] as? String else {
            throw BenchmarkError("the reply to a registration names no id")
        }
        return id
    }

    private func launch(_ number: Int) throws -> Program {
        try Program(
            [
                program, "serve", "--data-directory", "\(directory)/node-\(number)", "--listen",
                addresses[number], "--registration-check", "deferred", "--log-level", "notice",
                "--pair", ServerPair.name, "--etcd", etcd.url, "--pair-listen", peerAddresses[number],
                "--peer", peerAddresses[1 - number], "--pair-lease", "\(lease)",
            ], log: "\(directory)/node-\(number).log")
    }

    /// Nil if it cannot be asked, since it is not there.
    private func status(of path: String, at address: String) throws -> Int? {
        guard let connection = try? HTTPConnection(to: address, patience: 2) else { return nil }
        try? connection.send("GET", path)
        return try? connection.reply().status
    }
}

/// Writes to one of a pair's nodes, one write after the other, and remembers when each was acknowledged.
final class Writer: Sendable {
    /// A write that was acknowledged.
    struct Write: Sendable {
        var sent: UInt64
        var answered: UInt64
    }

    private struct State: Sendable {
        var writes: [Write] = []
        var refusedCount = 0
        var isStopping = false
    }

    private let address: String
    private let vim: String
    private let state = Mutex(State())
    private let ended = DispatchSemaphore(value: 0)

    /// Begins at once.
    ///
    /// - Parameter vim: whose description it changes.
    init(to address: String, vim: String) {
        (self.address, self.vim) = (address, vim)
        Thread { [self] in write() }.start()
    }

    /// What was acknowledged so far, in order.
    var writes: [Write] { state.withLock { $0.writes } }
    /// How many were not.
    var refusedCount: Int { state.withLock { $0.refusedCount } }

    func stop() {
        state.withLock { $0.isStopping = true }
        ended.wait()
    }

    private func write() {
        var connection: HTTPConnection?
        var number = 0
        while !state.withLock({ $0.isStopping }) {
            number += 1
            let sent = nowNanoseconds()
            var isDone = false
            do {
                let open = try connection ?? HTTPConnection(to: address, patience: 20)
                connection = open
                let body = #"{"vim": {"description": "written \#(number) times"}}"#
                try open.send("PUT", "/v1.0/vims/\(vim)", body: body)
                isDone = try open.reply().status == 200
            } catch { connection = nil }
            let answered = nowNanoseconds()
            state.withLock { state in
                if isDone {
                    state.writes.append(Write(sent: sent, answered: answered))
                } else {
                    state.refusedCount += 1
                }
            }
            if !isDone { usleep(5_000) }
        }
        ended.signal()
    }
}
