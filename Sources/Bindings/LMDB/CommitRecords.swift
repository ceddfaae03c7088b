#if canImport(Glibc)
    import Glibc
#endif

/// Makes commits durable with one sync each, where LMDB makes two: one for the pages, one for the page that
/// says where they begin.
///
/// LMDB keeps the two apart for the power cut between them: the roots must not lead to pages that were never
/// written. Here all is written and synced at once (`MDB_NOSYNC`, then `fdatasync`), and beside the roots
/// stands a record of what the pages are. After a power cut the last commit is whole, or it was answered to
/// nobody and is taken back: the other roots, of the state before, are durable, and LMDB has written over
/// none of its pages. ext4's journal does so with checksums of its own (`journal_async_commit`).
///
/// A commit follows a state that is durable and whose own record says that records follow, so that a missing
/// one tells, too. Whoever notes nothing, an earlier version, may commit behind a closed record.
final class CommitRecords {
    private let descriptor: Int32
    private let start: MachineStart
    private let file: PageFile
    /// Keeps this process's threads apart; `flock` keeps other processes out.
    private let turn = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    /// The number of the last state that is durable by what was done here.
    private var lastDurable: UInt64?
    private var hasFailed = false
    /// Where pages of that state lead, since many of them are what the next commit replaces.
    private var known: [UInt64: PageLinks] = [:]

    /// - Parameter canWrite: false to look only.
    init(path: String, canWrite: Bool, start: MachineStart) throws(LMDBError) {
        self.start = start
        descriptor = open(path, (canWrite ? O_RDWR : O_RDONLY) | O_CLOEXEC)
        let code = errno
        pthread_mutex_init(turn, nil)
        guard descriptor >= 0, let file = try? PageFile(path: path) else {
            Glibc.close(descriptor)
            turn.deallocate()
            throw LMDBError(code: code)
        }
        self.file = file
    }

    deinit {
        Glibc.close(descriptor)
        pthread_mutex_destroy(turn)
        turn.deallocate()
    }

    /// Runs a transaction to its commit, and returns when that is durable.
    ///
    /// Only one thread of one process does at a time.
    ///
    /// - Throws: besides what the commit throws, ``LMDBError/panic`` if it is not known whether it is
    ///   durable.
    func recording<Result, Failure: Error>(
        _ commit: () throws(TransactionError<Failure>) -> Result
    ) throws(TransactionError<Failure>) -> Result {
        enterGate()
        defer { leaveGate() }
        let before: Roots
        do throws(LMDBError) { before = try prepare() } catch { throw .library(error) }
        let result = try commit()
        guard conclude(after: before) else {
            hasFailed = true
            throw .library(.panic)
        }
        return result
    }

    /// Makes the last state durable, and one that a recorded commit may follow.
    func syncState() throws(LMDBError) {
        enterGate()
        defer { leaveGate() }
        _ = try prepare()
    }

    /// Runs the body while nobody commits: all that it reads is durable.
    ///
    /// - Throws: ``LMDBError/busy`` if a commit is on its way for so long, or came to no end.
    func readingDurable<Result, Failure: Error>(
        seconds: Int = 10, _ body: () throws(Failure) -> Result
    ) throws(TransactionError<Failure>) -> Result {
        // Not waiting in the kernel: the writer may be frozen in the middle of a commit.
        var isAlone = false
        for _ in 0..<seconds * 1_000 {
            isAlone = flock(descriptor, LOCK_SH | LOCK_NB) == 0
            if isAlone { break }
            usleep(1_000)
        }
        guard isAlone else { throw .library(.busy) }
        defer { flock(descriptor, LOCK_UN) }
        let former: CommitRecord?
        do throws(PageFault) {
            let (last, before) = try file.lastRoots()
            former = try formerOfUnrecorded(last, before)
        } catch { throw .library(.corrupted) }
        guard former == nil else { throw .library(.busy) }
        do throws(PageFault) { try sync() } catch { throw .library(.inputOutput) }
        do throws(Failure) { return try body() } catch { throw .body(error) }
    }

    /// The record of the state before, if the last one should have one by it and has none.
    private func formerOfUnrecorded(
        _ last: Roots, _ before: Roots
    ) throws(PageFault) -> CommitRecord? {
        guard try last.record() == nil, last.transaction == before.transaction + 1,
            let former = try before.record(), former.kind != .closed
        else { return nil }
        return former
    }

    /// Makes the last state one that a recorded commit may follow, and returns its roots.
    private func prepare() throws(LMDBError) -> Roots {
        guard !hasFailed else { throw .panic }
        do throws(PageFault) {
            let last = try file.lastRoots().last
            if last.transaction != lastDurable {
                // Another process's.
                known = [:]
                try sync()
            }
            let record = try last.record()
            if record == nil || record?.kind == .closed || record?.start != start {
                try write(CommitRecord(.opened, last.transaction, start: start), beside: last)
                try sync()
            }
            lastDurable = last.transaction
            return last
        } catch { throw .inputOutput }
    }

    /// Notes what was written, and syncs it; false if it is not known whether it is durable.
    private func conclude(after before: Roots) -> Bool {
        guard let last = try? file.lastRoots().last else { return false }
        // Nothing was changed.
        if last.transaction == before.transaction { return true }
        do throws(PageFault) {
            try note(last, after: before)
            return true
        } catch {
            // After a failed sync the kernel takes the pages for written: nobody may build on them.
            try? takeBack(last, to: before)
            return false
        }
    }

    private func note(_ last: Roots, after before: Roots) throws(PageFault) {
        let digest = try CommitPages.digest(of: file, from: before, to: last, known: &known)
        try write(CommitRecord(.committed, last.transaction, start: start, digest: digest), beside: last)
        try sync()
        lastDurable = last.transaction
        // Reaches the disk with the next commit, or some seconds later: from then on nothing that was
        // answered is taken for torn, and a page of it that is not what it was is damage.
        try? write(CommitRecord(.opened, last.transaction, start: start), beside: last)
    }

    /// Notes that all is durable, so that who notes nothing may go on.
    func end() {
        enterGate()
        defer { leaveGate() }
        guard !hasFailed else { return }
        // If it fails, the record that is there says as much.
        guard let last = try? file.lastRoots().last, let kind = try? last.record()?.kind, kind != .closed,
            last.transaction == lastDurable
        else { return }
        try? write(CommitRecord(.closed, last.transaction, start: start), beside: last)
        try? sync()
    }

    /// Looks whether only part of the last commit was written; before LMDB opens the file.
    ///
    /// False while somebody commits: it is theirs to see to.
    func isLastCommitTorn() throws(PageFault) -> Bool {
        guard flock(descriptor, LOCK_SH | LOCK_NB) == 0 else { return false }
        defer { flock(descriptor, LOCK_UN) }
        // What else is wrong with the first pages is told by whoever reads them next.
        guard let (last, before) = try? file.lastRoots() else { return false }
        return try isTorn(last, before)
    }

    private func isTorn(_ last: Roots, _ before: Roots) throws(PageFault) -> Bool {
        if let former = try formerOfUnrecorded(last, before) {
            // A process that was killed before it noted its commit had made all of it: the cache has it.
            return !isOfThisStart(former)
        }
        guard let record = try last.record(), record.kind == .committed else { return false }
        var known: [UInt64: PageLinks] = [:]
        // Where a page is not what it should be its digest would not be either.
        let digest = try? CommitPages.digest(of: file, from: before, to: last, known: &known)
        if digest == record.digest { return false }
        // The page cache has lost nothing since.
        guard !isOfThisStart(record) else {
            throw PageFault(page: last.page, "pages of the commit that it tells of were altered")
        }
        return true
    }

    private func isOfThisStart(_ record: CommitRecord) -> Bool {
        record.start == start && start != MachineStart(0)
    }

    /// Takes the last commit back if it is torn: the state before is the last one again.
    func takeBack() throws(PageFault) {
        enterGate()
        defer { leaveGate() }
        let (last, before) = try file.lastRoots()
        guard try isTorn(last, before) else { return }
        guard before.transaction > 0, last.transaction == before.transaction + 1 else {
            throw PageFault(page: last.page, "it is of a commit that cannot be taken back")
        }
        try takeBack(last, to: before)
    }

    /// The roots of the state before go into both pages, in the torn one's under the number before its own,
    /// since numbers alternate.
    private func takeBack(_ torn: Roots, to before: Roots) throws(PageFault) {
        // First, so that the torn one is known as such however often this is interrupted. Where the device
        // fails the roots are changed nevertheless, for whoever finds them in the page cache.
        try write(CommitRecord(.opened, before.transaction, start: MachineStart(0)), beside: before)
        let isSynced = Result { () throws(PageFault) in try sync() }
        let (roots, transaction) = (try file.page(before.page), before.transaction - 1)
        var bytes = Array(try file.page(torn.page)[..<CommitRecord.range.upperBound])
        bytes.replaceSubrange(Roots.range, with: roots[Roots.range])
        withUnsafeBytes(of: transaction.littleEndian) {
            bytes.replaceSubrange(Roots.transactionRange, with: $0)
        }
        bytes.replaceSubrange(CommitRecord.range, with: repeatElement(0, count: CommitRecord.range.count))
        try write(bytes, to: torn.page, at: 0)
        try sync()
        try isSynced.get()
    }

    private func write(_ record: CommitRecord, beside roots: Roots) throws(PageFault) {
        let bytes = withUnsafeBytes(of: record.words) { Array($0) }
        try write(bytes, to: roots.page, at: CommitRecord.range.lowerBound)
    }

    private func write(_ bytes: [UInt8], to page: UInt64, at offset: Int) throws(PageFault) {
        let place = off_t(Int(page) * file.pageByteCount + offset)
        guard pwrite(descriptor, bytes, bytes.count, place) == bytes.count else {
            throw PageFault(page: page, "it cannot be written (\(String(cString: strerror(errno))))")
        }
    }

    private func sync() throws(PageFault) {
        guard fdatasync(descriptor) == 0 else {
            throw PageFault(page: nil, "it cannot be synced (\(String(cString: strerror(errno))))")
        }
    }

    private func enterGate() {
        pthread_mutex_lock(turn)
        while flock(descriptor, LOCK_EX) != 0, errno == EINTR {}
    }

    private func leaveGate() {
        flock(descriptor, LOCK_UN)
        pthread_mutex_unlock(turn)
    }
}
