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

/// The checkpoint's place in the file: a front of 88 bytes under the key 0, and the rows cut into chunks
/// under the keys 1, 2, …; written in one transaction.
///
/// Front, little-endian: position 8, schema 4, chunk count 4, byte count of the rows 8, seal 32, SHA-256 of
/// the 56 bytes before it and the rows 32.
extension EventLog {
    static let checkpointFrontByteCount = 56 + 32

    /// Replaces the stored checkpoint.
    ///
    /// Must be called by the one writer thread.
    public func write(_ checkpoint: Checkpoint) throws(EventLogError) {
        try write { (transaction) throws(LMDBError) in
            try EventLog.store(checkpoint, in: checkpoints, of: transaction)
        }
    }

    /// Throws the stored checkpoint away.
    ///
    /// Must be called by the one writer thread, or beside no server.
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

    /// Writes a front and its chunks in the place of what the database holds.
    ///
    /// - Parameter extra: bytes that follow the front.
    static func store(
        _ checkpoint: Checkpoint, in database: Database, of transaction: borrowing WriteTransaction,
        extra: [UInt8] = []
    ) throws(LMDBError) {
        let chunks = stride(from: 0, to: checkpoint.rows.count, by: Limits.checkpointChunkByteMax).map {
            checkpoint.rows[$0..<min($0 + Limits.checkpointChunkByteMax, checkpoint.rows.count)]
        }
        try transaction.removeAll(in: database)
        try transaction.put(
            front(of: checkpoint) + extra, for: EventLog.key(0), in: database)
        for (index, chunk) in chunks.enumerated() {
            try transaction.put(Array(chunk), for: EventLog.key(index + 1), in: database)
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
            let (position, schema, chunkCount) = stored.withUnsafeBytes {
                ($0.load(at: 0) as UInt64, $0.load(at: 8) as UInt32, $0.load(at: 12) as UInt32)
            }
            var rows: [UInt8] = []
            var readCount: UInt32 = 0
            while readCount < chunkCount,
                let chunk = try transaction.copy(of: EventLog.key(Int(readCount) + 1), in: database)
            {
                rows.append(contentsOf: chunk)
                readCount += 1
            }
            let checkpoint = Checkpoint(position: position, seal: seal, schema: schema, rows: rows)
            // The front repeats chunk count, byte count and checksum: equal fronts mean equal rows.
            let front = EventLog.front(of: checkpoint, chunkCount: Int(readCount))
            return (checkpoint, front == Array(stored[..<checkpointFrontByteCount]))
        } catch { throw .library(error) }
    }

    static func key(_ number: Int) -> [UInt8] {
        withUnsafeBytes(of: UInt32(number).bigEndian) { Array($0) }
    }

    /// The front as ``store(_:in:of:extra:)`` writes it.
    static func front(of checkpoint: Checkpoint) -> [UInt8] {
        let chunkByteMax = Limits.checkpointChunkByteMax
        return front(
            of: checkpoint, chunkCount: (checkpoint.rows.count + chunkByteMax - 1) / chunkByteMax)
    }

    private static func front(of checkpoint: Checkpoint, chunkCount: Int) -> [UInt8] {
        var front = [UInt8](repeating: 0, count: 56)
        front.withUnsafeMutableBytes {
            $0.store(checkpoint.position, at: 0)
            $0.store(checkpoint.schema, at: 8)
            $0.store(UInt32(chunkCount), at: 12)
            $0.store(UInt64(checkpoint.rows.count), at: 16)
            checkpoint.seal.write(to: $0, at: 24)
        }
        var hash = SHA256()
        hash.update(data: front)
        hash.update(data: checkpoint.rows)
        return front + Array(hash.finalize())
    }
}
