/// What a state of etcd is called: where it comes from, and how many changes it has seen.
public struct EtcdRevision: Hashable, Sendable {
    /// The cluster's id.
    public var cluster: UInt64
    /// Rises with every change of any key.
    public var number: UInt64

    /// All parts at once.
    public init(cluster: UInt64, number: UInt64) {
        self.cluster = cluster
        self.number = number
    }
}

/// What a node remembers of etcd, so that it knows a state that cannot follow.
public struct EtcdMemory: Hashable, Sendable {
    /// The latest state that was seen.
    public var revision: EtcdRevision
    /// The revision of the latest `insync` that was seen; 0 if none was.
    public var insync: UInt64
    /// Whether that `insync` named this node's log alone.
    public var isAlone: Bool

    /// All parts at once.
    public init(revision: EtcdRevision, insync: UInt64, isAlone: Bool) {
        self.revision = revision
        self.insync = insync
        self.isAlone = isAlone
    }
}

/// The pair's two keys as one transaction, read or watch showed them.
public struct EtcdSnapshot: Hashable, Sendable {
    /// The key `leader`, bound to its holder's lease.
    public struct Leader: Hashable, Sendable {
        /// Who holds it.
        public var identity: LogIdentity
        /// The revision that created it: the epoch.
        public var epoch: UInt64

        /// All parts at once.
        public init(identity: LogIdentity, epoch: UInt64) {
            self.identity = identity
            self.epoch = epoch
        }
    }

    /// The key `insync`: the members that hold every acknowledged event.
    ///
    /// It has no lease.
    public struct Insync: Hashable, Sendable, CustomStringConvertible {
        /// One or two logs.
        public var members: Set<LogIdentity>
        /// The revision of its last change.
        public var revision: UInt64

        /// Members and revision.
        public var description: String { "\(members.text) at \(revision)" }

        /// All parts at once.
        public init(members: Set<LogIdentity>, revision: UInt64) {
            self.members = members
            self.revision = revision
        }
    }

    /// The state that was read.
    public var revision: EtcdRevision
    /// Nil if nobody leads.
    public var leader: Leader?
    /// Nil if the pair was never founded, or somebody removed it.
    public var insync: Insync?

    /// All parts at once.
    public init(revision: EtcdRevision, leader: Leader?, insync: Insync?) {
        self.revision = revision
        self.leader = leader
        self.insync = insync
    }
}

/// A transaction on the pair's keys.
///
/// Each fetches both keys, whether or not its condition holds (rule 1).
public enum EtcdTransaction: Hashable, Sendable, CustomStringConvertible {
    /// Changes nothing.
    case read
    /// If nobody leads, and `insync` names this log and last changed at this revision: `leader` = this log,
    /// on the node's lease.
    case take(insync: UInt64)
    /// If both keys are absent: `leader` = this log on the node's lease, `insync` = this log alone.
    case found
    /// If `leader` was created at this epoch and `insync` last changed at this revision (rule 13):
    /// `insync` = these.
    case setInsync(Set<LogIdentity>, epoch: UInt64, revision: UInt64)
    /// If `leader` was created at this epoch: delete it.
    case release(epoch: UInt64)

    /// What it does, and under which condition.
    public var description: String {
        switch self {
        case .read: "read"
        case .take(let insync): "take the lead, if insync is that of \(insync)"
        case .found: "found the pair"
        case .setInsync(let members, let epoch, let revision):
            "put insync \(members.text), if it is that of \(revision) and the epoch \(epoch)"
        case .release(let epoch): "let go of epoch \(epoch)"
        }
    }
}

/// What became of a transaction.
public struct EtcdAnswer: Hashable, Sendable {
    /// Whether its condition held, so that it was done.
    public var isDone: Bool
    /// Both keys after it.
    public var snapshot: EtcdSnapshot

    /// All parts at once.
    public init(isDone: Bool, snapshot: EtcdSnapshot) {
        self.isDone = isDone
        self.snapshot = snapshot
    }
}

extension Set<LogIdentity> {
    /// In an order that does not change from run to run.
    fileprivate var text: String { "[" + map(\.description).sorted().joined(separator: ", ") + "]" }
}
