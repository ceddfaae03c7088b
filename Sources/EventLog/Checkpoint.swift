import Crypto
import LMDB

/// A projection's rows as of a position: disposable, since the log can always make them anew.
public struct Checkpoint: Hashable, Sendable {
    /// The position the rows reflect.
    public var position: UInt64
    /// The seal at that position: rows of another history are not ours.
    public var seal: Seal
    /// The version of the rows' form; its meaning is the projection's.
    public var schema: UInt32
    /// The rows.
    public var rows: [UInt8]

    /// All parts at once.
    public init(position: UInt64, seal: Seal, schema: UInt32, rows: [UInt8]) {
        self.position = position
        self.seal = seal
        self.schema = schema
        self.rows = rows
    }
}

/// The checkpoint's place in the file: a front of 88 bytes under the key 0, and the rows cut into pieces
/// under the keys 1, 2, …, or 2³¹ + 1, 2³¹ + 2, ….
///
/// Front, little-endian: position 8, schema 4, piece count 4 (its highest bit says where the pieces are),
/// byte count of the rows 8, seal 32, SHA-256 of the 56 bytes before it (without that bit) and the rows 32.
extension EventLog {
    static let checkpointFrontByteCount = 56 + 32

    /// Replaces the stored checkpoint, in one commit.
    ///
    /// Must be called by the writer, or beside no server.
    public func write(_ checkpoint: Checkpoint) throws(EventLogError) {
        try write { (transaction) throws(LMDBError) in
            try EventLog.store(checkpoint, in: checkpoints, of: transaction)
        }
    }

    /// Throws the stored checkpoint away.
    ///
    /// Must be called by the writer, or beside no server.
    public func dropCheckpoint() throws(EventLogError) {
        try write { (transaction) throws(LMDBError) in try transaction.removeAll(in: checkpoints) }
    }

    /// The position of the stored checkpoint, without a look at its rows; 0 if there is none.
    public func checkpointPosition() throws(EventLogError) -> UInt64 {
        try withReader { (transaction) throws(ReadFault) in
            do throws(LMDBError) {
                let front = try transaction.copy(of: EventLog.key(0), in: self.checkpoints) ?? []
                return front.count < 8 ? 0 : front.withUnsafeBytes { $0.load(at: 0) }
            } catch { throw .library(error) }
        }
    }

    /// The stored checkpoint; nil if there is none or its checksum does not hold: then replay everything.
    public func readCheckpoint() throws(EventLogError) -> Checkpoint? {
        guard let (checkpoint, isIntact) = try readStoredCheckpoint(), isIntact else { return nil }
        return checkpoint
    }

    /// The stored checkpoint as it is, and whether its checksum holds; nil if there is none.
    ///
    /// Of damaged rows as much as is there is returned: a comparison can then show what is wrong.
    public func readStoredCheckpoint() throws(EventLogError) -> (checkpoint: Checkpoint, isIntact: Bool)? {
        try withReader { (transaction) throws(ReadFault) in
            try EventLog.checkpoint(in: self.checkpoints, transaction, extraByteCount: 0)
        }
    }

    /// What is stored now, for a draft that is to take its place.
    public func checkpointFront() throws(EventLogError) -> StoredFront {
        try withReader { (transaction) throws(ReadFault) in
            do throws(LMDBError) {
                return StoredFront(bytes: try transaction.copy(of: EventLog.key(0), in: self.checkpoints))
            } catch { throw .library(error) }
        }
    }

    /// Puts the next portion of a draft into the file, or tidies up for it or behind it; true when all is
    /// done.
    ///
    /// One commit, of a megabyte at most. Must be called by the writer.
    ///
    /// Without being stored when all is done, it was overtaken: another process has rebuilt. After that, as
    /// after an error, the draft is of no use any more, and the next one takes its pieces away.
    public func advance(_ draft: inout CheckpointDraft) throws(EventLogError) -> Bool {
        if draft.isStored || draft.pieceCount == 0, try removeStalePieces() { return false }
        guard !draft.isStored else { return true }
        var isOvertaken = false
        try write { (transaction) throws(LMDBError) in
            let present = try transaction.copy(of: EventLog.key(0), in: checkpoints)
            isOvertaken = present != draft.replaced.bytes
            guard !isOvertaken else { return }
            for (key, value) in draft.portion { try transaction.put(value, for: key, in: checkpoints) }
            if draft.isLast { try transaction.put(draft.front, for: EventLog.key(0), in: checkpoints) }
        }
        guard !isOvertaken else { return true }
        draft.advance()
        return false
    }

    /// Removes pieces that the stored checkpoint does not own, some thousand at most; true if it removed any.
    private func removeStalePieces() throws(EventLogError) -> Bool {
        let stale = try checkpointFront().half.other
        let isAny = try withReader { (transaction) throws(ReadFault) in
            try transaction.cursor(over: self.checkpoints) { (cursor) throws(ReadFault) in
                let entry: Cursor.Entry?
                do throws(LMDBError) {
                    // The front, if there is one, is the first entry.
                    if stale == .lower { _ = try cursor.next() }
                    entry = try stale == .lower ? cursor.next() : cursor.last()
                } catch { throw .library(error) }
                return entry.map { stale.number(ofKey: $0.key) != nil } ?? false
            }
        }
        guard isAny else { return false }
        try write { (transaction) throws(LMDBError) in
            _ = try transaction.removeFirst(
                Limits.removedPieceMax, in: checkpoints, from: stale.key(ofPiece: 0)
            ) { stale.number(ofKey: $0) != nil }
        }
        return true
    }

    /// Writes a front and its pieces in the place of what the database holds.
    ///
    /// - Parameter extra: bytes that follow the front.
    static func store(
        _ checkpoint: Checkpoint, in database: Database, of transaction: borrowing WriteTransaction,
        extra: [UInt8] = []
    ) throws(LMDBError) {
        try transaction.removeAll(in: database)
        try transaction.put(front(of: checkpoint) + extra, for: EventLog.key(0), in: database)
        for index in 0..<pieceCount(of: checkpoint) {
            try transaction.put(
                piece(index, of: checkpoint), for: CheckpointHalf.lower.key(ofPiece: index), in: database)
        }
    }

    /// What ``store(_:in:of:extra:)`` wrote, and whether its checksum holds; nil if there is nothing.
    static func checkpoint(
        in database: Database, _ transaction: borrowing ReadTransaction, extraByteCount: Int
    ) throws(ReadFault) -> (checkpoint: Checkpoint, isIntact: Bool)? {
        do throws(LMDBError) {
            guard let stored = try transaction.copy(of: EventLog.key(0), in: database) else { return nil }
            guard stored.count == checkpointFrontByteCount + extraByteCount,
                let seal = Seal(bytes: stored[24..<56])
            else { return (Checkpoint(position: 0, seal: .none, schema: 0, rows: []), false) }
            let (position, schema, rawCount, half) = stored.withUnsafeBytes {
                (
                    $0.load(at: 0) as UInt64, $0.load(at: 8) as UInt32, $0.load(at: 12) as UInt32,
                    CheckpointHalf(ofFront: $0)
                )
            }
            var rows: [UInt8] = []
            var readCount = 0
            while readCount < rawCount & ~CheckpointHalf.upper.rawValue,
                let piece = try transaction.copy(of: half.key(ofPiece: readCount), in: database)
            {
                rows.append(contentsOf: piece)
                readCount += 1
            }
            let checkpoint = Checkpoint(position: position, seal: seal, schema: schema, rows: rows)
            // The front repeats piece count, byte count and checksum: equal fronts mean equal rows.
            let front = EventLog.front(of: checkpoint, pieceCount: readCount, in: half)
            return (checkpoint, front == Array(stored[..<checkpointFrontByteCount]))
        } catch { throw .library(error) }
    }

    static func key(_ number: UInt32) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }

    static func pieceCount(of checkpoint: Checkpoint) -> Int {
        (checkpoint.rows.count + Limits.checkpointPieceByteMax - 1) / Limits.checkpointPieceByteMax
    }

    static func piece(_ index: Int, of checkpoint: Checkpoint) -> [UInt8] {
        let start = index * Limits.checkpointPieceByteMax
        return Array(
            checkpoint.rows[start..<min(start + Limits.checkpointPieceByteMax, checkpoint.rows.count)])
    }

    /// The front of a checkpoint whose pieces are in a half of the keys.
    static func front(of checkpoint: Checkpoint, in half: CheckpointHalf = .lower) -> [UInt8] {
        front(of: checkpoint, pieceCount: pieceCount(of: checkpoint), in: half)
    }

    private static func front(
        of checkpoint: Checkpoint, pieceCount: Int, in half: CheckpointHalf
    ) -> [UInt8] {
        var front = [UInt8](repeating: 0, count: 56)
        front.withUnsafeMutableBytes {
            $0.store(checkpoint.position, at: 0)
            $0.store(checkpoint.schema, at: 8)
            $0.store(UInt32(pieceCount), at: 12)
            $0.store(UInt64(checkpoint.rows.count), at: 16)
            checkpoint.seal.write(to: $0, at: 24)
        }
        var hash = SHA256()
        hash.update(data: front)
        hash.update(data: checkpoint.rows)
        // Behind the hash, which names the rows wherever their pieces are.
        front.withUnsafeMutableBytes { $0.store(UInt32(pieceCount) | half.rawValue, at: 12) }
        return front + Array(hash.finalize())
    }
}
