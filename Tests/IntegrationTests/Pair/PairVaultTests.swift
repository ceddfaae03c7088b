// Starts: a real etcd, two `vedette serve --pair`, a stand-in Kubernetes API; kills the nodes.
import Foundation
import Harness
import Testing

@Suite("The master key of a pair", .serialized)
struct PairVaultTests {
    @Test("Rotated under load, with the standby killed in the middle, it opens everything on either node")
    func rotated() async throws {
        try await withNodes { pair, cluster, watched in
            let first = try await pair.leader()
            let second = pair.other(than: first)
            let id = try await first.register(watched)
            try await expect("REACHABLE", of: id, on: first)
            try await pair.waitForSync()
            let old = try String(contentsOfFile: first.keyFile, encoding: .utf8)
            let acknowledged = Acknowledged()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for caller in 0..<2 {
                    group.addTask { await acknowledged.call(pair, as: caller, at: "http://127.0.0.1:1") }
                }
                try await acknowledged.waitForMore(20)
                try await rotate(at: first)
                try await expectOneKey(of: pair)
                for round in 0..<4 {
                    try await acknowledged.waitForMore(5)
                    // Before, while and after the commit comes to it.
                    async let rotation: Void = rotate(at: first)
                    try await Task.sleep(for: .milliseconds(40 * round))
                    try await second.kill9()
                    try await rotation
                    try await second.start()
                    try await pair.waitForSync()
                    try await expectOneKey(of: pair)
                }
                acknowledged.end()
                try await group.waitForAll()
            }
            // The one that follows says who leads.
            let refused = try await second.vedette("vault", "rotate")
            #expect(refused.exitCode == 1)
            #expect(
                refused.errorOutput.contains("the one whose API is at \(first.address) leads"),
                "\(refused.errorOutput)")

            let switched = try await pair.command(["switchover"])
            #expect(switched.exitCode == 0, "\(switched.errorOutput)")
            try await eventually("the other one leads") { await second.leads() }
            // Its monitors reach the VIM with the credentials that are in the vault.
            cluster.goDown()
            try await expect("UNREACHABLE", of: id, on: second)
            cluster.comeUp()
            try await expect("REACHABLE", of: id, on: second)
            try await acknowledged.expectAll(in: pair)
            try await pair.waitForSync()
            try await pair.expectOneHistory()
            for node in pair.nodes {
                try await expectWhole(node)
                #expect(try node.keys().allSatisfy { !$0.contains(old) }, "the first key is still there")
            }
            // And it rotates in its turn.
            try await rotate(at: second)
            try await expectOneKey(of: pair)
        }
    }

    @Test("Rotated while the other one was away, it is taken over when that comes back")
    func away() async throws {
        try await withNodes { pair, cluster, watched in
            let first = try await pair.leader()
            let second = pair.other(than: first)
            let id = try await first.register(watched)
            try await expect("REACHABLE", of: id, on: first)
            try await pair.waitForSync()
            let old = try String(contentsOfFile: second.keyFile, encoding: .utf8)
            try await second.kill9()
            for _ in 0..<2 { try await rotate(at: first) }
            try await second.start()
            try await pair.waitForSync()
            try await expectOneKey(of: pair)
            #expect(try second.keys().allSatisfy { !$0.contains(old) })

            // The key's first holder dies for good.
            try await first.kill9()
            try await eventually("the other one leads") { await second.leads() }
            cluster.goDown()
            try await expect("UNREACHABLE", of: id, on: second)
            cluster.comeUp()
            try await expect("REACHABLE", of: id, on: second)
            try await expectWhole(second)
        }
    }

    @Test("A leader that is killed while it rotates leaves one key, whichever, that opens everything")
    func killed() async throws {
        try await withNodes { pair, _, watched in
            let id = try await pair.leader().register(watched)
            try await pair.waitForSync()
            for round in 0..<4 {
                let leader = try await pair.leader()
                async let rotation = leader.vedette("vault", "rotate")
                try await Task.sleep(for: .milliseconds(40 * round))
                try await leader.kill9()
                // Done or not, it may have heard of it no more.
                _ = try await rotation
                let next = pair.other(than: leader)
                try await eventually("the other one leads") { await next.leads() }
                try await expect("REACHABLE", of: id, on: next)
                try await leader.start()
                try await pair.waitForSync()
                try await expectOneKey(of: pair)
                for node in pair.nodes { try await expectWhole(node) }
            }
        }
    }

    @Test("A pair that has no VIM yet has one key, also when the lead has changed")
    func empty() async throws {
        try await withNodes { pair, _, _ in
            let first = try await pair.leader()
            let second = pair.other(than: first)
            try await pair.waitForSync()
            for (old, new) in [(first, second), (second, first)] {
                let key = try String(contentsOfFile: old.keyFile, encoding: .utf8)
                let switched = try await pair.command(["switchover"])
                #expect(switched.exitCode == 0, "\(switched.errorOutput)")
                try await eventually("the other one leads") { await new.leads() }
                // The one that led has stored the new epoch, and with it whatever it took over.
                try await eventually("nothing is wrong") { try await pair.status()["troubles"].array.isEmpty }
                try await pair.waitForSync()
                for node in pair.nodes {
                    #expect(try String(contentsOfFile: node.keyFile, encoding: .utf8) == key)
                }
            }
        }
    }

    private func rotate(at node: RunningNode) async throws {
        let rotation = try await node.vedette("vault", "rotate", "--json")
        try #require(rotation.exitCode == 0, "\(rotation.errorOutput)\n\(node.logText.suffix(2_000))")
        let report = try JSON(text: rotation.output)
        #expect(report["data_keys"].integer ?? 0 > 0 && report["unopened_keys"].integer == 0)
    }

    /// Both nodes say the same key, which is the one that opens what they have.
    private func expectOneKey(of pair: RunningPair) async throws {
        try await eventually("both have one key") {
            let keys = try await pair.status()["nodes"].array.map { $0["master_key"].string ?? "" }
            guard keys.count == 2, keys[0] == keys[1], keys[0] != "" else { return false }
            for node in pair.nodes {
                let status = try JSON(text: try await node.vedette("vault", "status", "--json").output)
                guard status["master_key"].string == keys[0] else { return false }
                guard case .object(let counts) = status["data_keys"], Array(counts.keys) == [keys[0]] else {
                    return false
                }
            }
            return true
        }
    }

    private func expectWhole(_ node: RunningNode) async throws {
        let verified = try await node.vedette("audit", "verify", "--json")
        #expect(verified.exitCode == 0, "\(verified.output)")
        let found = try JSON(text: verified.output)
        #expect(found["master_key_checked"] == true && found["foreign_data_keys"].integer == 0)
        #expect(found["data_keys"].integer ?? 0 > 0)
    }

    private func expect(_ status: String, of id: String, on node: RunningNode) async throws {
        try await eventually("the VIM becomes \(status)") {
            let reply = try await node.request(.get, "/v1.0/vims/\(id)")
            return try reply.status == 200 && reply.json()["vim"]["status"].string == status
        }
    }

    /// A pair, a cluster whose token only the vault has, and what to register for it.
    private func withNodes(
        _ body: (RunningPair, RunningEndpoint, JSON) async throws -> Void
    ) async throws {
        try await withStandInCluster { cluster, directory in
            let authority = try String(contentsOfFile: directory + "/ca.pem", encoding: .utf8)
            try await withEtcd(directory: directory) { etcd in
                try await withPair(
                    directory: directory, etcd: etcd,
                    arguments: ["--registration-check", "deferred"] + quickMonitors
                ) { pair in
                    _ = try await pair.leader()
                    try await body(pair, cluster, kubernetesVIM("k8s", at: cluster.url, authority: authority))
                }
            }
        }
    }
}

extension RunningNode {
    fileprivate var keyFile: String { dataDirectory + "/master.key" }

    /// The contents of every file of a key that it has.
    fileprivate func keys() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: dataDirectory)
            .filter { $0.hasPrefix("master.key") }
            .map { try String(contentsOfFile: dataDirectory + "/" + $0, encoding: .utf8) }
    }
}
