import LMDB
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// The cold part of the log: immutable files, each a run of whole batches, and their index.
///
/// The index lies in the data file (database `segments`; key: first position, value: a copy of the file's
/// header), so that one transaction says what is hot and what is cold. The cold part reaches from the first
/// position to the last one of the last segment; batches up to there that the data file still holds are
/// leftovers, which nobody reads and ``removeArchived(batchMax:)`` removes.
extension EventLog {
    /// The folder of the segments' files.
    public var archiveDirectory: String { directory + "/archive" }

    /// The path of a segment's file.
    public func path(of segment: SegmentHeader) -> String { archiveDirectory + "/" + segment.fileName }

    /// All segments in order, without those that were dropped.
    public func archivedSegments() throws(EventLogError) -> [SegmentHeader] {
        try withReader { (transaction) throws(ReadFault) in
            let dropped = try self.droppedPart(transaction)?.lastPosition ?? 0
            return try self.allSegments(transaction).filter { $0.firstPosition > dropped }
        }
    }

    /// The position up to which the log is archived; 0 if it is not.
    public func archivedEnd() throws(EventLogError) -> UInt64 {
        try withReader { (transaction) throws(ReadFault) in
            try self.lastSegment(transaction)?.lastPosition ?? 0
        }
    }

    /// Whether the caller is the one to archive now, from a segment's writing until it is entered; then
    /// ``endArchiving()`` must follow.
    public func beginArchiving() -> Bool { !isArchiving.exchange(true, ordering: .acquiring) }

    /// Lets somebody else archive.
    public func endArchiving() { isArchiving.store(false, ordering: .releasing) }

    /// Writes the next segment's file: whole batches from the first one that is not archived, none of them
    /// beyond `end`, as many as one segment takes.
    ///
    /// Nothing refers to the file until its header is given to ``append(_:epoch:vault:archive:)`` or
    /// ``enter(_:)-(SegmentHeader)``. May run beside the writer, but not twice at once
    /// (``beginArchiving()``).
    ///
    /// - Parameter progress: told the last position read; false gives the segment up.
    /// - Returns: nil if there is no such batch, or it was given up.
    public func writeSegment(
        upTo end: UInt64, eventMax: UInt64 = Limits.segmentEventMax,
        progress: ((UInt64) -> Bool)? = nil
    ) throws(EventLogError) -> SegmentHeader? {
        guard let encoder = try encodeSegment(upTo: end, eventMax: eventMax, progress) else { return nil }
        let (header, table, body): (SegmentHeader, [UInt8], [UInt8])
        do throws(SegmentFault) { (header, table, body) = try encoder.finish() } catch {
            throw EventLogError(error, path: archiveDirectory)
        }
        let path = path(of: header)
        try makeArchiveDirectory()
        try refuseForeign(path, header)
        try SegmentFile.write(to: path) { (write) throws(EventLogError) in
            for part in [header.bytes, table, body] { try write(part) }
        } check: { (temporary) throws(EventLogError) in
            // Equal seals mean equal bytes: the whole file is decoded and led to the seal that the log has.
            do throws(SegmentFault) {
                var reader = try SegmentReader(path: temporary, expected: header)
                while try reader.next() != nil {}
            } catch { throw EventLogError(error, path: temporary) }
        }
        try EventLog.syncDirectory(archiveDirectory)
        return header
    }

    private func encodeSegment(
        upTo end: UInt64, eventMax: UInt64, _ progress: ((UInt64) -> Bool)?
    ) throws(EventLogError) -> SegmentEncoder? {
        let last: SegmentHeader? = try withReader { (transaction) throws(ReadFault) in
            try self.lastSegment(transaction)
        }
        let start = (last?.lastPosition ?? 0) + 1
        guard start <= end else { return nil }
        var encoder: SegmentEncoder?
        var isGivenUp = false
        do throws(ReadError<SegmentFault>) {
            try readBatches(from: start, verifyingSeals: true) { (batch) throws(SegmentFault) -> Bool in
                guard batch.lastPosition <= end,
                    !(encoder.map { $0.isFull || $0.eventCount >= eventMax } ?? false)
                else { return false }
                if encoder == nil { encoder = SegmentEncoder(first: batch, after: last?.lastSeal ?? .none) }
                try encoder?.add(batch)
                isGivenUp = !(progress?(batch.lastPosition) ?? true)
                return !isGivenUp
            }
        } catch {
            switch error {
            case .log(let error): throw error
            case .body(let fault): throw EventLogError(fault, path: path)
            }
        }
        return isGivenUp ? nil : encoder
    }

    /// A file that no index knows is a leftover of ours, or somebody put it there.
    private func refuseForeign(_ path: String, _ header: SegmentHeader) throws(EventLogError) {
        guard access(path, F_OK) == 0 else { return }
        let found = try? SegmentHeader(reading: SegmentFile(path: path).read(SegmentHeader.byteCount, at: 0))
        guard let found, found.sealBefore == header.sealBefore else {
            throw .directory(
                path: directory,
                reason: "holds \(path), which is in the way and belongs to another log: move it elsewhere")
        }
    }

    private func makeArchiveDirectory() throws(EventLogError) {
        if mkdir(archiveDirectory, 0o700) == 0 { return try EventLog.syncDirectory(directory) }
        guard errno == EEXIST else { throw SegmentFile.failure(archiveDirectory) }
    }

    /// Enters a segment that was written, in a commit of its own: for whoever stored the event that tells of
    /// it before.
    ///
    /// Must be called by the writer.
    public func enter(_ segment: SegmentHeader) throws(EventLogError) {
        precondition(isWriter, "only the holder of the directory's lock writes")
        try checkUncut(segment)
        try write { (transaction) throws(LMDBError) in try enter(segment, in: transaction) }
    }

    /// Refuses a segment that was written before the log was cut.
    func checkUncut(_ segment: SegmentHeader) throws(EventLogError) {
        guard try newestCommon(of: [segment.head]) == nil else { return }
        throw .cut(path: path, to: try cutPlace().position)
    }

    func enter(
        _ segment: SegmentHeader, in transaction: borrowing WriteTransaction
    ) throws(LMDBError) {
        guard let segments else { throw .invalid }
        let key = withUnsafeBytes(of: segment.firstPosition) { Array($0) }
        try transaction.put(segment.bytes, for: key, in: segments)
    }

    /// Removes batches from the data file that a segment holds, the oldest first, at most so many; true if
    /// there may be more.
    ///
    /// Must be called by the writer; each call is a commit of its own, so that appends can go
    /// between.
    public func removeArchived(batchMax: Int = Limits.removedBatchMax) throws(EventLogError) -> Bool {
        let end = try archivedEnd()
        guard end > 0 else { return false }
        let isLeftover = try withReader { (transaction) throws(ReadFault) in
            try transaction.cursor(over: self.batches) { (cursor) throws(ReadFault) in
                try cursor.entry(.next).map { (entry) throws(ReadFault) in
                    try BatchView(entry).firstPosition <= end
                } ?? false
            }
        }
        guard isLeftover else { return false }
        var count = 0
        try write { (transaction) throws(LMDBError) in
            count = try transaction.removeFirst(batchMax, in: self.batches) {
                $0.count == 8 && ($0.load(at: 0) as UInt64) <= end
            }
        }
        return count == batchMax
    }

    /// Throws away what an interrupted archiving left: files that have no final name, and segments that the
    /// index does not know although the data file holds all their batches; the files that an interrupted
    /// dropping left; and side files that are not whole.
    func removeOrphans() throws(EventLogError) {
        try removeDroppedFiles()
        for name in EventLog.names(in: cutDirectory) where name.hasSuffix(SegmentFile.temporarySuffix) {
            unlink(cutDirectory + "/" + name)
        }
        let known = Set(try (archivedSegments() + tombstones()).map(\.fileName))
        for name in EventLog.names(in: archiveDirectory) where !known.contains(name) {
            let path = archiveDirectory + "/" + name
            if name.hasSuffix(SegmentHeader.fileSuffix + SegmentFile.temporarySuffix) {
                unlink(path)
            } else if name.hasSuffix(SegmentHeader.fileSuffix) {
                guard
                    let header = try? SegmentHeader(
                        reading: SegmentFile(path: path).read(SegmentHeader.byteCount, at: 0)),
                    header.firstPosition > (try archivedEnd()),
                    let head = try? head(at: header.lastPosition), head == header.head
                else { continue }
                unlink(path)
            }
        }
    }
}

extension EventLog {
    /// The whole index in order, tombstones included.
    func allSegments(_ transaction: borrowing ReadTransaction) throws(ReadFault) -> [SegmentHeader] {
        guard let segments else { return [] }
        return try transaction.cursor(over: segments) { (cursor) throws(ReadFault) in
            var found: [SegmentHeader] = []
            while let entry = try cursor.entry(.next) { found.append(try SegmentHeader(entry)) }
            return found
        }
    }

    /// The last segment; nil if nothing is archived.
    func lastSegment(_ transaction: borrowing ReadTransaction) throws(ReadFault) -> SegmentHeader? {
        guard let segments else { return nil }
        return try transaction.cursor(over: segments) { (cursor) throws(ReadFault) in
            try cursor.entry(.last).map { (entry) throws(ReadFault) in try SegmentHeader(entry) }
        }
    }

    /// The segment that holds a position; nil if the data file does, or nobody.
    func segment(
        holding position: UInt64, _ transaction: borrowing ReadTransaction
    ) throws(ReadFault) -> SegmentHeader? {
        guard let last = try lastSegment(transaction), position <= last.lastPosition, position > 0,
            let segments
        else { return nil }
        if position >= last.firstPosition { return last }
        return try transaction.cursor(over: segments) { (cursor) throws(ReadFault) in
            do throws(LMDBError) { _ = try cursor.seek(position + 1) } catch { throw .library(error) }
            guard let before = try cursor.entry(.previous) else {
                throw .damaged(position: position, what: "the archive begins after it")
            }
            let found = try SegmentHeader(before)
            guard position <= found.lastPosition else {
                throw .damaged(position: position, what: "no segment of the archive holds it")
            }
            return found
        }
    }

    /// The seal before the batch that begins at a position.
    func seal(
        before position: UInt64, _ transaction: borrowing ReadTransaction
    ) throws(ReadFault) -> Seal? {
        guard position > 1 else { return Seal.none }
        if let segment = try segment(holding: position - 1, transaction) {
            return segment.lastPosition == position - 1 ? segment.lastSeal : nil
        }
        return try transaction.cursor(over: batches) { (cursor) throws(ReadFault) in
            try cursor.entry(.holding(position - 1)).map { (entry) throws(ReadFault) in
                try BatchView(entry).header.seal
            }
        }
    }
}

extension SegmentHeader {
    /// Reads the index's entry.
    init(_ entry: Cursor.Entry) throws(ReadFault) {
        let position: UInt64 = entry.key.count == 8 ? entry.key.load(at: 0) : 0
        do throws(SegmentFault) { try self.init(reading: Array(entry.value)) } catch {
            switch error {
            case .newer(let version):
                throw .damaged(position: position, what: "its archive has the later format \(version)")
            case .damaged(let what, _):
                throw .damaged(
                    position: position, what: "the entry of an archived segment is damaged: \(what)")
            }
        }
        guard firstPosition == position else {
            throw .damaged(position: firstPosition, what: "an archived segment is entered under \(position)")
        }
    }
}
