import LMDB
import Samples
import Testing

@testable import EventLog

/// Two logs in directories of their own: a leader's and a standby's.
@discardableResult
func withTwoLogs<Result>(_ body: (_ leader: EventLog, _ standby: EventLog) throws -> Result) throws -> Result
{
    try withFreshLog { leader in try withFreshLog { standby in try body(leader, standby) } }
}

extension EventLog {
    /// Appends a random batch with random changes of the vault; returns what a leader would have sent of it
    /// before it was durable.
    @discardableResult
    func appendAny(epoch: UInt64 = 1, using random: inout SeededGenerator) throws -> TravellingBatch {
        var batch = BatchBuilder(firstPosition: head.position + 1, time: head.time + 10)
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let payload = random.bytes(Int.random(in: 0...300, using: &random))
            payload.withUnsafeBytes {
                _ = batch.append(stream: 1, previousInStream: 0, type: 4, format: 1, payload: $0)
            }
        }
        let isChange = Int.random(in: 0..<3, using: &random) == 0
        let changes = (0..<(isChange ? Int.random(in: 1...3, using: &random) : 0)).map { _ in
            let isDestroyed = Bool.random(using: &random)
            return VaultChange(
                key: [7, UInt8.random(in: 0..<12, using: &random)],
                value: isDestroyed ? nil : random.bytes(Int.random(in: 0...40, using: &random)))
        }
        batch.seal(epoch: max(epoch, head.epoch), after: head)
        let travelling = TravellingBatch(batch, vault: changes)
        _ = try append(sealed: batch, vault: changes)
        return travelling
    }

    /// Ends of the log's batches, hot and cold, from a position on, as it is read.
    func allValues(from position: UInt64 = 1) throws -> [StoredBatch] {
        var found: [StoredBatch] = []
        do throws(ReadError<Never>) {
            try readBatches(from: position, verifyingSeals: true) { (batch) throws(Never) -> Bool in
                found.append(StoredBatch(position: batch.firstPosition, bytes: Array(batch.bytes)))
                return true
            }
        } catch { throw error.error }
        return found
    }

    /// Moves what is up to a position into the archive, in segments of about so many events.
    func archiveAll(upTo end: UInt64, eventMax: UInt64) throws {
        while let segment = try writeSegment(upTo: end, eventMax: eventMax) {
            try append([Said(stream: 0, type: 11)], archive: .enters(segment))
        }
        while try removeArchived() {}
    }

    /// Sends everything that the other log lacks, by portions; returns how many there were.
    @discardableResult
    func shipAll(to standby: EventLog, byteMax: Int) throws -> Int {
        var revision: UInt64?
        var count = 0
        while true {
            let portion = try travellingBatches(
                after: standby.head.position, byteMax: byteMax, knowingVault: revision)
            for batch in portion.batches {
                try standby.append(travelling: try TravellingBatch(bytes: batch.bytes))
            }
            revision = portion.vaultRevision
            count += 1
            if portion.isEnd { return count }
        }
    }
}

/// A sealed batch that is not stored.
func sealed(
    _ events: [Said] = [Said()], after head: Head, time: UInt64? = nil, epoch: UInt64? = nil
) -> BatchBuilder {
    var batch = BatchBuilder(firstPosition: head.position + 1, time: time ?? head.time + 10)
    for event in events {
        event.payload.withUnsafeBytes {
            _ = batch.append(
                stream: event.stream, previousInStream: event.previous, type: event.type,
                format: event.format, payload: $0)
        }
    }
    batch.seal(epoch: epoch ?? max(head.epoch, 1), after: head)
    return batch
}
