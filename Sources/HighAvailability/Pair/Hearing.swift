import PairProtocol
import Synchronization

/// When a node heard its leader.
///
/// A leader that cannot reach etcd loses its key and goes on all the same, as long as the other node follows
/// it and so promises not to take the lead. That node then knows of it only because it hears it.
struct Hearing: Sendable {
    /// The last time.
    private(set) var last: Duration?
    /// The first time since etcd showed no leader.
    private var firstWithoutKey: Duration?

    mutating func note(at now: Duration, hasKey: Bool) {
        last = now
        firstWithoutKey = hasKey ? nil : firstWithoutKey ?? now
    }

    /// Whether there is a leader without a key: one that gives its key back may be heard once more after
    /// that, but not again and again.
    func isOfKeylessLeader(at now: Duration, _ settings: PairSettings) -> Bool {
        guard let last, let firstWithoutKey else { return false }
        return last - firstWithoutKey >= settings.interval * 2 && now - last < settings.peerPatience
    }
}

extension RunningNode {
    /// The leader was heard.
    func hearLeader() {
        let hasKey = state.withLock { $0.core.view?.leader != nil }
        hearing.withLock { $0.note(at: RunningNode.now, hasKey: hasKey) }
    }
}
