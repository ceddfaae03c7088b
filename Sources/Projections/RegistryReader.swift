public import Registry

/// A change worth showing in a VIM's history: what Tacker calls an event.
public struct HistoryEntry: Hashable, Sendable {
    /// What happened.
    public enum Kind: UInt8, Sendable, CaseIterable {
        /// The VIM was registered.
        case create = 1
        /// A user changed it.
        case update = 2
        /// It was deregistered.
        case delete = 3
        /// Its status changed.
        case monitor = 4

        /// The word Tacker's API uses.
        public var word: String {
            switch self {
            case .create: "CREATE"
            case .update: "UPDATE"
            case .delete: "DELETE"
            case .monitor: "MONITOR"
            }
        }
    }

    /// The place of the event in the log; ascending, and the entry's id in the API.
    public var position: UInt64
    /// When it was appended.
    public var time: Timestamp
    /// Which VIM.
    public var vimID: VIMID
    /// What happened.
    public var kind: Kind
    /// The VIM's status right after it.
    public var status: VIMStatus
    /// Why the status changed; unstated unless the kind is ``Kind/monitor``.
    public var finding: ProbeFinding

    /// All parts at once.
    public init(
        position: UInt64, time: Timestamp, vimID: VIMID, kind: Kind, status: VIMStatus, finding: ProbeFinding
    ) {
        self.position = position
        self.time = time
        self.vimID = vimID
        self.kind = kind
        self.status = status
        self.finding = finding
    }
}

/// The part of history that is gone, since its events were dropped.
public struct DroppedHistory: Hashable, Sendable {
    /// The position of the last event that is gone.
    public var lastPosition: UInt64
    /// When it was dropped.
    public var time: Timestamp

    /// All parts at once.
    public init(lastPosition: UInt64, time: Timestamp) {
        (self.lastPosition, self.time) = (lastPosition, time)
    }
}

/// Reads what is durable and acknowledged.
///
/// All calls are fast and never touch the disk.
public protocol RegistryReader: Sendable {
    /// The VIM, also if it was deregistered; nil if there never was one.
    func vim(_ id: VIMID) -> VIM?
    /// All VIMs that are registered, in order of registration.
    func registeredVIMs() -> [VIM]
    /// All entries in order of position; of one VIM if it is named.
    func history(of id: VIMID?) -> [HistoryEntry]
    /// The entry at a position; nil if there is none.
    func historyEntry(at position: UInt64) -> HistoryEntry?
    /// What history does not tell any more; nil if nothing was dropped.
    func droppedHistory() -> DroppedHistory?
}
