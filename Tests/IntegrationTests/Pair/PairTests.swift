// Starts: a real etcd, two `vedette serve --pair`, HAProxy, a stand-in VIM; kills and freezes the nodes.
import EventLog
import Foundation
import Harness
import Testing

@Suite("A pair of conductors", .serialized)
struct PairTests {
    @Test("One leads, either answers, and the lead changes hands without losing a VIM or alarming one")
    func life() async throws {
        try await withNodes { pair, endpoint in
            let first = try await pair.leader()
            let second = pair.other(than: first)
            let known = try await first.register(standInVIM("asked-the-leader", at: endpoint.url))
            let carried = try await second.register(standInVIM("asked-the-standby", at: endpoint.url))
            try await waitForStatus("REACHABLE", of: [known, carried], on: pair)
            try await second.expect(stale: [known, carried])
            try await pair.waitForSync()
            let actions = try await actionIDs(of: [known, carried], on: first)

            // A planned stop hands the lead over; nobody waits for a lease.
            try await first.stop()
            try await eventually("the other one leads") { await second.leads() }
            #expect(try await actionIDs(of: [known, carried], on: second) == actions)
            let third = try await second.register(standInVIM("during-the-absence", at: endpoint.url))

            // The one that was away catches up, and leads again when the other is killed.
            try await first.start()
            try await pair.waitForSync()
            try await second.kill9()
            let fourth = try await first.register(standInVIM("after-the-kill", at: endpoint.url))
            try await second.start()
            let all = [known, carried, third, fourth]
            try await waitForStatus("REACHABLE", of: all, on: pair)
            try await pair.waitForSync()
            try await pair.expectOneHistory()
            for id in all { try await expectNoAlarm(id, on: first) }
        }
    }

    @Test(
        "A leader that is killed under load, or frozen beyond its lease, loses nothing that it acknowledged")
    func faults() async throws {
        try await withNodes { pair, endpoint in
            let rounds = ProcessInfo.processInfo.environment["PAIR_FAULTS"].flatMap(Int.init) ?? 4
            let acknowledged = Acknowledged()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for caller in 0..<4 {
                    group.addTask { await acknowledged.call(pair, as: caller, at: endpoint.url) }
                }
                for round in 0..<rounds {
                    try await acknowledged.waitForMore(20)
                    let leader = try await pair.leader()
                    if round.isMultiple(of: 2) {
                        try await leader.kill9()
                        try await acknowledged.waitForMore(20)
                        try await leader.start()
                    } else {
                        try leader.freeze()
                        // Another one leads, and whatever the frozen one still says is not believed.
                        try await acknowledged.waitForMore(20)
                        try leader.thaw()
                    }
                    try await pair.waitForSync()
                }
                acknowledged.end()
                try await group.waitForAll()
            }
            try await acknowledged.expectAll(in: pair)
            #expect(acknowledged.all.count > 100)
            try await pair.expectOneHistory()
        }
    }

    @Test("A node whose disk was lost joins again with nothing, and can open all that it then leads")
    func lostDisk() async throws {
        try await withNodes { pair, endpoint in
            let first = try await pair.leader()
            let second = pair.other(than: first)
            let known = try await first.register(standInVIM("before", at: endpoint.url))
            try await pair.waitForSync()
            // The one that took the key over from the other hands it on.
            try await first.kill9()
            try await pair.loseDisk(of: first)
            let later = try await second.register(standInVIM("while-it-was-away", at: endpoint.url))
            try await first.start()
            try await pair.waitForSync()
            try await second.stop()
            try await eventually("the one with the new disk leads") { await first.leads() }
            try await waitForStatus("REACHABLE", of: [known, later], on: pair)
            let verified = try await first.vedette("audit", "verify")
            #expect(verified.output.contains("2 data keys opened with the master key"), "\(verified.output)")
            try await second.start()
            try await pair.waitForSync()
            try await pair.expectOneHistory()
        }
    }

    @Test("A node with nothing joins a leader whose old events are archived, and leads with all of them")
    func archived() async throws {
        try await withNodes { pair, endpoint in
            let first = try await pair.leader()
            let second = pair.other(than: first)
            var known: [String] = []
            for number in 0..<3 {
                known.append(try await first.register(standInVIM("cold-\(number)", at: endpoint.url)))
            }
            try await waitForStatus("REACHABLE", of: known, on: pair)
            try await pair.waitForSync()
            let archived = try await first.vedette("archive", "--before", "0s", "--json")
            try #require(archived.exitCode == 0, "\(archived.errorOutput)")
            #expect(try JSON(text: archived.output)["events"].integer ?? 0 > 6)
            known.append(try await first.register(standInVIM("hot", at: endpoint.url)))

            try await second.stop()
            try await pair.loseDisk(of: second)
            try await second.start()
            try await pair.waitForSync()
            try await pair.expectOneHistory()
            try await first.stop()
            try await eventually("the one that joined leads") { await second.leads() }
            try await waitForStatus("REACHABLE", of: known, on: pair)
            // And the archive's owner follows it.
            known.append(try await second.register(standInVIM("later", at: endpoint.url)))
            try await first.start()
            try await pair.waitForSync()
            try await pair.expectOneHistory()
        }
    }

    @Test("Both nodes archive what their leader is told to, also one that was killed meanwhile")
    func bothArchive() async throws {
        try await withNodes { pair, endpoint in
            let leader = try await pair.leader()
            let standby = pair.other(than: leader)
            var known = [try await leader.register(standInVIM("first", at: endpoint.url))]
            try await waitForStatus("REACHABLE", of: known, on: pair)
            try await pair.waitForSync()
            try await leader.archiveAll()
            try await waitForSegments(1, of: pair)

            // Killed as soon as it may write its second one.
            known.append(try await leader.register(standInVIM("second", at: endpoint.url)))
            try await leader.archiveAll()
            try await standby.kill9()
            known.append(try await leader.register(standInVIM("third", at: endpoint.url)))
            try await leader.archiveAll()
            try await standby.start()
            try await pair.waitForSync()
            try await waitForSegments(3, of: pair)
            try await pair.expectOneHistory()

            // Who led is the one that follows, and the other way round.
            _ = try await pair.command(["switchover"])
            try await eventually("the other one leads") { await standby.leads() }
            try await pair.waitForSync()
            known.append(try await standby.register(standInVIM("fourth", at: endpoint.url)))
            try await standby.archiveAll()
            try await waitForSegments(4, of: pair)
            try await waitForStatus("REACHABLE", of: known, on: pair)
            try await leader.kill9()
            try await leader.start()
            try await pair.waitForSync()
            try await pair.expectOneHistory()
            for id in known { try await expectNoAlarm(id, on: standby) }
        }
    }

    @Test("Both nodes drop what their leader is told to, also one that was killed meanwhile, and one joins")
    func bothDrop() async throws {
        try await withNodes { pair, endpoint in
            let leader = try await pair.leader()
            let standby = pair.other(than: leader)
            var known: [String] = []
            for name in ["first", "second", "third"] {
                known.append(try await leader.register(standInVIM(name, at: endpoint.url)))
                try await pair.waitForSync()
                try await leader.archiveAll()
            }
            try await waitForSegments(3, of: pair)
            let ends = try leader.segmentEnds()
            try await leader.dropFirstSegment()
            try await eventually("both have dropped it") {
                try pair.nodes.allSatisfy { try $0.segmentEnds() == Array(ends[1...]) }
            }
            try await pair.expectOneHistory()
            let history = try await standby.request(
                .get, "/v1.0/events", headers: ["Vedette-Staleness": "allowed"]
            ).json()["events"].array
            #expect(history.first?["event_type"].string == "DROP", "\(history.first as Any)")

            // Killed as soon as it may have the event.
            try await leader.dropFirstSegment()
            try await standby.kill9()
            try await standby.start()
            try await pair.waitForSync()
            try await eventually("the one that was killed has dropped it, too") {
                try pair.nodes.allSatisfy { try $0.segmentEnds() == Array(ends[2...]) }
            }
            try await pair.expectOneHistory()

            _ = try await pair.command(["switchover"])
            try await eventually("the other one leads") { await standby.leads() }
            try await pair.waitForSync()
            known.append(try await standby.register(standInVIM("later", at: endpoint.url)))
            try await waitForStatus("REACHABLE", of: known, on: pair)

            // A new node joins behind what is dropped.
            try await leader.kill9()
            try await pair.loseDisk(of: leader)
            try await leader.start()
            try await pair.waitForSync()
            #expect(try leader.segmentEnds() == Array(ends[2...]))
            try await pair.expectOneHistory()
            for id in known {
                let history = try await standby.vedette("vim", "history", id)
                #expect(!history.output.contains("UNREACHABLE"), "\(history.output)")
                let isGone = history.errorOutput.contains("up to position \(ends[1]) was dropped")
                // The first one's registration is gone, the last one's is not.
                if id == known.first { #expect(isGone, "\(history.errorOutput)") }
                if id == known.last { #expect(!isGone, "\(history.errorOutput)") }
            }
        }
    }

    @Test("A log of a pair is not served alone, nor in another pair")
    func alone() async throws {
        try await withTemporaryDirectory { directory in
            try await withEtcd(directory: directory) { etcd in
                let data = try await withPair(directory: directory, etcd: etcd) { pair in
                    try await pair.waitForSync()
                    return pair.nodes.map(\.dataDirectory)
                }
                for directory in data {
                    let ports = try freePorts(count: 2)
                    let serve = ["serve", "--data-directory", directory, "--listen", "127.0.0.1:\(ports[0])"]
                    let alone = try await runVedette(serve)
                    #expect(alone.exitCode == 1)
                    #expect(alone.errorOutput.contains("belongs to a pair"), "\(alone.errorOutput)")
                    for change in [["vault", "rotate"], ["archive", "--before", "0s"]] {
                        let refused = try await runVedette(change + ["--data-directory", directory])
                        #expect(refused.exitCode == 1, "\(change): \(refused.output)")
                        #expect(refused.errorOutput.contains("belongs to a pair"), "\(refused.errorOutput)")
                    }
                    let other = try await runVedette(
                        serve + [
                            "--pair", "other", "--etcd", etcd.urls[0], "--peer", "127.0.0.1:9",
                            "--pair-listen", "127.0.0.1:\(ports[1])",
                        ])
                    #expect(other.exitCode == 1)
                    #expect(other.errorOutput.contains("belongs to the pair 'test'"), "\(other.errorOutput)")
                }
            }
        }
    }

    @Test(
        "Behind HAProxy with the shipped file callers know one address, and the leader alone is asked"
    )
    func balanced() async throws {
        try await withNodes { pair, endpoint in
            let port = try freePorts(count: 1)[0]
            try await withProcess(
                "/usr/sbin/haproxy", ["-db", "-f", Programs.repository + "/tools/haproxy/haproxy.cfg"],
                environment: [
                    "VEDETTE_BIND": "127.0.0.1:\(port)", "VEDETTE_ONE": pair.nodes[0].address,
                    "VEDETTE_TWO": pair.nodes[1].address,
                ], log: pair.nodes[0].dataDirectory + "-haproxy.log"
            ) { haproxy in
                let first = try await pair.leader()
                let second = pair.other(than: first)
                try await eventually("HAProxy has found the leader") {
                    haproxy.logText().contains("Server leader/\(second.number == 0 ? "one" : "two") is DOWN")
                }
                var names: [String] = []
                func register(_ name: String) async throws {
                    let body: JSON = ["vim": standInVIM(name, at: endpoint.url)]
                    let reply = try await ask("127.0.0.1:\(port)", .post, "/v1.0/vims", text: try body.text())
                    try #require(reply.status == 201, "\(reply.status) \(reply.text)\n\(haproxy.logText())")
                    names.append(name)
                }
                for number in 0..<5 { try await register("before-\(number)") }
                #expect(!second.logText.contains("path=/v1.0"))
                try await pair.waitForSync()
                try await first.kill9()
                try await eventually("the other one leads") { await second.leads() }
                for number in 0..<5 { try await register("after-\(number)") }
                try await first.start()
                try await pair.waitForSync()
                try await register("at-last")
                let listed = try await ask("127.0.0.1:\(port)", .get, "/v1.0/vims").json()["vims"].array
                #expect(Set(listed.compactMap { $0["name"].string }) == Set(names))
            }
        }
    }

    @Test("Another program embeds a pair: one of them leads, and when it is killed the other one goes on")
    func embedded() async throws {
        try await withTemporaryDirectory { directory in
            try await withEtcd(directory: directory) { etcd in
                let ports = try freePorts(count: 2)
                let programs = (0..<2).map { number in
                    RestartableProgram(
                        Programs.pairExample,
                        [
                            "\(directory)/\(number)", "127.0.0.1:\(ports[number])",
                            "127.0.0.1:\(ports[1 - number])", etcd.urls[0],
                        ], files: "\(directory)/program-\(number)", log: "\(directory)/\(number).log")
                }
                try await withProgram(programs[0]) {
                    try await eventually("the first one leads") { programs[0].logText().contains(": 1 VIMs") }
                    try await withProgram(programs[1]) {
                        try await eventually("both are in sync") {
                            try await etcd.control("get", "/vedette/example/insync").joined().contains(" ")
                        }
                        try await programs[0].kill9()
                        try await eventually("the second one leads, and knows what the first did") {
                            programs[1].logText().contains(": 2 VIMs")
                        }
                    }
                }
            }
        }
    }

    private func withNodes(
        _ body: (RunningPair, RunningEndpoint) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            try await withEtcd(directory: directory) { etcd in
                try await withStandInVIM(directory: directory) { endpoint in
                    try await withPair(
                        directory: directory, etcd: etcd,
                        arguments: ["--registration-check", "deferred"] + quickMonitors
                    ) { pair in
                        _ = try await pair.leader()
                        try await body(pair, endpoint)
                    }
                }
            }
        }
    }

    private func waitForSegments(_ count: Int, of pair: RunningPair) async throws {
        try await eventually("both have \(count) segments, which end at the same places") {
            let ends = try pair.nodes.map { try $0.segmentEnds() }
            return ends[0].count == count && ends[0] == ends[1]
        }
    }

    private func waitForStatus(_ status: String, of ids: [String], on pair: RunningPair) async throws {
        for id in ids {
            try await eventually("VIM \(id) becomes \(status)") {
                let reply = try await pair.leader().request(.get, "/v1.0/vims/\(id)")
                return try reply.status == 200 && reply.json()["vim"]["status"].string == status
            }
        }
    }

    private func actionIDs(of ids: [String], on node: RunningNode) async throws -> [String] {
        var actions: [String] = []
        for id in ids {
            let vim = try await node.request(.get, "/vedette/v1/vims/\(id)").json()["vim"]
            actions.append(try #require(vim["action_id"].string, "\(vim)"))
        }
        return actions
    }

    private func expectNoAlarm(_ id: String, on node: RunningNode) async throws {
        let history = try await node.vedette("vim", "history", id)
        #expect(history.output.contains("REACHABLE"), "\(history.output)\(history.errorOutput)")
        #expect(!history.output.contains("UNREACHABLE"), "\(history.output)")
    }
}

extension RunningNode {
    /// Moves into the archive what may be.
    fileprivate func archiveAll() async throws {
        let archived = try await vedette("archive", "--before", "0s", "--json")
        try #require(archived.exitCode == 0, "\(archived.errorOutput)")
        try #require(try JSON(text: archived.output)["segments"].integer == 1, "\(archived.output)")
    }

    /// Destroys the first segment of its archive.
    fileprivate func dropFirstSegment() async throws {
        let log = try EventLog(directory: dataDirectory, access: .read)
        let first = try #require(try log.archivedSegments().first)
        let end = first.lastTime + 1
        let second = Date(timeIntervalSince1970: Double(end / 1_000_000)).formatted(.iso8601).dropLast()
        let fraction = String(1_000_000 + end % 1_000_000).dropFirst()
        let dropped = try await vedette(
            "archive", "--drop-before", "\(second).\(fraction)Z", "--yes", "--json")
        try #require(dropped.exitCode == 0, "\(dropped.errorOutput)")
        #expect(try JSON(text: dropped.output)["segments"].integer == 1, "\(dropped.output)")
    }

    /// Where the segments of its archive end.
    fileprivate func segmentEnds() throws -> [UInt64] {
        try EventLog(directory: dataDirectory, access: .read).archivedSegments().map(\.lastPosition)
    }

    /// The standby answers those who take a stale answer, and says how stale it may be.
    fileprivate func expect(stale ids: [String]) async throws {
        for id in ids {
            try await eventually("the standby shows VIM \(id)") {
                let reply = try await request(
                    .get, "/v1.0/vims/\(id)", headers: ["Vedette-Staleness": "allowed"])
                return reply.status == 200 && reply.headers["vedette-staleness"].flatMap(Double.init) != nil
            }
        }
    }
}
