import PairProtocol
import PairWire
import Synchronization

/// What a node is, for doors: asked anew at each request.
public enum NodeStanding: Sendable {
    /// It leads, and nobody else can have acknowledged anything after it.
    case leads
    /// It follows the one whose API answers there, and last heard of it so long ago; nil if it never did.
    case follows(leader: String?, silence: Duration?)
    /// It knows of nobody who leads; one phrase says why.
    case leaderless(String)
}

extension RunningNode {
    /// What this node is now.
    public var standing: NodeStanding {
        let now = RunningNode.now
        let (core, isServing) = state.withLock { ($0.core, $0.isServing) }
        if isServing, core.mayRead(at: now) { return .leads }
        if isServing { return .leaderless("this node cannot reach its partner, nor etcd") }
        let silence = hearing.withLock { $0 }.last.map { now - $0 }
        guard let leader = core.view?.leader, leader.identity != identity else {
            if followsKeylessLeader {
                return .follows(leader: peerAddress, silence: silence)
            }
            if let fault = core.etcdFault { return .leaderless(fault) }
            return .leaderless("the lead is not taken")
        }
        return .follows(leader: peerAddress, silence: silence)
    }

    /// Whether it hears a leader that lost its key because it cannot reach etcd.
    var followsKeylessLeader: Bool {
        hearing.withLock { $0 }.isOfKeylessLeader(at: RunningNode.now, settings)
            && state.withLock { $0.core.view?.leader == nil }
    }

    /// Where the other node's API answers, as it said itself.
    private var peerAddress: String? {
        guard let greeting = link.peerGreeting else { return lastPeer.withLock { $0?.address } }
        let enclosure = PeerEnclosure(bytes: greeting.enclosure)
        lastPeer.withLock { $0 = enclosure }
        return enclosure?.address
    }
}
