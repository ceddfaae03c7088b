// Starts: etcd, with one and with three members.
import Foundation
import Harness
import Testing

@testable import EtcdClient

@Suite("The client with a real etcd")
struct RealEtcdTests {
    @Test("A transaction does one thing or the other, in one step, and shows the state after it")
    func transactions() async throws {
        try await withOneEtcd { etcd, client in
            let take: [EtcdOperation] = [.put("p/a", [1, 0, 255], lease: 0), .get("p/a"), .get("p/b")]
            let first = try await client.commit(if: [.created("p/a", at: 0)], then: take, else: [.get("p/a")])
            let revision = first.header.revision
            let pair = EtcdKeyValue(
                key: "p/a", value: [1, 0, 255], created: revision, modified: revision, lease: 0)
            #expect(first.isDone && first.found == [[pair], []])
            let second = try await client.commit(
                if: [.created("p/a", at: 0)], then: take, else: [.get("p/a")])
            #expect(!second.isDone && second.found == [[pair]])
            #expect(second.header.revision == revision && second.header.cluster == first.header.cluster)
            let third = try await client.commit(
                if: [.modified("p/a", at: revision)], then: [.put("p/a", [], lease: 0), .list(prefix: "p/")])
            #expect(third.isDone && third.header.revision == revision + 1)
            #expect(third.found[0].map(\.created) == [revision])
            #expect(third.found[0].map(\.modified) == [revision + 1])
            _ = try await client.commit(then: [.delete("p/a")])
            #expect(try await client.commit(then: [.list(prefix: "p/")]).found == [[]])
            #expect(try await etcd.control("get", "--prefix", "p/") == [])
        }
    }

    // With etcd's default election timeout of one second the least is 1.5 seconds, rounded up.
    @Test(
        "A lease lives whole seconds, two at least; keys go with it, and a put on one that is gone is refused"
    )
    func leases() async throws {
        try await withOneEtcd { _, client in
            for (asked, granted) in [(0.5, 2), (1, 2), (1.2, 2), (2, 2), (2.1, 3), (5, 5), (10, 10)] {
                let lease = try await client.grantLease(.seconds(asked))
                #expect(lease.timeToLive == .seconds(granted))
                #expect(try await client.keepAlive(lease.id) == .seconds(granted))
                try await client.revoke(lease.id)
            }
            let lease = try await client.grantLease(.seconds(2))
            _ = try await client.commit(then: [.put("p/a", [], lease: lease.id)])
            #expect(try await client.commit(then: [.get("p/a")]).found[0].map(\.lease) == [lease.id])
            try await eventually("the lease runs out") {
                try await client.commit(then: [.get("p/a")]).found == [[]]
            }
            #expect(try await client.keepAlive(lease.id) == nil)
            try await client.revoke(lease.id)
            let fault = await failure {
                try await client.commit(then: [.put("p/a", [], lease: lease.id)])
            }
            #expect(fault?.isLeaseGone == true && fault?.isOutcomeUnknown == false)
        }
    }

    @Test(
        "One of three members is killed: the client goes on; two: nothing is done; one is back: it goes on"
    )
    func threeMembers() async throws {
        try await withTemporaryDirectory { directory in
            try await withEtcd(directory: directory, nodes: 3) { etcd in
                let settings = EtcdSettings(endpoints: etcd.urls, timeout: .seconds(10))
                try await withClient(settings) { client in
                    try await put("1", client)
                    try await etcd.nodes[0].kill9()
                    try await put("2", client)
                    try await etcd.nodes[1].kill9()
                    let fault = await failure {
                        try await client.commit(then: [.put("3", [], lease: 0)])
                    }
                    #expect(fault != nil)
                    // Nor is anything read that might be old.
                    let read = await readFault(client)
                    #expect(read != nil)
                    try await etcd.nodes[1].start()
                    try await put("4", client)
                    let keys = try await client.commit(then: [.list(prefix: "")]).found[0].map(\.key)
                    // The third may have been carried out after all.
                    #expect(keys.filter { $0 != "3" } == ["1", "2", "4"])
                }
            }
        }
    }

    @Test("A member that stands still: a write is unknown, what follows goes to the others")
    func frozenMember() async throws {
        try await withTemporaryDirectory { directory in
            try await withEtcd(directory: directory, nodes: 3) { etcd in
                let settings = EtcdSettings(endpoints: etcd.urls, timeout: .seconds(6))
                try await withClient(settings) { client in
                    try await put("1", client)
                    let index = try #require(etcd.urls.firstIndex(of: client.preferredEndpoint))
                    try etcd.nodes[index].freeze()
                    let fault = await failure {
                        try await client.commit(then: [.put("2", [], lease: 0)])
                    }
                    #expect(fault?.isOutcomeUnknown == true)
                    #expect(client.preferredEndpoint != etcd.urls[index])
                    try await put("3", client)
                    try etcd.nodes[index].thaw()
                }
            }
        }
    }

    // A write that was sent twice would find its own key there.
    @Test("Members are killed amid writes: each is done once, not at all, or unknown, as its caller was told")
    func killedAmidWrites() async throws {
        try await withTemporaryDirectory { directory in
            try await withEtcd(directory: directory, nodes: 3) { etcd in
                let settings = EtcdSettings(endpoints: etcd.urls, timeout: .seconds(3))
                try await withClient(settings) { client in
                    async let fates = write(16, client)
                    for node in etcd.nodes + etcd.nodes {
                        try await Task.sleep(for: .milliseconds(300))
                        try await node.kill9()
                        try await node.start()
                        try await node.waitUntilHealthy()
                    }
                    try await put("end", client)
                    let told = await fates
                    let keys = try await eventually("the keys are read") {
                        try? await client.commit(then: [.list(prefix: "k")]).found[0].map(\.key)
                    }
                    let there = Set(keys)
                    #expect(told.count { $0.value == .done } > 100)
                    for (key, fate) in told where fate != .unknown {
                        #expect(there.contains(key) == (fate == .done), "\(key)")
                    }
                    #expect(!told.values.contains(.doneBefore))
                }
            }
        }
    }

    private enum Fate { case done, doneBefore, notDone, unknown }

    /// Puts keys, each once and only if it is absent, until the key `end` is there.
    private func write(_ width: Int, _ client: EtcdClient) async -> [String: Fate] {
        await withTaskGroup(of: [String: Fate].self) { group in
            for writer in 0..<width {
                group.addTask {
                    var fates: [String: Fate] = [:]
                    while true {
                        let key = "k\(writer)-\(fates.count)"
                        do {
                            let outcome = try await client.commit(
                                if: [.created(key, at: 0)], then: [.put(key, [], lease: 0), .get("end")],
                                else: [.get("end")])
                            fates[key] = outcome.isDone ? .done : .doneBefore
                            if outcome.found != [[]] { return fates }
                        } catch let fault as EtcdFault where !fault.isOutcomeUnknown {
                            fates[key] = .notDone
                        } catch { fates[key] = .unknown }
                    }
                }
            }
            return await group.reduce(into: [:]) { $0.merge($1) { $1 } }
        }
    }

    // etcd 3.4 renews leases without asking a majority: without the read behind it, this leader says yes.
    @Test("A leader that has lost the others, and does not know it yet, does not renew a lease")
    func lonelyLeader() async throws {
        try await withTemporaryDirectory { directory in
            try await withEtcd(directory: directory, nodes: 3) { etcd in
                let settings = EtcdSettings(endpoints: etcd.urls, timeout: .seconds(10))
                let lease = try await withClient(settings) { try await granted($0) }
                let leader = try await leadingMember(etcd)
                let others = etcd.nodes.indices.filter { $0 != leader }.map { etcd.nodes[$0] }
                let alone = EtcdSettings(endpoints: [etcd.urls[leader]], timeout: .seconds(3))
                try await withClient(alone) { client in
                    for other in others { try other.freeze() }
                    #expect(await failure { try await client.keepAlive(lease) } != nil)
                    for other in others { try other.thaw() }
                }
                try await withClient(settings) { client in
                    try await eventually("the lease is renewed") {
                        (try? await client.keepAlive(lease)) == .seconds(60)
                    }
                }
            }
        }
    }

    @Test("A password: wrong, missing and right; the token of a former life is renewed")
    func passwords() async throws {
        try await withOneEtcd { etcd, open in
            _ = try await etcd.control("user", "add", "root:right")
            _ = try await etcd.control("user", "grant-role", "root", "root")
            var settings = EtcdSettings(endpoints: etcd.urls, timeout: .seconds(60))
            settings.account = .init(user: "root", password: "right")
            try await withClient(settings) { client in
                let early = await readFault(client)
                #expect(early?.description.hasSuffix("or 'etcdctl auth enable'") == true)
                _ = try await etcd.control("auth", "enable")
                try await put("1", client)
                let missing = await readFault(open)
                #expect(
                    missing?.description.hasSuffix("It asks for a user and a password; give them") == true)
                var wrong = settings
                wrong.account?.password = "wrong"
                let refused = try await withClient(wrong) { await readFault($0) }
                #expect(refused?.description.hasSuffix("Correct the user or the password") == true)
                #expect(refused?.isOutcomeUnknown == false)
                try await etcd.nodes[0].stop()
                try await etcd.nodes[0].start()
                try await put("2", client)
            }
        }
    }

    @Test("https: with the authority's certificate and a client's own; without either it says so")
    func certificates() async throws {
        try await withTemporaryDirectory { directory in
            try await makeCertificate(in: directory)
            let pem = directory + "/certificate.pem"
            let key = directory + "/key.pem"
            let options = [
                "--cert-file", pem, "--key-file", key, "--trusted-ca-file", pem, "--client-cert-auth",
            ]
            try await withEtcd(directory: directory, scheme: "https", arguments: options) { etcd in
                var settings = EtcdSettings(endpoints: etcd.urls, timeout: .seconds(60))
                let stranger = try await withClient(settings) { await readFault($0) }
                #expect(stranger?.description.contains("TLS handshake failed") == true)
                settings.authorities = pem
                #expect(try await withClient(settings) { await readFault($0) } != nil)
                settings.certificate = pem
                settings.privateKey = key
                try await withClient(settings) { try await put("1", $0) }
            }
        }
    }

    private func withOneEtcd(_ body: (RunningEtcd, EtcdClient) async throws -> Void) async throws {
        try await withTemporaryDirectory { directory in
            try await withEtcd(directory: directory) { etcd in
                let settings = EtcdSettings(endpoints: etcd.urls, timeout: .seconds(10))
                try await withClient(settings) { try await body(etcd, $0) }
            }
        }
    }

    /// Puts a key, again and again: while members come and go, an attempt may fail.
    private func put(_ key: String, _ client: EtcdClient) async throws {
        try await eventually("key \(key) is put") {
            (try? await client.commit(then: [.put(key, [], lease: 0)])) != nil
        }
    }

    /// A lease of a minute.
    private func granted(_ client: EtcdClient) async throws -> Int64 {
        try await eventually("a lease is granted") { try? await client.grantLease(.seconds(60)).id }
    }

    private func leadingMember(_ etcd: RunningEtcd) async throws -> Int {
        for (index, node) in etcd.nodes.enumerated() {
            let finished = try await run(
                "/usr/bin/etcdctl", ["--endpoints", node.url, "endpoint", "status"],
                environment: ["ETCDCTL_API": "3"])
            let columns = finished.output.split(separator: ",").map {
                $0.trimmingCharacters(in: .whitespaces)
            }
            if columns.count > 4, columns[4] == "true" { return index }
        }
        throw HarnessError("no member of etcd leads")
    }

    private func makeCertificate(in directory: String) async throws {
        let finished = try await run(
            "/usr/bin/openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-keyout", directory + "/key.pem", "-out", directory + "/certificate.pem", "-days", "2",
                "-subj", "/CN=etcd", "-addext", "subjectAltName=IP:127.0.0.1",
            ])
        guard finished.exitCode == 0 else { throw HarnessError(finished.errorOutput) }
    }
}

/// The fault that a read ends with; nil if it ends well.
private func readFault(_ client: EtcdClient) async -> EtcdFault? {
    await failure { try await client.commit(then: [.get("k")]) }
}
