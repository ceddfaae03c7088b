import LMDB

#if canImport(Glibc)
    import Glibc
#endif

/// The state that stands in the place of dropped events: unlike a checkpoint, nothing can make it anew.
public struct LogBase: Hashable, Sendable {
    /// The projection's rows as of the last dropped event, with its position and seal.
    public var state: Checkpoint
    /// The seal of the log's very first batch, which names the log.
    public var firstSeal: Seal

    /// All parts at once.
    public init(state: Checkpoint, firstSeal: Seal) {
        self.state = state
        self.firstSeal = firstSeal
    }

    /// The SHA-256 that the event names: of the front's first 56 bytes and the rows.
    public var digest: [UInt8] { Array(EventLog.front(of: state)[56...]) }
}

/// What was dropped from a log.
public struct DroppedPart: Hashable, Sendable {
    /// The position of the last event that is gone.
    public var lastPosition: UInt64
    /// The seal there.
    public var seal: Seal
    /// When it was dropped, in microseconds since 1970.
    public var time: UInt64
    /// The seal of the log's very first batch.
    public var firstSeal: Seal
}

/// A change of the archive, made in the same commit as the event that tells of it.
public enum ArchiveChange: Hashable, Sendable {
    /// A segment that was written (``EventLog/writeSegment(upTo:eventMax:progress:)``): from this commit on
    /// its batches are read from there.
    case enters(SegmentHeader)
    /// A base that takes the place of everything up to its position, where a segment ends.
    case drops(LogBase)
}

/// The end of history: whole segments at the log's beginning are dropped, and a base takes their place.
///
/// The base lies in the database `base` in the form of a checkpoint; its front goes on with the time of the
/// drop (8 bytes) and the first seal (32). Index entries up to its position are tombstones: their files are
/// gone, and their seals carry the chain across the gap.
extension EventLog {
    private static let extraByteCount = 8 + 32

    /// What was dropped; nil if nothing was.
    public func droppedPart() throws(EventLogError) -> DroppedPart? {
        try withReader { (transaction) throws(ReadFault) in try self.droppedPart(transaction) }
    }

    /// The base; nil if nothing was dropped.
    ///
    /// - Throws: ``EventLogError/damaged(path:position:what:)`` if its checksum does not hold.
    public func readBase() throws(EventLogError) -> Checkpoint? {
        try withReader { (transaction) throws(ReadFault) in
            guard let base = self.base,
                let (state, isIntact) = try EventLog.checkpoint(
                    in: base, transaction, extraByteCount: EventLog.extraByteCount)
            else { return nil }
            guard isIntact else {
                throw .damaged(
                    position: state.position, what: "the base, which stands for what was dropped, is altered")
            }
            return state
        }
    }

    /// The segments that may be dropped: those that are there and end at or before a position.
    public func droppableSegments(upTo end: UInt64) throws(EventLogError) -> [SegmentHeader] {
        try archivedSegments().filter { $0.lastPosition <= end }
    }

    /// The same by time, in microseconds since 1970: those whose last batch was committed before it.
    public func droppableSegments(before time: UInt64) throws(EventLogError) -> [SegmentHeader] {
        try archivedSegments().filter { $0.lastTime < time }
    }

    /// The segments that were dropped, in order: only their index entries are left.
    public func tombstones() throws(EventLogError) -> [SegmentHeader] {
        try withReader { (transaction) throws(ReadFault) in
            let end = try self.droppedPart(transaction)?.lastPosition ?? 0
            return try self.allSegments(transaction).filter { $0.lastPosition <= end }
        }
    }

    /// Reads in several steps as if nothing were dropped, or cut, meanwhile: where that overtakes the body,
    /// what it returned or threw says nothing, and it begins anew.
    ///
    /// For whoever reads what is gone then, or compares what was read before with what is there after.
    public func undisturbedByDrops<Result, Failure: Error>(
        _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        while true {
            // If it cannot be read, neither can what the body reads, which says why.
            let before = (try? droppedPart(), try? cutPlace())
            let result = Swift.Result { () throws(Failure) in try body() }
            if (try? droppedPart(), try? cutPlace()) == before { return try result.get() }
        }
    }

    /// The seal of the log's very first batch: all copies of a history share it, whatever they dropped.
    ///
    /// Zero in an empty log.
    public func firstSeal() throws(EventLogError) -> Seal {
        try undisturbedByDrops { () throws(EventLogError) in
            if let dropped = try droppedPart() { return dropped.firstSeal }
            return try head(at: 1).seal
        }
    }

    /// Where reading begins that wants everything from a time on, in microseconds since 1970.
    public func firstPosition(since time: UInt64) throws(EventLogError) -> UInt64 {
        let dropped = try droppedPart()?.lastPosition ?? 0
        guard time > 0 else { return dropped + 1 }
        do throws(EventLogError) { return try max(dropped, head(atTime: time - 1).position) + 1 } catch {
            guard case .dropped = error else { throw error }
            return dropped + 1
        }
    }

    /// Removes the files of segments that were dropped; returns how many could not be.
    ///
    /// The next start tries again.
    @discardableResult
    public func removeDroppedFiles() throws(EventLogError) -> Int {
        var count = 0
        for segment in try tombstones() where unlink(path(of: segment)) != 0 && errno != ENOENT { count += 1 }
        return count
    }

    /// Puts a base in the place of what it stands for, in a commit of its own: for whoever stored the event
    /// that tells of it before.
    ///
    /// The checkpoint, which may show more, goes with it. Must be called by the writer.
    ///
    /// - Parameter time: when it was dropped, as the event says, in microseconds since 1970.
    public func enter(_ base: LogBase, droppedAt time: UInt64) throws(EventLogError) {
        precondition(isWriter, "only the holder of the directory's lock writes")
        let end = base.state.position
        let isEnd = try archivedSegments().contains {
            $0.lastPosition == end && $0.lastSeal == base.state.seal
        }
        precondition(isEnd, "a base stands where a segment ends")
        try write { (transaction) throws(LMDBError) in try enter(base, time: time, in: transaction) }
    }

    func droppedPart(_ transaction: borrowing ReadTransaction) throws(ReadFault) -> DroppedPart? {
        guard let base else { return nil }
        do throws(LMDBError) {
            guard let front = try transaction.copy(of: EventLog.key(0), in: base) else { return nil }
            guard front.count == EventLog.checkpointFrontByteCount + EventLog.extraByteCount else {
                throw LMDBError.corrupted
            }
            return front.withUnsafeBytes {
                DroppedPart(
                    lastPosition: $0.load(at: 0), seal: Seal(reading: $0, at: 24),
                    time: $0.load(at: EventLog.checkpointFrontByteCount),
                    firstSeal: Seal(reading: $0, at: EventLog.checkpointFrontByteCount + 8))
            }
        } catch { throw .library(error) }
    }

    /// Puts a base in the place of what it stands for; the checkpoint, which may show more, goes.
    func enter(
        _ base: LogBase, time: UInt64, in transaction: borrowing WriteTransaction
    ) throws(LMDBError) {
        guard let database = self.base else { throw .invalid }
        try EventLog.store(
            base.state, in: database, of: transaction,
            extra: withUnsafeBytes(of: time.littleEndian) { Array($0) } + base.firstSeal.bytes)
        try transaction.removeAll(in: checkpoints)
    }
}
