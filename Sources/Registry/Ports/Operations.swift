/// How far a long operation has come.
public struct OperationProgress: Hashable, Sendable {
    /// What is counted.
    public enum Unit: String, Hashable, Sendable {
        case events, bytes, keys
    }

    /// How much is done.
    public var done: UInt64
    /// How much there is to do, as known now.
    public var total: UInt64
    /// What is counted.
    public var unit: Unit

    /// All parts at once.
    public init(done: UInt64, total: UInt64, unit: Unit) {
        self.done = done
        self.total = total
        self.unit = unit
    }
}

/// Why an operation ended early: one sentence with what to do; what was done before it stays done and whole.
public struct OperationFault: Error, Hashable, Sendable {
    /// One sentence.
    public var sentence: String

    /// A fault with its sentence.
    public init(_ sentence: String) { self.sentence = sentence }
}

/// What an archiving moved.
public struct ArchiveReport: Hashable, Sendable {
    /// Segment files written.
    public var segmentCount = 0
    /// Events moved.
    public var eventCount: UInt64 = 0
    /// Bytes their batches took in the log.
    public var hotByteCount: UInt64 = 0
    /// Bytes the segment files take.
    public var fileByteCount: UInt64 = 0
    /// The last position that is archived now; 0 if none is.
    public var lastPosition: UInt64 = 0

    /// Nothing moved.
    public init() {}
}

/// What a retention rule dropped.
public struct DropReport: Hashable, Sendable {
    /// Segment files deleted.
    public var segmentCount = 0
    /// Events dropped.
    public var eventCount: UInt64 = 0
    /// Bytes the segment files took.
    public var fileByteCount: UInt64 = 0
    /// The last position that is dropped now; 0 if none is.
    public var lastPosition: UInt64 = 0

    /// Nothing dropped.
    public init() {}
}

/// What operators may ask of a running conductor.
public protocol Operations: Sendable {
    /// Moves whole batches committed before a moment into segment files; the log reads on as one.
    func archive(
        before time: Timestamp, actor: Actor, progress: @escaping @Sendable (OperationProgress) -> Void
    ) async throws(OperationFault) -> ArchiveReport

    /// Deletes whole segment files whose events were all committed before a moment; their seals stay.
    func dropArchive(
        before time: Timestamp, actor: Actor, progress: @escaping @Sendable (OperationProgress) -> Void
    ) async throws(OperationFault) -> DropReport

    /// Wraps all data keys anew under a fresh master key, and returns how many; the log is untouched.
    func rotateMasterKey(
        progress: @escaping @Sendable (OperationProgress) -> Void
    ) async throws(OperationFault) -> Int
}
