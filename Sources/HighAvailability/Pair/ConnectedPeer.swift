import Conductor
import PairProtocol
import PairWire
import Synchronization

/// The other node, as it greeted on the link that stands.
struct ConnectedPeer: Sendable {
    let enclosure: PeerEnclosure
    let keys: LeadersKeys?
    /// It has another master key and a version that keeps its own, unless its log turns out to be empty.
    var isDoubted: Bool

    init(_ enclosure: PeerEnclosure, of own: PeerEnclosure) {
        self.enclosure = enclosure
        keys = LeadersKeys(enclosure)
        let hasSameKey = enclosure.masterKey == own.masterKey && own.nextMasterKey == nil
        isDoubted = enclosure.takesMasterKeys != true && !hasSameKey
    }
}

extension RunningNode {
    /// A link stands, or the peer says something else of itself on it.
    func greetPeer() {
        giver.otherIsThere()
        let known = link.peerGreeting.flatMap { PeerEnclosure(bytes: $0.enclosure) }
        if let known { lastPeer.withLock { $0 = known } }
        peer.withLock { $0 = known.map { ConnectedPeer($0, of: enclosure.present) } }
    }

    /// Whether a standby that says for the first time where its log ends must not have what this node leads:
    /// it would store it, and could never open it.
    func turnsAway(standbyAt end: UInt64) -> Bool {
        let isDoubted = peer.withLock { peer in
            defer { peer?.isDoubted = false }
            return peer?.isDoubted ?? false
        }
        guard isDoubted, end > 0, let greeting = link.peerGreeting else { return false }
        refuse(
            greeting,
            because: "\(greeting.hostName) (version \(greeting.programVersion)) has another master key than "
                + "\(Conductor.hostName) and cannot take that over: upgrade \(greeting.hostName)",
            until: RunningNode.now + PeerRefusal.pause)
        link.disconnect()
        return true
    }
}
