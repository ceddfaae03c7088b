import EtcdClient
import Foundation

/// A real etcd of one member, which syncs what it writes; ended when this value goes.
final class Etcd {
    /// Where clients ask it.
    let url: String
    private let client: EtcdClient
    private let program: Program

    /// Starts one and waits until it serves.
    ///
    /// - Parameter options: further ones, such as other times.
    init(in directory: String, options: [String] = []) async throws {
        let ports = try Machine.freePorts(count: 2)
        let (clients, peers) = ("http://127.0.0.1:\(ports[0])", "http://127.0.0.1:\(ports[1])")
        url = clients
        client = try EtcdClient(EtcdSettings(endpoints: [clients]))
        program = try Program(
            [
                "/usr/bin/etcd", "--name", "benchmark", "--data-dir", directory + "/etcd",
                "--listen-client-urls", clients, "--advertise-client-urls", clients,
                "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers,
                "--initial-cluster", "benchmark=\(peers)", "--logger", "zap", "--log-outputs", "stderr",
            ] + options, log: directory + "/etcd.log")
        _ = try await eventually("etcd serves") { try? await value(of: "/") }
    }

    func stop() async {
        await client.shutdown()
        program.stop()
    }

    /// How many logs of a pair hold everything that was acknowledged.
    func insyncCount(ofPair pair: String) async throws -> Int {
        try await value(of: "/vedette/\(pair)/insync").split(separator: " ").count
    }

    /// A key's value; empty if it is not there.
    private func value(of key: String) async throws -> String {
        let outcome = try await client.commit(then: [.get(key)])
        return String(decoding: outcome.found.first?.first?.value ?? [], as: UTF8.self)
    }
}

/// Asks until there is an answer, and returns it.
func eventually<Result>(
    _ what: String, within seconds: Double = 60, every milliseconds: Int = 10,
    isolation: isolated (any Actor)? = #isolation, _ ask: () async throws -> Result?
) async throws -> Result {
    let end = nowNanoseconds() + UInt64(seconds * 1e9)
    while nowNanoseconds() < end {
        if let result = try await ask() { return result }
        try await Task.sleep(for: .milliseconds(milliseconds))
    }
    throw BenchmarkError("waited \(Int(seconds)) s in vain until \(what)")
}
