import Foundation
import PairEtcd
import PairProtocol

/// A pair as etcd shows it at one moment.
struct PairReport {
    /// One log that is named anywhere.
    struct Node {
        var identity: LogIdentity
        /// What it tells of itself; nil if it has given no sign of life for a lease.
        var member: PairMember?
        var isLeader: Bool
        var isInsync: Bool

        var name: String { PairKeys.text(of: identity) }
        var shortName: String { String(name.prefix(16)) }
        var isAlive: Bool { member != nil }
    }

    let pair: String
    let epoch: UInt64?
    /// The leader first.
    let nodes: [Node]

    var leader: Node? { nodes.first(where: \.isLeader) }
    var insyncCount: Int { nodes.count(where: \.isInsync) }

    init(_ snapshot: EtcdSnapshot, _ members: [LogIdentity: PairMember], pair: String) {
        self.pair = pair
        epoch = snapshot.leader?.epoch
        var identities = Set(members.keys)
        identities.formUnion(snapshot.insync?.members ?? [])
        if let leader = snapshot.leader { identities.insert(leader.identity) }
        nodes = identities.map { identity in
            Node(
                identity: identity, member: members[identity],
                isLeader: identity == snapshot.leader?.identity,
                isInsync: snapshot.insync?.members.contains(identity) ?? false)
        }.sorted { ($0.isLeader ? 0 : 1, $0.name) < ($1.isLeader ? 0 : 1, $1.name) }
    }

    /// What is wrong, in sentences; empty if nothing is.
    var troubles: [String] {
        guard !nodes.isEmpty else {
            return ["no node of the pair '\(pair)' was ever seen: start vedette serve --pair \(pair)"]
        }
        var troubles: [String] = []
        if leader == nil {
            let able = nodes.filter { $0.isInsync && $0.isAlive }.map(\.shortName)
            let missing = nodes.filter { $0.isInsync && !$0.isAlive }.map(\.shortName)
            troubles.append(
                able.isEmpty
                    ? "nobody leads: only \(missing.joined(separator: " or ")) may, and gives no sign of "
                        + "life; start it"
                    : "etcd shows nobody who leads; \(able.joined(separator: " or ")) may, and will soon, "
                        + "unless it still hears one")
        }
        for node in nodes where !node.isAlive {
            troubles.append("\(node.shortName) gives no sign of life: start its server")
        }
        for node in nodes where node.isAlive && !node.isInsync {
            troubles.append("\(node.shortName) is not in sync: it catches up, or cannot reach the leader")
        }
        for node in nodes where hasOtherKey(node) {
            troubles.append(
                "\(node.shortName) has another master key than the leader: it takes that over when it follows"
            )
        }
        if nodes.count == 1, nodes[0].member?.copy == nil {
            troubles.append("there is one node: start the other one")
        }
        for node in nodes {
            if let copy = node.member?.copy { troubles.append(sentence(copy, from: node)) }
            if let trouble = node.member?.trouble { troubles.append("\(node.shortName) says: \(trouble)") }
        }
        return troubles
    }

    private func sentence(_ copy: PairMember.Copy, from node: Node) -> String {
        let size = "\(copy.total / 1_000_000) MB"
        guard !copy.isWhole else {
            return "\(node.shortName) has brought \(copy.host) a copy of its log, \(size): \(copy.host) "
                + "verifies it, and then follows"
        }
        let percent = UInt64(100 * Double(copy.byteCount) / Double(copy.total))
        return "\(node.shortName) brings \(copy.host) a copy of its log: \(percent)% of \(size)"
    }

    /// Whether both say their master key, and it is not the same.
    private func hasOtherKey(_ node: Node) -> Bool {
        guard let own = node.member?.masterKey, let leaders = leader?.member?.masterKey else { return false }
        return own != leaders
    }

    /// How many events a node lacks of what the leader has; nil if one of them does not say.
    func lag(of node: Node) -> UInt64? {
        guard let end = leader?.member?.end, let own = node.member?.end else { return nil }
        return end - min(own, end)
    }
}
