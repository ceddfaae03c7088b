import LMDB

// What a node of a pair must not forget when it stops; its meaning is the pair's.
extension EventLog {
    /// A pair remembers at most so many bytes: they stand in a page with what names the log.
    public static let pairMemoryByteMax = 1_024

    /// What the pair last stored; nil if it never did.
    ///
    /// - Throws: ``EventLogError/damaged(path:position:what:)`` if it is altered.
    public func pairMemory() throws(EventLogError) -> [UInt8]? {
        try withReader { (transaction) throws(ReadFault) in
            try self.note(EventLog.pairKey, transaction)
        }
    }

    /// Replaces what the pair remembers, at most ``pairMemoryByteMax`` bytes, in a commit of its own.
    ///
    /// Must be called by the writer.
    public func store(pairMemory bytes: [UInt8]) throws(EventLogError) {
        precondition(isWriter, "only the holder of the directory's lock writes")
        precondition(bytes.count <= EventLog.pairMemoryByteMax, "a pair remembers little")
        try write { (transaction) throws(LMDBError) in
            try put(note: bytes, EventLog.pairKey, in: transaction)
        }
    }
}
