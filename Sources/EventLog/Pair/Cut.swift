import LMDB

/// Where a log was last cut, and how often: whoever reads beside it sees that the end is another one.
struct CutPlace: Hashable {
    var count: UInt64 = 0
    var position: UInt64 = 0
}

/// Why a log was not cut.
public enum CutError: Error, Hashable, Sendable {
    /// No batch of this log ends there, with that epoch and seal.
    case noEnd(position: UInt64)
    /// Nothing would be left behind the archive, dropped part included, which ends here: such a node has to
    /// be restored from a backup of the other one.
    case archived(position: UInt64, end: UInt64)
    /// The log or the side file could not be read or written; nothing was cut.
    case log(EventLogError)

    /// One sentence: what, and what to do.
    public var sentence: String {
        switch self {
        case .noEnd(let position):
            "no batch of this log ends at position \(position) with the seal of the pair's other node"
        case .archived(let position, let end):
            "the logs of the pair part behind position \(position), and this one is archived up to \(end): "
                + "restore this node from a backup of the other one (vedette restore)"
        case .log(let error): error.sentence
        }
    }
}

// What a standby does with batches that its leader does not have.
extension EventLog {
    /// The folder of the side files.
    public var cutDirectory: String { directory + "/cut" }

    /// Moves all batches behind a mark into a side file (``CutFile``), and ends the log there.
    ///
    /// The side file is durable before the log is cut, in one commit, which also takes a checkpoint away
    /// that shows more. Interrupted anywhere, the log is whole, and the same cut may be made again. The vault
    /// stays as it is: what the leader sends next brings its own. Must be called by the writer;
    /// who reads behind the mark meanwhile gets ``EventLogError/cut(path:to:)``.
    ///
    /// - Parameter mark: ``Head/none``, or the end of a batch that is not archived; its time does not matter.
    /// - Returns: the path of the side file; nil if the log ended at the mark.
    @discardableResult
    public func cut(to mark: Head) throws(CutError) -> String? {
        precondition(isWriter, "only the holder of the directory's lock cuts")
        let target = try cutTarget(mark)
        guard target != head else { return nil }
        do throws(EventLogError) {
            let path = try writeCutFile(behind: target)
            try removeBatches(behind: target)
            return path
        } catch { throw .log(error) }
    }

    /// This log's own head at a mark, if it can be cut there.
    private func cutTarget(_ mark: Head) throws(CutError) -> Head {
        let (archived, own): (UInt64, Head)
        do throws(EventLogError) {
            (archived, own) = try withReader { (transaction) throws(ReadFault) in
                (
                    try self.lastSegment(transaction)?.lastPosition ?? 0,
                    try self.lastEnd(upTo: mark.position, transaction)
                )
            }
        } catch { throw .log(error) }
        guard mark.position > archived || archived == 0 else {
            throw .archived(position: mark.position, end: archived)
        }
        guard own.isSamePlace(as: mark) else { throw .noEnd(position: mark.position) }
        return own
    }

    /// The second half of a cut: one commit.
    func removeBatches(behind target: Head) throws(EventLogError) {
        var place = try cutPlace()
        place.count += 1
        place.position = target.position
        let value = [place.count, place.position].flatMap { number in
            withUnsafeBytes(of: number.littleEndian) { Array($0) }
        }
        let shown = try readStoredCheckpoint()?.checkpoint.position ?? 0
        try write { (transaction) throws(LMDBError) in
            try transaction.removeLast(in: batches) {
                $0.count == 8 && ($0.load(at: 0) as UInt64) > target.position
            }
            if shown > target.position { try transaction.removeAll(in: checkpoints) }
            try put(note: value, EventLog.cutKey, in: transaction)
        }
        moveHead(to: target, cutCount: place.count)
    }

    func cutPlace() throws(EventLogError) -> CutPlace {
        try withReader { (transaction) throws(ReadFault) in try self.cutPlace(transaction) }
    }

    func cutPlace(_ transaction: borrowing ReadTransaction) throws(ReadFault) -> CutPlace {
        guard let stored = try note(EventLog.cutKey, transaction) else { return CutPlace() }
        guard stored.count == 16 else {
            throw .damaged(position: 0, what: "what it says of its last cut has \(stored.count) bytes")
        }
        return stored.withUnsafeBytes { CutPlace(count: $0.load(at: 0), position: $0.load(at: 8)) }
    }
}
