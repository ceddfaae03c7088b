import LMDB

/// What an archiving would move.
public struct ArchivePlan: Hashable, Sendable {
    /// How many events.
    public var eventCount: UInt64 = 0
    /// How many bytes their batches have in the data file.
    public var batchByteCount: UInt64 = 0
    /// How many segments they would make; a few more if they compress badly.
    public var segmentCount = 0
}

extension EventLog {
    /// What an archiving of everything committed before a time, in microseconds since 1970, would move.
    public func archivePlan(before time: UInt64) throws(EventLogError) -> ArchivePlan {
        let end = try lastHotPosition(before: time)
        var plan = ArchivePlan()
        var segmentEventCount: UInt64 = 0
        let start = try archivedEnd() + 1
        do throws(ReadError<Never>) {
            try readBatches(from: start) { (batch) throws(Never) -> Bool in
                guard batch.lastPosition <= end else { return false }
                if segmentEventCount == 0 { plan.segmentCount += 1 }
                segmentEventCount += UInt64(batch.header.eventCount)
                if segmentEventCount >= Limits.segmentEventMax { segmentEventCount = 0 }
                plan.eventCount += UInt64(batch.header.eventCount)
                plan.batchByteCount += UInt64(batch.bytes.count)
                return true
            }
        } catch { throw error.error }
        return plan
    }

    /// The position of the last event that was committed before a time, in microseconds since 1970, if it is
    /// not archived yet; else 0.
    public func lastHotPosition(before time: UInt64) throws(EventLogError) -> UInt64 {
        guard time > 0 else { return 0 }
        return try withReader { (transaction) throws(ReadFault) in
            let end = try self.lastSegment(transaction)?.lastPosition ?? 0
            return try self.hotHead(.time(time - 1), after: end, transaction).position
        }
    }

    /// When the first batch was committed that is not archived, in microseconds since 1970; nil if there is
    /// none.
    public func firstHotTime() throws(EventLogError) -> UInt64? {
        try withReader { (transaction) throws(ReadFault) in
            let end = try self.lastSegment(transaction)?.lastPosition ?? 0
            return try transaction.cursor(over: self.batches) { (cursor) throws(ReadFault) in
                guard let entry = try cursor.entry(.holding(end + 1)) else { return nil }
                let batch = try BatchView(entry)
                return batch.firstPosition > end ? batch.header.time : nil
            }
        }
    }
}
