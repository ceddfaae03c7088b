import LMDB

extension EventLog {
    /// Writes a consistent copy of the data file to a descriptor, a pipe perhaps, while others write the log;
    /// returns when all of it is written.
    ///
    /// The archive's files are not in it, but its index is: they are immutable, and copied as they are. The
    /// copy holds no free pages, so nothing that was destroyed before it began. It has this log's identity.
    public func copy(to descriptor: Int32) throws(EventLogError) {
        do throws(LMDBError) { try environment.copy(to: descriptor) } catch {
            guard error != .incompatible else {
                throw .damaged(
                    path: path, position: 0, what: "some of its pages belong to nothing, so it has no copy")
            }
            throw EventLogError(error, path: path)
        }
    }

    /// Looks at every page that a copy follows, and at the front of every value; beside whoever writes.
    ///
    /// - Throws: ``EventLogError/damaged(path:position:what:)`` if one is not what it should be.
    public func checkPages() throws(EventLogError) {
        _ = try EventLog.check(.everything, of: environment, path: path)
    }

    /// Gives the log another identity, as a copy that goes its own way must have.
    ///
    /// Must be called by the writer.
    public func renewIdentity() throws(EventLogError) -> [UInt8] {
        var random = SystemRandomNumberGenerator()
        let fresh = (0..<16).map { _ in UInt8.random(in: 0...255, using: &random) }
        try write { (transaction) throws(LMDBError) in
            try transaction.put(fresh, for: EventLog.identityKey, in: meta)
            try transaction.put(
                EventLog.checksum(ofIdentity: fresh), for: EventLog.checksumKey, in: meta)
        }
        return fresh
    }
}
