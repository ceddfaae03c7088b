/// What every answer of etcd begins with.
public struct EtcdHeader: Hashable, Sendable {
    /// The cluster that answered.
    public var cluster: UInt64
    /// The state that the answer shows: rises by one with each transaction that changes a key.
    public var revision: UInt64
    /// The term of Raft that the answering member is in.
    public var term: UInt64

    /// All parts at once.
    public init(cluster: UInt64, revision: UInt64, term: UInt64) {
        self.cluster = cluster
        self.revision = revision
        self.term = term
    }
}

/// A key with its value.
public struct EtcdKeyValue: Hashable, Sendable {
    /// The key; bytes that are no UTF-8 are replaced.
    public var key: String
    /// The value.
    public var value: [UInt8]
    /// The revision that created the key, since it was absent last.
    public var created: UInt64
    /// The revision of its last put.
    public var modified: UInt64
    /// The lease it is on; 0 if none.
    public var lease: Int64

    /// All parts at once.
    public init(key: String, value: [UInt8], created: UInt64, modified: UInt64, lease: Int64) {
        self.key = key
        self.value = value
        self.created = created
        self.modified = modified
        self.lease = lease
    }
}

/// A condition of a transaction; revision 0 is that of an absent key.
public enum EtcdComparison: Hashable, Sendable {
    /// The key was created at this revision.
    case created(String, at: UInt64)
    /// The key was last changed at this revision.
    case modified(String, at: UInt64)
    /// The key has this value.
    case value(String, [UInt8])
}

/// A step of a transaction; later steps see what earlier ones did.
public enum EtcdOperation: Hashable, Sendable {
    /// Fetches a key.
    case get(String)
    /// Fetches all keys that begin so, in their order.
    case list(prefix: String)
    /// Gives a key a value, and binds it to a lease; 0 takes it off any.
    case put(String, [UInt8], lease: Int64)
    /// Removes a key, if it is there.
    case delete(String)

    var isRead: Bool {
        switch self {
        case .get, .list: true
        case .put, .delete: false
        }
    }
}

/// What became of a transaction.
public struct EtcdOutcome: Hashable, Sendable {
    /// The state right after it.
    public var header: EtcdHeader
    /// Whether all conditions held.
    public var isDone: Bool
    /// What each `get` and `list` of the branch that was taken found, in their order.
    public var found: [[EtcdKeyValue]]

    /// All parts at once.
    public init(header: EtcdHeader, isDone: Bool, found: [[EtcdKeyValue]]) {
        self.header = header
        self.isDone = isDone
        self.found = found
    }
}

/// A lease as it was granted.
public struct EtcdLease: Hashable, Sendable {
    /// Its number.
    public var id: Int64
    /// How long it outlives its last renewal: whole seconds, and at least the least that etcd allows.
    public var timeToLive: Duration

    /// All parts at once.
    public init(id: Int64, timeToLive: Duration) {
        self.id = id
        self.timeToLive = timeToLive
    }
}
