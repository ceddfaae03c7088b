import ClientHistory
import Foundation
import Harness
import Testing

/// What befalls a pair, under load.
enum PairFault: String, CaseIterable {
    case leaderKilled = "leader killed"
    case leaderFrozen = "leader frozen beyond its lease, and thawed"
    case nodesParted = "nodes parted, both reach etcd"
    case leaderWithoutEtcd = "leader cut off from etcd"
    case standbyWithoutEtcd = "standby cut off from etcd"
    case leaderApart = "leader cut off from standby and etcd, not from callers"
    case leaderAlone = "leader cut off from everything"
    case allWaysCut = "nodes parted, neither reaches etcd"
    case leaderUnheard = "what the leader says to the standby is lost"
    case standbyUnheard = "what the standby says to the leader is lost"
    case etcdMajorityLost = "majority of etcd lost, and back"
    case leaderKilledWithoutEtcd = "leader killed while etcd has no majority"
    case leaderDiskFull = "disk full on the leader"
    case standbyDiskFull = "disk full on the standby"
    case bothKilledLeaderFirst = "both killed, the leader started first"
    case bothKilledStandbyFirst = "both killed, the standby started first"
    case bothKilledLaggardFirst = "both killed, first started the one that lacks events"
}

extension PairSite {
    /// Longer than any lease, promise or patience of the pair.
    private static let longTime = Duration.seconds(6)

    /// Brings a fault about, waits until it is felt, sees whether the pair goes on, and mends it.
    func undergo(_ fault: PairFault) async throws {
        let leader = try await pair.leader()
        let standby = pair.other(than: leader)
        switch fault {
        case .leaderKilled:
            try await leader.kill9()
            try await waitForLead(of: standby)
            try await callers.waitForMore()
            try await leader.start()
        case .leaderFrozen:
            try leader.freeze()
            try await waitForLead(of: standby)
            try await callers.waitForMore()
            // What callers ask of it until now it answers then, if at all.
            try leader.thaw()
            try await callers.waitForMore()
        case .nodesParted:
            try await during([.init([leader.place], [standby.place])]) { try await waitForSync(1) }
        case .leaderWithoutEtcd:
            try await during([.init([leader.place], etcdPlaces)]) {
                try await waitForNoSign(of: leader)
                try await waitForAnswer(of: standby)
                try await eventually("the status says that it leads all the same") {
                    let status = try await statusNow()
                    return status?["troubles"].array.contains {
                        $0.string?.contains("the other node leads, though it cannot reach etcd") ?? false
                    } ?? false
                }
            }
        case .standbyWithoutEtcd:
            try await during([.init([standby.place], etcdPlaces)]) { try await waitForNoSign(of: standby) }
        case .leaderApart:
            try await during([.init([leader.place], etcdPlaces + [standby.place])]) {
                try await waitForLead(of: standby)
            }
        case .leaderAlone:
            let others = etcdPlaces + [standby.place, balancer.place, network.here]
            try await during([.init([leader.place], others)]) { try await waitForLead(of: standby) }
        case .allWaysCut: try await cutAllWays(leader, standby)
        case .leaderUnheard:
            try await during([.init([leader.place], [standby.place], isOneWay: true)]) {
                try await waitForSync(1)
            }
        case .standbyUnheard:
            try await during([.init([standby.place], [leader.place], isOneWay: true)]) {
                try await waitForSync(1)
            }
        case .etcdMajorityLost:
            try await withoutEtcd {
                // Two in sync need etcd for nothing that they acknowledge.
                try await callers.waitForMore()
                try await Task.sleep(for: PairSite.longTime)
                try await callers.waitForMore()
            }
        case .leaderKilledWithoutEtcd:
            try await withoutEtcd {
                try await leader.kill9()
                try await expectNoAnswers()
            }
            try await waitForLead(of: standby)
            try await callers.waitForMore()
            try await leader.start()
        case .leaderDiskFull:
            try await fill(leader) { try await waitForLead(of: standby) }
        case .standbyDiskFull:
            try await fill(standby) { try await waitForSync(1) }
        case .bothKilledLeaderFirst: try await killBoth(startFirst: leader)
        case .bothKilledStandbyFirst: try await killBoth(startFirst: standby)
        case .bothKilledLaggardFirst: try await startLaggardFirst(leader, standby)
        }
        try await waitForSync(2)
        try await callers.waitForMore()
        try await balancer.waitForLeaderAlone(of: pair)
    }

    /// Expects that no call that begins from now on is answered, for a long time.
    private func expectNoAnswers() async throws {
        let start = callers.recorder.now
        try await Task.sleep(for: PairSite.longTime)
        let answered = callers.recorder.count(from: start)
        #expect(answered == 0)
    }

    // MARK: The network

    /// Who is not heard by whom.
    private struct Cut {
        var some: [Place]
        var others: [Place]
        var isOneWay: Bool

        init(_ some: [Place], _ others: [Place], isOneWay: Bool = false) {
            (self.some, self.others, self.isOneWay) = (some, others, isOneWay)
        }
    }

    /// Cuts, waits until that is felt and callers are served all the same, and mends.
    private func during(_ cuts: [Cut], _ isFelt: () async throws -> Void) async throws {
        try await make(cuts)
        try await isFelt()
        try await callers.waitForMore()
        try await mend(cuts)
    }

    private func make(_ cuts: [Cut]) async throws {
        for cut in cuts {
            try await network.lose(from: cut.some, to: cut.others)
            if !cut.isOneWay { try await network.lose(from: cut.others, to: cut.some) }
        }
    }

    private func mend(_ cuts: [Cut]) async throws {
        for cut in cuts {
            try await network.deliver(from: cut.some, to: cut.others)
            if !cut.isOneWay { try await network.deliver(from: cut.others, to: cut.some) }
        }
    }

    /// Waits until etcd has not heard of a node for a lease.
    private func waitForNoSign(of node: RunningNode) async throws {
        try await eventually("etcd has no sign of life of node \(node.number)") {
            guard let status = try await statusNow() else { return false }
            return !status["nodes"].array.contains {
                $0["api"].string == node.address
            }
        }
    }

    /// Waits until a node answers callers, be it that the other one answers for it.
    private func waitForAnswer(of node: RunningNode) async throws {
        try await eventually("node \(node.number) answers", limit: .seconds(60)) {
            let reply = try? await node.request(.get, "/v1.0/vims?name=nobody", timeout: PairCallers.patience)
            return reply?.status == 200
        }
    }

    /// Neither node can know what the other does: until one way is open nothing is acknowledged.
    private func cutAllWays(_ leader: RunningNode, _ standby: RunningNode) async throws {
        let cuts: [Cut] = [
            .init([leader.place], [standby.place]), .init([leader.place, standby.place], etcdPlaces),
        ]
        try await make(cuts)
        let start = callers.recorder.now
        try await eventually("nobody leads") {
            let someLead = await [leader.leads(), standby.leads()]
            return !someLead.contains(true)
        }
        try await Task.sleep(for: PairSite.longTime)
        // The lease and the promise stood for a while, so there were reads.
        let acknowledged = callers.recorder.count(from: start) { $0.isAcknowledgedWrite }
        #expect(acknowledged == 0)
        try await mend(cuts)
    }

    // MARK: etcd

    /// Kills two of etcd's three members, and starts them again after `body`.
    private func withoutEtcd(_ body: () async throws -> Void) async throws {
        for node in etcd.nodes.dropFirst() { try await node.kill9() }
        try await eventually("etcd has no majority") { await !etcd.nodes[0].isHealthy() }
        try await body()
        for node in etcd.nodes.dropFirst() { try await node.start() }
        try await etcd.waitUntilHealthy()
    }

    // MARK: Disks

    /// Leaves a node no room on its disk until that is felt and callers are served all the same.
    private func fill(_ node: RunningNode, _ isFelt: () async throws -> Void) async throws {
        let filler = node.dataDirectory + "/filler"
        // dd ends with an error when the disk is full, which is the point.
        _ = try await run("/usr/bin/dd", ["if=/dev/zero", "of=\(filler)", "bs=64k"])
        try await isFelt()
        try await callers.waitForMore()
        try FileManager.default.removeItem(atPath: filler)
    }

    // MARK: Both at once

    private func kill(_ nodes: [RunningNode]) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for node in nodes { group.addTask { try await node.kill9() } }
            try await group.waitForAll()
        }
    }

    private func killBoth(startFirst first: RunningNode) async throws {
        try await kill(pair.nodes)
        try await first.start()
        try await waitForLead(of: first)
        try await callers.waitForMore()
        try await pair.other(than: first).start()
    }

    /// Who missed what the other acknowledged alone must not lead, however long the other one is away.
    private func startLaggardFirst(_ leader: RunningNode, _ standby: RunningNode) async throws {
        try await standby.kill9()
        try await waitForSync(1)
        try await callers.waitForMore()
        try await leader.kill9()
        try await standby.start()
        try await expectNoAnswers()
        #expect(await !standby.leads())
        try await leader.start()
    }
}
