import LMDB
import Samples
import Testing

@testable import EventLog

/// Opens the log in a directory, hands it to the body and lets it go.
@discardableResult
func withLog<Result>(
    in directory: String, _ access: EventLog.Access = .write, mapByteCount: Int = 1 << 30,
    _ body: (EventLog) throws -> Result
) throws -> Result {
    let log = try EventLog(directory: directory, access: access, mapByteCount: mapByteCount)
    return try body(log)
}

/// A new log in a fresh directory.
@discardableResult
func withFreshLog<Result>(
    mapByteCount: Int = 1 << 30, _ body: (EventLog) throws -> Result
) throws -> Result {
    try withTemporaryDirectory { try withLog(in: $0, mapByteCount: mapByteCount, body) }
}

/// What an event says, as a value that can be compared.
struct Said: Hashable {
    var stream: UInt32 = 1
    var previous: UInt64 = 0
    var type: UInt16 = 4
    var format: UInt8 = 1
    var payload: [UInt8] = []
}

extension Said {
    init(_ event: RecordedEvent) {
        self.init(
            stream: event.envelope.stream, previous: event.envelope.previousInStream,
            type: event.envelope.type, format: event.envelope.format, payload: Array(event.payload))
    }
}

extension EventLog {
    /// Appends a batch behind the head.
    @discardableResult
    func append(
        _ events: [Said], time: UInt64? = nil, epoch: UInt64? = nil, vault: [VaultChange] = [],
        archive: ArchiveChange? = nil
    ) throws(EventLogError) -> Head {
        var batch = BatchBuilder(firstPosition: head.position + 1, time: time ?? head.time + 10)
        for event in events {
            event.payload.withUnsafeBytes {
                _ = batch.append(
                    stream: event.stream, previousInStream: event.previous, type: event.type,
                    format: event.format, payload: $0)
            }
        }
        return try append(&batch, epoch: epoch ?? max(head.epoch, 1), vault: vault, archive: archive)
    }

    /// All events from a position.
    func events(from position: UInt64 = 1, verifyingSeals: Bool = true) throws -> [Said] {
        var events: [Said] = []
        var next = max(position, 1)
        do throws(ReadError<Never>) {
            try readEvents(from: position, verifyingSeals: verifyingSeals) { (event) throws(Never) -> Bool in
                if event.position != next {
                    Issue.record("position \(event.position) was read where \(next) was next")
                }
                next += 1
                events.append(Said(event))
                return true
            }
        } catch { throw error.error }
        return events
    }

    /// What is wrong with the log; nil if every seal holds.
    func damage(from position: UInt64 = 1, verifyingSeals: Bool = true) -> EventLogError? {
        do {
            _ = try events(from: position, verifyingSeals: verifyingSeals)
            return nil
        } catch { return error as? EventLogError }
    }

    /// The stored value of the batch that begins at a position.
    func storedBatch(_ position: UInt64) throws -> [UInt8]? {
        try look { (transaction) throws(LMDBError) in
            try transaction.copy(of: littleEndianBytes(position), in: batches)
        }
    }

    /// Overwrites what is stored, as no caller can.
    func tamper(with position: UInt64, _ value: [UInt8]?) throws {
        try change { (transaction) throws(LMDBError) in
            if let value {
                try transaction.put(value, for: littleEndianBytes(position), in: batches)
            } else {
                try transaction.remove(littleEndianBytes(position), in: batches)
            }
        }
    }

    func look<Result>(
        _ body: (borrowing ReadTransaction) throws(LMDBError) -> Result
    ) throws(LMDBError) -> Result {
        do throws(TransactionError<LMDBError>) { return try environment.read(body) } catch {
            throw error.error
        }
    }

    func change(_ body: (borrowing WriteTransaction) throws(LMDBError) -> Void) throws(LMDBError) {
        do throws(TransactionError<LMDBError>) { try environment.write(body) } catch { throw error.error }
    }
}

func littleEndianBytes(_ number: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: number.littleEndian) { Array($0) }
}

extension EventLogError {
    /// The position a damage is said to be at; nil for any other error.
    var damagedPosition: UInt64? {
        if case .damaged(_, let position, _) = self { position } else { nil }
    }
}
