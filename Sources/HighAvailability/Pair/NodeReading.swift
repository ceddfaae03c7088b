public import Conductor
import EventLog
public import Projections
public import Registry
import Synchronization

// What doors ask of the node: the conductor's answers while it leads, what it has heard while it follows.
extension RunningNode: RegistryReader {
    /// The VIM, also if it was deregistered; nil if there never was one.
    public func vim(_ id: VIMID) -> VIM? { read { $0.vim(id) } }
    /// All VIMs that are registered, in order of registration.
    public func registeredVIMs() -> [VIM] { read { $0.allVIMs.filter(\.isRegistered) } }
    /// All entries in order of position; of one VIM if it is named.
    public func history(of id: VIMID?) -> [HistoryEntry] { read { $0.history(of: id) } }
    /// The entry at a position; nil if there is none.
    public func historyEntry(at position: UInt64) -> HistoryEntry? { read { $0.historyEntry(at: position) } }
    /// What history does not tell any more; nil if nothing was dropped.
    public func droppedHistory() -> DroppedHistory? {
        // One entry of the data file, which is in memory; damage there is told by those who need it.
        (try? log.droppedPart()).map {
            DroppedHistory(lastPosition: $0.lastPosition, time: Timestamp(microseconds: $0.time))
        }
    }

    private func read<Result>(_ body: (borrowing VIMTable) -> Result) -> Result {
        guard let conductor else { return table.withLock { body($0) } }
        return conductor.read(body)
    }

    /// The conductor of the epoch that this node leads; nil while it does not.
    public var conductor: Conductor? { state.withLock { $0.isServing ? $0.conductor : nil } }
}

extension RunningNode: VIMRegistrar {
    /// Registers a VIM, if this node leads.
    public func register(_ vim: NewVIM, actor: Actor) async throws(CommandFailure) -> VIM {
        try await leading().register(vim, actor: actor)
    }

    /// Changes a VIM, if this node leads.
    public func update(
        _ id: VIMID, expectedVersion: UInt32?, edit: VIMEdit, actor: Actor
    ) async throws(CommandFailure) -> VIM {
        try await leading().update(id, expectedVersion: expectedVersion, edit: edit, actor: actor)
    }

    /// Deregisters a VIM, if this node leads.
    public func deregister(_ id: VIMID, actor: Actor) async throws(CommandFailure) -> VIM {
        try await leading().deregister(id, actor: actor)
    }

    /// The VIM's whole `auth_cred` in clear, if this node leads.
    public func credentials(of id: VIMID) async throws(CommandFailure) -> JSONText {
        try await leading().credentials(of: id)
    }

    private func leading() throws(CommandFailure) -> Conductor {
        guard let conductor else { throw .notLeading }
        return conductor
    }
}
