import PairProtocol

/// One linearizable etcd: the two keys and the nodes' leases.
struct SimulatedEtcd: Sendable {
    private var cluster: UInt64 = 1
    private var number: UInt64 = 1
    private(set) var leader: EtcdSnapshot.Leader?
    private var holder: Lease?
    private(set) var insync: EtcdSnapshot.Insync?
    /// When each process's lease ends.
    private var leaseEnds: [Lease: Duration] = [:]

    /// A process of a node has one; the next process makes another.
    struct Lease: Hashable, Sendable {
        var node: Int
        var incarnation: Int
    }

    private let planted: PlantedBug?

    init(planted: PlantedBug?) { self.planted = planted }

    var snapshot: EtcdSnapshot {
        EtcdSnapshot(
            revision: EtcdRevision(cluster: cluster, number: number), leader: leader, insync: insync)
    }

    /// Runs a node's transaction; nil if its lease is gone that a key should hang on.
    mutating func run(
        _ transaction: EtcdTransaction, of lease: Lease, _ identity: LogIdentity, names: [LogIdentity: Int],
        at now: Duration
    ) -> EtcdAnswer? {
        var isDone = true
        switch transaction {
        case .read: break
        case .take(let revision):
            guard isHeld(lease, at: now) else { return nil }
            let isSame = insync?.revision == revision || planted == .restoredEtcdBelieved
            isDone = leader == nil && isSame && isMember(lease.node, identity, names)
            if isDone { makeLeader(lease, identity) }
        case .found:
            guard isHeld(lease, at: now) else { return nil }
            isDone = leader == nil && insync == nil
            if isDone {
                makeLeader(lease, identity)
                insync = EtcdSnapshot.Insync(members: [identity], revision: number)
            }
        case .setInsync(let members, let epoch, let revision):
            // After a restore another's key may have been created at the same revision.
            let isMine =
                planted == .guardByName
                ? holder?.node == lease.node : leader == .init(identity: identity, epoch: epoch)
            isDone = isMine && (insync?.revision == revision || planted == .noRevisionGuard)
            if isDone {
                number += 1
                insync = EtcdSnapshot.Insync(members: members, revision: number)
            }
        case .release(let epoch):
            isDone = leader?.epoch == epoch
            if isDone { dropLeader() }
        }
        return EtcdAnswer(isDone: isDone, snapshot: snapshot)
    }

    private func isMember(_ node: Int, _ identity: LogIdentity, _ names: [LogIdentity: Int]) -> Bool {
        switch planted {
        case .takeOutsideInsync: true
        case .namesNotIdentities: insync?.members.contains { names[$0] == node } ?? false
        default: insync?.members.contains(identity) ?? false
        }
    }

    private mutating func makeLeader(_ lease: Lease, _ identity: LogIdentity) {
        number += 1
        leader = EtcdSnapshot.Leader(identity: identity, epoch: number)
        holder = lease
    }

    private mutating func dropLeader() {
        number += 1
        leader = nil
        holder = nil
    }

    /// Whether the process's lease has not run out.
    func isHeld(_ lease: Lease, at now: Duration) -> Bool { leaseEnds[lease] ?? .zero > now }

    mutating func renew(_ lease: Lease, until end: Duration) { leaseEnds[lease] = end }

    /// Deletes the leader's key if its lease has run out.
    mutating func expire(at now: Duration) {
        if let holder, !isHeld(holder, at: now) { dropLeader() }
        leaseEnds = leaseEnds.filter { $0.value > now }
    }

    /// An etcd that was down gives every lease its whole time again.
    mutating func comeBack(lease: Duration, at now: Duration) {
        leaseEnds = leaseEnds.mapValues { _ in now + lease }
    }

    /// As a snapshot is restored with another token: the keys are the same, and all is new that they lie in.
    mutating func becomeOtherCluster() { cluster += 1 }

    /// As an operator does after a restore: `insync` names who holds everything.
    mutating func repair(insync members: Set<LogIdentity>, revision: UInt64) {
        leader = nil
        holder = nil
        number = max(number, revision) + 1
        insync = EtcdSnapshot.Insync(members: members, revision: number)
    }
}
