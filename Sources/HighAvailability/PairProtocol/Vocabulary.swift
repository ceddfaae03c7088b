/// Names a log among copies of the same history: 16 random bytes made when its file was.
///
/// `insync` names these and no hosts: a node whose disk was lost, replaced or restored from a backup is not
/// the member it was.
public struct LogIdentity: Hashable, Sendable, CustomStringConvertible {
    /// The 16 bytes.
    public var bytes: SIMD2<UInt64>

    /// The identity of these bytes.
    public init(bytes: SIMD2<UInt64>) { self.bytes = bytes }

    /// Hexadecimal digits that tell it from others, not all.
    public var description: String {
        "\(String(bytes.x, radix: 16))-\(String(bytes.y & 0xFFFF, radix: 16))"
    }
}

/// The end of a batch: two logs with the same mark are identical up to there.
public struct Mark: Hashable, Sendable, CustomStringConvertible {
    /// The position of the batch's last event; 0 before the first batch.
    public var position: UInt64
    /// The epoch that wrote the batch.
    public var epoch: UInt64
    /// The batch's seal, 32 bytes.
    public var seal: SIMD4<UInt64>

    /// All parts at once.
    public init(position: UInt64, epoch: UInt64, seal: SIMD4<UInt64>) {
        self.position = position
        self.epoch = epoch
        self.seal = seal
    }

    /// Position and epoch.
    public var description: String { "\(position) of epoch \(epoch)" }

    /// Where an empty log ends.
    public static let none = Mark(position: 0, epoch: 0, seal: .zero)
}

/// A connection from a leader to its peer (rule 5).
public struct Session: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The leader's epoch.
    public var epoch: UInt64
    /// Rises with each connection of the epoch, from 1.
    public var number: UInt64

    /// All parts at once.
    public init(epoch: UInt64, number: UInt64) {
        self.epoch = epoch
        self.number = number
    }

    /// Epoch and number.
    public var description: String { "\(epoch).\(number)" }

    /// The older of two.
    public static func < (left: Session, right: Session) -> Bool {
        left.epoch != right.epoch ? left.epoch < right.epoch : left.number < right.number
    }

    static let none = Session(epoch: 0, number: 0)
}

/// A batch as it travels: the same bytes as in the sender's log.
public struct ShippedBatch: Hashable, Sendable {
    /// The position before its first event.
    public var before: UInt64
    /// Its own end.
    public var end: Mark
    /// Its value, byte for byte, and what belongs to it; opaque here.
    public var bytes: [UInt8]

    /// All parts at once.
    public init(before: UInt64, end: Mark, bytes: [UInt8]) {
        self.before = before
        self.end = end
        self.bytes = bytes
    }
}

/// What the two nodes tell each other.
///
/// May be lost, late, doubled or in another order.
public enum PairMessage: Hashable, Sendable {
    /// Leader: a session begins (rule 5).
    case hello(Session)
    /// Whoever got a hello that it does not accept: it has promised itself to a later session (rule 6).
    case refusal(Session)
    /// Standby: ends of batches in its log, newest first; which of them has the leader, too (rule 7)?
    case marks(Session, question: UInt64, [Mark])
    /// Leader: the newest of those marks that its durable log has; nil if none.
    case common(Session, question: UInt64, Mark?)
    /// Leader: the next batch (rule 8).
    case batch(Session, ShippedBatch)
    /// Standby: everything up to here is durable in its log (rule 9).
    case stored(Session, end: UInt64, identity: LogIdentity)
    /// Leader: are you there, and will you not take the lead for so long? With its clock when it asked.
    ///
    /// Without a length it is of a build that wants a whole lease's promise, and reads on its lease, too: it
    /// must not be ousted. With the end of what is acknowledged; without it nothing is yet, or the leader is
    /// of a build that does not tell.
    case ping(Session, sent: Duration, promise: Duration?, acknowledged: UInt64?)
    /// Standby: for as long as it was asked, from now on, it will not take the lead.
    case pong(Session, sent: Duration)
    /// Leader: it has left the epoch of this session for good, and no longer trusts what it was promised.
    case released(Session)
}
