import PairProtocol

// What goes wrong, and how it ends.
extension World {
    mutating func inflict() {
        let fault = profile.faults[random.below(profile.faults.count)]
        let node = random.below(2)
        guard isPossible(fault, node) else { return }
        faultCounts[fault, default: 0] += 1
        let length = random.duration(50_000, 3_000_000)
        switch fault {
        case .crash: return crash(node)
        case .crashBoth:
            for node in 0...1 { crash(node) }
            return
        case .freeze: nodes[node].isFrozen = true
        case .cutOneWay: isLinked[node][1 - node] = false
        case .cutBothWays:
            isLinked[0][1] = false
            isLinked[1][0] = false
            if random.chance(0.5) { disconnect() }
        case .cutFromEtcd:
            if random.chance(0.7) { isLinked[node][2] = false }
            if random.chance(0.7) { isLinked[2][node] = false }
        case .isolated: isolate(node, true)
        case .etcdDown: isEtcdUp = false
        case .diskFull: nodes[node].isDiskFull = true
        case .deviceFailure: nodes[node].isDeviceFailing = true
        case .slowDisk: nodes[node].isSlow = true
        case .clockJump:
            nodes[node].wallOffset += random.duration(0, 6_000_000) - .seconds(3)
        case .diskLost: return loseDisk(node)
        case .switchover:
            give(.switchover, to: node)
            // Whoever hands over may hear nothing of what comes of it.
            guard random.chance(0.3) else { return }
            for other in 0...2 where other != node { isLinked[other][node] = false }
        case .etcdRestored: return restoreEtcd()
        case .badNetwork: profile.lossChance = 0.3
        }
        tell("fault: \(fault), node \(node)")
        schedule(.heal(fault, node, incarnation: nodes[node].incarnation), in: length)
    }

    /// Cuts a node from everybody, or joins it again.
    private mutating func isolate(_ node: Int, _ isCut: Bool) {
        for other in 0...2 where other != node {
            isLinked[node][other] = !isCut
            isLinked[other][node] = !isCut
        }
    }

    private func isPossible(_ fault: Fault, _ node: Int) -> Bool {
        switch fault {
        case .crash, .freeze, .switchover: nodes[node].core != nil && !nodes[node].isFrozen
        case .etcdDown: isEtcdUp
        case .diskLost: mayLoseDisk(node)
        case .etcdRestored: isEtcdUp && !wasEtcdRestored && !snapshots.isEmpty
        default: true
        }
    }

    mutating func heal(_ fault: Fault, _ node: Int, _ incarnation: Int) {
        switch fault {
        case .freeze:
            guard nodes[node].isFrozen, nodes[node].incarnation == incarnation else { return }
            nodes[node].isFrozen = false
            tell("node \(node): goes on")
            let held = nodes[node].held
            nodes[node].held = []
            for input in held where nodes[node].incarnation == incarnation { give(input, to: node) }
        case .cutOneWay: isLinked[node][1 - node] = true
        case .cutBothWays:
            isLinked[0][1] = true
            isLinked[1][0] = true
        case .cutFromEtcd:
            isLinked[node][2] = true
            isLinked[2][node] = true
        case .isolated: isolate(node, false)
        case .switchover: for other in 0...2 where other != node { isLinked[other][node] = true }
        case .etcdDown:
            guard !isEtcdUp else { return }
            isEtcdUp = true
            etcd.comeBack(lease: settings.lease, at: now)
        case .diskFull: nodes[node].isDiskFull = false
        case .deviceFailure:
            if nodes[node].hasDeviceFailed, nodes[node].incarnation == incarnation { crash(node) }
        case .slowDisk: nodes[node].isSlow = false
        case .badNetwork: profile.lossChance = 0.02
        case .crash, .crashBoth, .clockJump, .diskLost, .etcdRestored: break
        }
    }

    /// What one node alone holds may be acknowledged: then its disk is not to be lost.
    private func mayLoseDisk(_ node: Int) -> Bool {
        let other = nodes[1 - node]
        guard let insync = etcd.insync, insync.members.contains(other.identity) else { return false }
        return checker.acknowledged.isEmpty
            || other.has(
                checker.acknowledged[checker.acknowledged.count - 1].end,
                at: checker.acknowledged.count - 1)
    }

    private mutating func loseDisk(_ node: Int) {
        let core = nodes[node].core != nil
        nodes[node].crash(keepingWrite: false)
        nodes[node].log = []
        nodes[node].remembered = nil
        nodes[node].isDiskFull = false
        nodes[node].identity = LogIdentity(bytes: SIMD2(UInt64(node), random.next()))
        nodes[node].learned = 0
        names[nodes[node].identity] = node
        tell("node \(node): its disk is lost")
        disconnect()
        let pause = random.duration(20_000, 1_500_000)
        if core { schedule(.start(node), in: pause) }
    }

    /// Only a state that nodes can know to be old: what nobody has seen, nobody can miss.
    private mutating func restoreEtcd() {
        let known = nodes.map { $0.core?.seen ?? $0.remembered }
        var old = snapshots[random.below(snapshots.count)]
        guard let insync = old.insync else { return }
        // Another cluster, as `etcdctl snapshot restore` makes with another token, is a stranger to whoever
        // remembers one. The same one gone back is known by what was seen of the members.
        if random.chance(0.5) {
            guard zip(nodes, known).allSatisfy({ $1 != nil || !insync.members.contains($0.identity) }) else {
                return
            }
            old.becomeOtherCluster()
        } else {
            let now = etcd.insync?.revision ?? 0
            guard insync.revision == now || known.allSatisfy({ $0?.insync ?? 0 == now }) else { return }
        }
        wasEtcdRestored = true
        etcd = old
        etcd.comeBack(lease: settings.lease, at: self.now)
        let revision = etcd.snapshot.revision
        tell("etcd: restored from revision \(revision.number), cluster \(revision.cluster)")
    }

    /// A lead was taken; sometimes etcd loses that again, and what cost it so much cuts off who leads.
    mutating func loseLead(of node: Int, to before: SimulatedEtcd) {
        guard !isCalm, !wasEtcdRestored, profile.faults.contains(.etcdRestored), random.chance(0.5) else {
            return
        }
        faultCounts[.etcdRestored, default: 0] += 1
        wasEtcdRestored = true
        etcd = before
        tell("etcd: restored to before node \(node) took the lead")
        isolate(node, true)
        let length = random.duration(500_000, 6_000_000)
        schedule(.heal(.isolated, node, incarnation: nodes[node].incarnation), in: length)
    }

    /// Everything that is broken is repaired, and operators do what is theirs.
    mutating func calmDown() {
        isCalm = true
        tell("all faults end")
        for from in 0...2 { for to in 0...2 { isLinked[from][to] = true } }
        if !isEtcdUp {
            isEtcdUp = true
            etcd.comeBack(lease: settings.lease, at: now)
        }
        for node in 0...1 {
            nodes[node].isDiskFull = false
            nodes[node].isDeviceFailing = false
            if nodes[node].isFrozen { heal(.freeze, node, nodes[node].incarnation) }
            if nodes[node].hasDeviceFailed { crash(node) }
        }
        let isNobodyLeft = !nodes.contains { etcd.insync?.members.contains($0.identity) ?? true }
        if wasEtcdRestored || isNobodyLeft { repairEtcd() }
    }

    /// What operators do when etcd was restored, or when the only member's disk is lost: whoever holds
    /// everything is a member, and both nodes are told to believe this etcd.
    private mutating func repairEtcd() {
        let count = checker.acknowledged.count
        let members = nodes.filter { node in
            checker.acknowledged.last.map { node.has($0.end, at: count - 1) } ?? true
        }.map(\.identity)
        let seen = nodes.map { $0.core?.seen?.revision.number ?? $0.remembered?.revision.number ?? 0 }
        let epoch = nodes.map(\.end.epoch).max() ?? 0
        isEtcdRepaired = true
        etcd.repair(insync: Set(members), revision: max(seen.max() ?? 0, epoch))
        for node in 0...1 {
            crash(node)
            nodes[node].remembered = nil
        }
        tell("an operator says who is in insync, and that this etcd is to be believed")
    }

    /// Whether the pair is whole again: both nodes in `insync`, the logs equal, a new batch acknowledged.
    func isWhole(since position: UInt64) -> Bool {
        checker.end > position && etcd.insync?.members == Set(nodes.map(\.identity))
            && nodes[0].end.position >= checker.end && nodes[1].end.position >= checker.end
            && nodes.contains { $0.isServing } && nodes.contains { $0.core?.isFollowing ?? false }
    }
}
