import PairProtocol

// The network, etcd's wire and the disks.
extension World {
    // MARK: The network

    mutating func send(_ message: PairMessage, from node: Int) {
        let other = 1 - node
        guard isLinked[node][other], isCalm || !random.chance(profile.lossChance) else { return }
        let count = !isCalm && random.chance(profile.doubleChance) ? 2 : 1
        for _ in 0..<count {
            let isLate = !isCalm && random.chance(profile.lateChance)
            var delay = isLate ? random.duration(1_000, profile.lateMax) : random.duration(80, 1_500)
            if !isLate, isCalm || !profile.isReordering {
                delay = max(delay, lastArrival[node] + .microseconds(1) - now)
                lastArrival[node] = now + delay
            }
            schedule(
                .input(other, incarnation: nodes[other].incarnation, .received(message)), in: delay)
        }
    }

    mutating func connect() {
        guard !isConnected, nodes[0].core != nil, nodes[1].core != nil, isLinked[0][1], isLinked[1][0] else {
            return
        }
        isConnected = true
        for node in 0...1 { give(later: .connected, to: node) }
    }

    mutating func disconnect() {
        guard isConnected else { return }
        isConnected = false
        for node in 0...1 where nodes[node].core != nil { give(later: .disconnected, to: node) }
    }

    mutating func ship(_ session: Session, after position: UInt64, from node: Int) {
        var end = position
        for _ in 0..<8 {
            guard let batch = nodes[node].batch(after: end) else { break }
            send(.batch(session, batch.shipped), from: node)
            end = batch.end.position
        }
        give(later: .shipped(session, through: end), to: node)
    }

    // MARK: etcd's wire

    mutating func transact(_ number: UInt64, _ transaction: EtcdTransaction, of node: Int) {
        let isLate = !isCalm && random.chance(profile.etcdLateChance)
        let isLost = !isCalm && random.chance(profile.etcdLossChance)
        guard !isLost, isLinked[node][2] || isLate else { return }
        let delay = isLate ? random.duration(50_000, 4_000_000) : random.duration(300, 6_000)
        schedule(
            .reachesEtcd(
                node, incarnation: nodes[node].incarnation, number, transaction, nodes[node].identity),
            in: delay)
    }

    mutating func reachEtcd(
        _ node: Int, _ incarnation: Int, _ number: UInt64, _ transaction: EtcdTransaction,
        _ identity: LogIdentity
    ) {
        // What a node asked for before its disk was lost may leave no member alive, and then only an operator
        // helps: left out.
        guard isEtcdUp, nodes[node].identity == identity else { return }
        let before = etcd
        guard
            let answer = etcd.run(
                transaction, of: .init(node: node, incarnation: incarnation), identity, names: names, at: now)
        else { return }
        if etcd.snapshot != before.snapshot {
            tell("etcd: node \(node): \(transaction): revision \(etcd.snapshot.revision.number)")
            keepSnapshot()
            checkMembers()
        }
        let isLost = !isCalm && random.chance(profile.etcdLossChance)
        let isLate = !isCalm && random.chance(profile.etcdLateChance)
        guard !isLost, isLinked[2][node] else { return }
        schedule(
            .input(node, incarnation: incarnation, .answered(number, answer)),
            in: isLate ? random.duration(50_000, 3_000_000) : random.duration(300, 6_000))
        if case .take = transaction, answer.isDone { loseLead(of: node, to: before) }
    }

    private mutating func keepSnapshot() {
        guard random.chance(0.4) else { return }
        snapshots.append(etcd)
        if snapshots.count > 8 { snapshots.removeFirst() }
    }

    mutating func renew(_ node: Int, isOnce: Bool = false) {
        if !isOnce { schedule(.renewal(node), in: settings.lease / 4) }
        guard nodes[node].core != nil, !nodes[node].isFrozen, isLinked[node][2] else { return }
        schedule(
            .renewalReachesEtcd(node, incarnation: nodes[node].incarnation, sent: clock(of: node)),
            in: random.duration(300, 6_000))
    }

    mutating func renewAtEtcd(_ node: Int, _ incarnation: Int, _ sent: Duration) {
        guard isEtcdUp else { return }
        // The old lease has run out, whether or not its key was deleted yet.
        let lease = SimulatedEtcd.Lease(node: node, incarnation: incarnation)
        etcd.expire(at: now)
        if !etcd.isHeld(lease, at: now) { leaseNumbers[node] += 1 }
        etcd.renew(lease, until: now + settings.lease)
        guard isLinked[2][node] else { return }
        schedule(
            .input(
                node, incarnation: incarnation, .leaseHeld(leaseNumbers[node], until: sent + settings.lease)),
            in: random.duration(300, 6_000))
    }

    // MARK: The disks

    mutating func order(_ write: SimulatedNode.Write, on node: Int) {
        // What was ordered before the node heard of a failure is not stored either.
        if nodes[node].isRefusing, !write.isSettling, !nodes[node].writes.contains(where: \.isSettling) {
            return
        }
        nodes[node].writes.append(write)
        beginWrite(node)
    }

    private mutating func beginWrite(_ node: Int) {
        guard !nodes[node].isWriting, let write = nodes[node].writes.first else { return }
        nodes[node].isWriting = true
        let isSlow = nodes[node].isSlow && !isCalm
        let delay: Duration
        if case .settle = write {
            delay = .microseconds(1)
        } else {
            delay = isSlow ? random.duration(50_000, 700_000) : random.duration(200, 4_000)
        }
        schedule(.written(node, incarnation: nodes[node].incarnation), in: delay)
    }

    mutating func finishWrite(_ node: Int) {
        nodes[node].isWriting = false
        guard !nodes[node].writes.isEmpty else { return }
        let write = nodes[node].writes.removeFirst()
        switch write {
        case .settle:
            nodes[node].isRefusing = nodes[node].writes.contains(where: \.isSettling)
            give(.settled(nodes[node].end), to: node)
        case .store(let shipped): store(SimulatedBatch(shipped), on: node)
        case .begin(let epoch):
            contents.append(.epochStarted(epoch))
            store(
                SimulatedBatch(
                    after: nodes[node].end, epoch: epoch, content: contents.count - 1, eventCount: 1),
                on: node)
        case .cut(let mark):
            guard isWritable(node) else {
                failWrites(node)
                break
            }
            nodes[node].log.removeAll { $0.end.position > mark.position }
            if mark.position < nodes[node].learned {
                checker.fail("a log is cut at \(mark.position), where more was taken for acknowledged")
            }
            if nodes[node].end != mark { checker.fail("a log was cut where no batch of it ends") }
            tell("node \(node): its log is cut at \(mark.position)")
            checkMembers()
            give(.cut(mark), to: node)
        }
        beginWrite(node)
    }

    private func isWritable(_ node: Int) -> Bool {
        !nodes[node].isDiskFull && !nodes[node].hasDeviceFailed
    }

    private mutating func store(_ batch: SimulatedBatch, on node: Int) {
        if nodes[node].isDeviceFailing, isWritable(node) {
            nodes[node].isDeviceFailing = false
            nodes[node].hasDeviceFailed = true
            nodes[node].doubtful = batch
            // Somebody restarts it.
            schedule(
                .heal(.deviceFailure, node, incarnation: nodes[node].incarnation),
                in: random.duration(100_000, 2_000_000))
        }
        guard isWritable(node) else { return failWrites(node) }
        guard batch.before == nodes[node].end.position else {
            return checker.fail("a batch is stored that does not follow the log's end")
        }
        nodes[node].log.append(batch)
        nodes[node].hasBeenInPair = true
        give(.stored(batch.end), to: node)
    }

    private mutating func failWrites(_ node: Int) {
        tell("node \(node): a write fails")
        nodes[node].writes.removeAll { !$0.isSettling }
        nodes[node].isRefusing = true
        give(.storeFailed, to: node)
    }
}
