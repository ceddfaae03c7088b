public import EtcdClient
public import PairProtocol

/// What a pair keeps in etcd, under `/vedette/PAIR/`, for its nodes and for who looks from outside.
///
/// | key | value | on a lease |
/// |---|---|---|
/// | `leader` | the leader's log; the revision that created the key is the epoch | yes |
/// | `insync` | the one or two logs that hold all that was acknowledged, a blank between | no |
/// | `nodes/LOG` | ``PairMember`` as JSON | yes |
///
/// A log is written as the 32 hexadecimal digits of its identity.
public struct PairKeys: Sendable {
    /// So many changes are made at most to lift etcd's revision: minutes, and some hundred megabytes in etcd.
    public static let raisingChangesMax: UInt64 = 1_000_000
    /// So many of them are under way at once.
    private static let raisingWidth = 32

    /// The pair's name.
    public let pair: String
    let client: EtcdClient
    private let prefix: String
    private var leaderKey: String { prefix + "leader" }
    private var insyncKey: String { prefix + "insync" }
    private var nodesPrefix: String { prefix + "nodes/" }
    private var scratchKey: String { prefix + "scratch" }

    /// The keys of the pair of this name: 1 to 64 letters, digits, '-', '_' and '.'.
    public init(_ client: EtcdClient, pair: String) throws(PairEtcdFault) {
        let isFit = pair.utf8.allSatisfy { byte in
            let character = Character(UnicodeScalar(byte))
            return character.isASCII && (character.isLetter || character.isNumber)
                || "-_.".contains(character)
        }
        guard isFit, (1...64).contains(pair.utf8.count) else { throw .badName(pair) }
        self.client = client
        self.pair = pair
        prefix = "/vedette/\(pair)/"
    }

    // MARK: The state machine's transactions

    /// Runs a transaction of a node's; both keys are fetched in the same step, done or not.
    ///
    /// - Parameter lease: what ``PairProtocol/EtcdTransaction/take(insync:)`` and `found` bind the key to.
    /// - Throws: ``PairEtcdFault/etcd(_:)``, also if the lease is gone, and
    ///   ``PairEtcdFault/foreignValue(key:value:)``, when the outcome is unknown, too.
    func run(
        _ transaction: EtcdTransaction, as identity: LogIdentity, lease: Int64
    ) async throws(PairEtcdFault) -> EtcdAnswer {
        let conditions: [EtcdComparison]
        let done: [EtcdOperation]
        let own = Array(PairKeys.text(of: identity).utf8)
        let takeLead = EtcdOperation.put(leaderKey, own, lease: lease)
        switch transaction {
        case .read:
            conditions = []
            done = []
        case .take(let revision):
            // That `insync` names this log is known: a key has one value at one revision.
            conditions = [.created(leaderKey, at: 0), .modified(insyncKey, at: revision)]
            done = [takeLead]
        case .found:
            conditions = [.created(leaderKey, at: 0), .created(insyncKey, at: 0)]
            done = [takeLead, putInsync([identity])]
        case .setInsync(let members, let epoch, let revision):
            // In an etcd that was restored, another's key may have been created at the same revision.
            conditions = [
                .created(leaderKey, at: epoch), .value(leaderKey, own), .modified(insyncKey, at: revision),
            ]
            done = [putInsync(members)]
        case .release(let epoch):
            conditions = [.created(leaderKey, at: epoch)]
            done = [.delete(leaderKey)]
        }
        let look: [EtcdOperation] = [.get(leaderKey), .get(insyncKey)]
        let outcome = try await commit(conditions, done + look, look)
        return EtcdAnswer(isDone: outcome.isDone, snapshot: try snapshot(outcome))
    }

    private func putInsync(_ members: Set<LogIdentity>) -> EtcdOperation {
        .put(insyncKey, Array(PairKeys.text(of: members).utf8), lease: 0)
    }

    func commit(
        _ conditions: [EtcdComparison], _ done: [EtcdOperation], _ refused: [EtcdOperation] = []
    ) async throws(PairEtcdFault) -> EtcdOutcome {
        do throws(EtcdFault) {
            return try await client.commit(if: conditions, then: done, else: refused)
        } catch { throw .etcd(error) }
    }

    /// What `get`s of both keys found.
    private func snapshot(_ outcome: EtcdOutcome) throws(PairEtcdFault) -> EtcdSnapshot {
        guard outcome.found.count >= 2 else {
            throw .etcd(.malformed("etcd answered without what the transaction fetched"))
        }
        var snapshot = EtcdSnapshot(
            revision: EtcdRevision(cluster: outcome.header.cluster, number: outcome.header.revision),
            leader: nil, insync: nil)
        if let pair = outcome.found[0].first {
            guard let identity = PairKeys.identity(pair.value) else { throw foreign(pair) }
            snapshot.leader = EtcdSnapshot.Leader(identity: identity, epoch: pair.created)
        }
        if let pair = outcome.found[1].first {
            guard let members = PairKeys.members(pair.value) else { throw foreign(pair) }
            snapshot.insync = EtcdSnapshot.Insync(members: members, revision: pair.modified)
        }
        return snapshot
    }

    private func foreign(_ pair: EtcdKeyValue) -> PairEtcdFault {
        .foreignValue(key: pair.key, value: String(decoding: pair.value.prefix(80), as: UTF8.self))
    }

    // MARK: Looking from outside

    /// Both keys, as a majority of etcd's members has them.
    public func snapshot() async throws(PairEtcdFault) -> EtcdSnapshot {
        try snapshot(try await commit([], [.get(leaderKey), .get(insyncKey)]))
    }

    /// What the nodes that live tell of themselves, by their logs.
    public func members() async throws(PairEtcdFault) -> [LogIdentity: PairMember] {
        var members: [LogIdentity: PairMember] = [:]
        for pair in try await commit([], [.list(prefix: nodesPrefix)]).found.joined() {
            guard let identity = PairKeys.identity(Array(pair.key.utf8.dropFirst(nodesPrefix.utf8.count))),
                let member = PairMember(encoded: pair.value)
            else { throw foreign(pair) }
            members[identity] = member
        }
        return members
    }

    /// Puts what a node tells of itself on its lease.
    func put(_ member: PairMember, of identity: LogIdentity, lease: Int64) async throws(PairEtcdFault) {
        _ = try await commit(
            [], [.put(nodesPrefix + PairKeys.text(of: identity), member.encoded, lease: lease)])
    }

    // MARK: The operator's changes

    /// Takes a log out of `insync`, whose disk is lost or that shall not come back.
    ///
    /// - Throws: ``PairEtcdFault``: for the last log and for the leader's, which stay, or if anything changed
    ///   meanwhile. After ``PairEtcdFault/etcd(_:)`` with an unknown outcome look whether it is done.
    public func forget(_ identity: LogIdentity) async throws(PairEtcdFault) {
        let now = try await snapshot()
        guard let insync = now.insync else { throw .notFounded(pair: pair) }
        guard insync.members.contains(identity) else { throw .notInSync(identity) }
        guard insync.members.count > 1 else { throw .isLast(identity) }
        guard now.leader?.identity != identity else { throw .leads(identity) }
        let outcome = try await commit(
            [.created(leaderKey, at: now.leader?.epoch ?? 0), .modified(insyncKey, at: insync.revision)],
            [putInsync(insync.members.subtracting([identity]))])
        guard outcome.isDone else { throw .changedMeanwhile }
    }

    /// Makes a log the only one that counts as in sync, whatever `insync` says; nobody leads then.
    ///
    /// For an etcd that was restored or lost, where an operator knows which log holds what was acknowledged.
    /// - Returns: both keys after it.
    /// - Throws: ``PairEtcdFault/leads(_:)`` if another log does, or if anything changed meanwhile. After
    ///   ``PairEtcdFault/etcd(_:)`` with an unknown outcome it may be done again.
    public func refound(by identity: LogIdentity) async throws(PairEtcdFault) -> EtcdSnapshot {
        let now = try await snapshot()
        if let leader = now.leader, leader.identity != identity { throw .leads(leader.identity) }
        let outcome = try await commit(
            [
                .created(leaderKey, at: now.leader?.epoch ?? 0),
                .modified(insyncKey, at: now.insync?.revision ?? 0),
            ],
            (now.leader == nil ? [] : [.delete(leaderKey)])
                + [putInsync([identity]), .get(leaderKey), .get(insyncKey)])
        guard outcome.isDone else { throw .changedMeanwhile }
        return try snapshot(outcome)
    }

    /// Makes etcd's revision exceed an epoch, so that whoever takes the lead next has a higher one.
    ///
    /// A log that was a single node's has epochs already, and etcd counts from 1. Each change of a scratch
    /// key lifts the revision by one; a thousand or more a second.
    /// - Parameter progress: told etcd's revision now and then.
    /// - Throws: ``PairEtcdFault/tooFarBelow(revision:epoch:changesMax:)`` before anything was changed.
    public func raise(
        above epoch: UInt64, changesMax: UInt64 = raisingChangesMax,
        progress: @Sendable (_ revision: UInt64) -> Void = { _ in }
    ) async throws(PairEtcdFault) {
        var revision = try await snapshot().revision.number
        guard revision <= epoch else { return }
        guard epoch - revision < changesMax else {
            throw .tooFarBelow(revision: revision, epoch: epoch, changesMax: changesMax)
        }
        while revision <= epoch {
            // A multiple of a thousand or so, to tell the progress in between.
            let count = Int(min(epoch - revision + 1, 1 << 10))
            try await putScratch(count)
            revision = try await snapshot().revision.number
            progress(revision)
        }
        _ = try await commit([], [.delete(scratchKey)])
    }

    /// Puts the scratch key so often; what is lost is made up for by whoever looks at the revision.
    private func putScratch(_ count: Int) async throws(PairEtcdFault) {
        let key = scratchKey
        let faults = await withTaskGroup(of: PairEtcdFault?.self) { group in
            var faults: [PairEtcdFault] = []
            for index in 0..<count {
                if index >= PairKeys.raisingWidth, let fault = await group.next() ?? nil {
                    faults.append(fault)
                }
                guard faults.isEmpty else { break }
                group.addTask {
                    do throws(PairEtcdFault) { _ = try await commit([], [.put(key, [], lease: 0)]) } catch {
                        return error
                    }
                    return nil
                }
            }
            for await case let fault? in group { faults.append(fault) }
            return faults
        }
        if let first = faults.first { throw first }
    }

    // MARK: Identities as text

    /// 32 hexadecimal digits.
    public static func text(of identity: LogIdentity) -> String {
        [identity.bytes.x, identity.bytes.y].map { half in
            let digits = String(half, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }

    /// The identity of 32 hexadecimal digits; nil if the text is anything else.
    public static func identity(_ text: some StringProtocol) -> LogIdentity? { identity(Array(text.utf8)) }

    static func identity(_ digits: some Collection<UInt8>) -> LogIdentity? {
        guard digits.count == 32, digits.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }),
            let first = UInt64(String(decoding: digits.prefix(16), as: UTF8.self), radix: 16),
            let second = UInt64(String(decoding: digits.dropFirst(16), as: UTF8.self), radix: 16)
        else { return nil }
        return LogIdentity(bytes: SIMD2(first, second))
    }

    static func text(of members: Set<LogIdentity>) -> String {
        members.map { text(of: $0) }.sorted().joined(separator: " ")
    }

    static func members(_ value: [UInt8]) -> Set<LogIdentity>? {
        var members: Set<LogIdentity> = []
        for part in value.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false) {
            guard let identity = identity(part), members.insert(identity).inserted else { return nil }
        }
        return (1...2).contains(members.count) ? members : nil
    }
}
