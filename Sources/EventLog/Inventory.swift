import LMDB

extension EventLog {
    /// What lies in the file and belongs to nothing, one sentence each: an altered key leaves such an entry.
    public func strayEntries() throws(EventLogError) -> [String] {
        try withReader { (transaction) throws(ReadFault) in
            let known = [
                EventLog.formatKey, EventLog.identityKey, EventLog.checksumKey, EventLog.cutKey,
                EventLog.pairKey,
            ]
            var found = try EventLog.keys(of: self.meta, transaction).filter { !known.contains($0) }.map {
                _ in
                "an entry of the database meta has an unknown name"
            }
            for name in [EventLog.cutKey, EventLog.pairKey] {
                do throws(ReadFault) { _ = try self.note(name, transaction) } catch {
                    guard case .damaged(_, let what) = error else { throw error }
                    found.append(what)
                }
            }
            // The front says how many pieces it has; those in the other half come or go.
            var (half, count) = (CheckpointHalf.lower, UInt32(0))
            do throws(LMDBError) {
                let front = try transaction.copy(of: EventLog.key(0), in: self.checkpoints)
                if let front, front.count >= 16 {
                    half = StoredFront(bytes: front).half
                    count = front.withUnsafeBytes { $0.load(at: 12) as UInt32 } - half.rawValue
                }
            } catch { throw .library(error) }
            for key in try EventLog.keys(of: self.checkpoints, transaction) where key != EventLog.key(0) {
                let isOwned = half.number(ofKey: key).map { $0 <= count } ?? false
                guard !isOwned, half.other.number(ofKey: key) == nil else { continue }
                found.append("a piece of a checkpoint belongs to none: run vedette rebuild")
            }
            if let base = self.base, try self.droppedPart(transaction) == nil,
                try !EventLog.keys(of: base, transaction).isEmpty
            {
                found.append("pieces of a base stand for nothing that was dropped")
            }
            return found
        }
    }

    private static func keys(
        of database: Database, _ transaction: borrowing ReadTransaction
    ) throws(ReadFault) -> [[UInt8]] {
        try transaction.cursor(over: database) { (cursor) throws(ReadFault) in
            var keys: [[UInt8]] = []
            do throws(LMDBError) {
                while let entry = try cursor.next() { keys.append(Array(entry.key)) }
            } catch { throw .library(error) }
            return keys
        }
    }
}
