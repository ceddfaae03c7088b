import HighAvailability
import Projections
import Registry
import Synchronization

/// The node of a server that is one of a pair, for a door that is open before there is one: a node that joins
/// is brought a copy of the other one's log first.
///
/// Until then nothing is known here, and callers are handed to the other node.
final class JoiningNode: Sendable {
    private let current = Mutex<RunningNode?>(nil)
    private let joining: Joining
    private let opening: AsyncStream<RunningNode>.Continuation
    /// The node, once it is open; for one consumer.
    let nodes: AsyncStream<RunningNode>

    init(_ joining: Joining) {
        self.joining = joining
        (nodes, opening) = AsyncStream.makeStream()
    }

    /// The node; nil before it is open.
    var node: RunningNode? { current.withLock { $0 } }

    func set(_ node: RunningNode) {
        current.withLock { $0 = node }
        opening.yield(node)
        opening.finish()
    }

    /// What it is now.
    var standing: NodeStanding {
        if let node { return node.standing }
        if let leader = joining.peerAddress { return .follows(leader: leader, silence: nil) }
        return .leaderless("this node has no events yet, and waits for the other one")
    }

    private func opened() throws(CommandFailure) -> RunningNode {
        guard let node else { throw .notLeading }
        return node
    }
}

extension JoiningNode: RegistryReader {
    func vim(_ id: VIMID) -> VIM? { node?.vim(id) }
    func registeredVIMs() -> [VIM] { node?.registeredVIMs() ?? [] }
    func history(of id: VIMID?) -> [HistoryEntry] { node?.history(of: id) ?? [] }
    func historyEntry(at position: UInt64) -> HistoryEntry? { node?.historyEntry(at: position) }
    func droppedHistory() -> DroppedHistory? { node?.droppedHistory() }
}

extension JoiningNode: VIMRegistrar {
    func register(_ vim: NewVIM, actor: Actor) async throws(CommandFailure) -> VIM {
        try await opened().register(vim, actor: actor)
    }

    func update(
        _ id: VIMID, expectedVersion: UInt32?, edit: VIMEdit, actor: Actor
    ) async throws(CommandFailure) -> VIM {
        try await opened().update(id, expectedVersion: expectedVersion, edit: edit, actor: actor)
    }

    func deregister(_ id: VIMID, actor: Actor) async throws(CommandFailure) -> VIM {
        try await opened().deregister(id, actor: actor)
    }

    func credentials(of id: VIMID) async throws(CommandFailure) -> JSONText {
        try await opened().credentials(of: id)
    }
}
