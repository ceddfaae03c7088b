import CLMDB

#if canImport(Glibc)
    import Glibc
#endif

/// One LMDB file and its lock file, opened once in this process.
///
/// LMDB's rules, and how they are kept (`lmdb.h`, "Caveats"):
/// - A file must not be opened twice in one process: its owner asserts that, see `EventLog`.
/// - A write transaction belongs to the thread that began it: ``write(_:)`` runs its body synchronously
///   on the calling thread, and there is one such thread.
/// - A reader belongs to no thread here (`MDB_NOTLS`), so Swift tasks may hop between reads; a body
///   never suspends while its transaction is open, so no reader lives long.
public final class Environment: @unchecked Sendable {
    // Sendable because LMDB environments may be used by any thread (`mdb_env_create`), and the pointer
    // never changes until deinit; `records` is set once, and keeps its callers apart.
    private let handle: OpaquePointer
    /// Transactions share it; whoever moves the map has it alone.
    private let mapGate = MapGate()
    private let mapByteMax: Int
    private let options: Options
    /// Nil if LMDB syncs by itself.
    private var records: CommitRecords?
    /// The path of the data file.
    public let path: String

    /// How an environment is opened.
    public struct Options: Sendable {
        /// Only read; the lock file must still be writable.
        public var readOnly = false
        /// The most bytes the file may have.
        ///
        /// So much address space is set aside, and the file grows within it as it is used. Where the
        /// machine gives less, a smaller map is made, and ``Environment/growMap()`` makes it larger when
        /// it is full.
        public var mapByteCount: Int
        /// How many named databases there may be.
        public var databaseCountMax: UInt32 = 8
        /// Permission bits of new files.
        public var mode: UInt32 = 0o600
        /// How commits become durable.
        public var durability = Durability.twoSyncs
        /// Which start of the machine this is; goes into records of commits.
        public var start = MachineStart.current

        /// Options with a map of so many bytes.
        public init(mapByteCount: Int, readOnly: Bool = false) {
            self.mapByteCount = mapByteCount
            self.readOnly = readOnly
        }
    }

    /// How commits become durable.
    public enum Durability: Sendable {
        /// As LMDB does it: the pages, then the page that says where they begin.
        case twoSyncs
        /// All at once, with a record that tells after a power cut whether all was written.
        ///
        /// Before such a file is opened, see ``isLastCommitWhole(of:start:)``.
        ///
        /// - Parameter isLast: whether nobody else writes when this environment ends.
        case recorded(isLast: Bool)
    }

    /// Opens or creates the data file at `path` (lock file: the same name with `-lock`).
    public init(path: String, options: Options) throws(LMDBError) {
        var handle: OpaquePointer?
        try check(mdb_env_create(&handle))
        guard let handle else { throw LMDBError(code: ENOMEM) }
        self.handle = handle
        self.path = path
        self.options = options
        mapByteMax = options.mapByteCount
        // From here on a throw runs deinit, which closes.
        try check(mdb_env_set_mapsize(handle, AddressSpace.mapByteCount(most: mapByteMax, path: path)))
        try check(mdb_env_set_maxdbs(handle, options.databaseCountMax))
        // A failed assertion means a damaged page; after this call the library aborts the process.
        try check(mdb_env_set_assert(handle) { _, _ in MapGuard.end() })
        var flags = UInt32(MDB_NOTLS | MDB_NOSUBDIR)
        if options.readOnly { flags |= UInt32(MDB_RDONLY) }
        if isRecorded { flags |= UInt32(MDB_NOSYNC) }
        try check(mdb_env_open(handle, path, flags, options.mode))
        if isRecorded { records = try CommitRecords(path: path, canWrite: true, start: options.start) }
    }

    deinit {
        if isLast { records?.end() }
        mdb_env_close(handle)
    }

    private var isRecorded: Bool {
        if case .recorded = options.durability { !options.readOnly } else { false }
    }
    private var isLast: Bool {
        if case .recorded(isLast: true) = options.durability { true } else { false }
    }

    /// Runs a read transaction; nothing read may leave the body except as a copy.
    public func read<Result, Failure: Error>(
        _ body: (borrowing ReadTransaction) throws(Failure) -> Result
    ) throws(TransactionError<Failure>) -> Result {
        let transaction: ReadTransaction
        do throws(LMDBError) { try mapGate.enter() } catch { throw .library(error) }
        defer { mapGate.leave() }
        do throws(LMDBError) {
            transaction = try ReadTransaction(handle: begin(flags: UInt32(MDB_RDONLY)))
        } catch { throw .library(error) }
        do throws(Failure) { return try body(transaction) } catch { throw .body(error) }
    }

    /// Runs a write transaction on the calling thread and commits it, with a full sync, if the body
    /// returns; aborts it if the body throws.
    public func write<Result, Failure: Error>(
        _ body: (borrowing WriteTransaction) throws(Failure) -> Result
    ) throws(TransactionError<Failure>) -> Result {
        guard let records else { return try commit(body) }
        return try records.recording { () throws(TransactionError<Failure>) in try commit(body) }
    }

    private func commit<Result, Failure: Error>(
        _ body: (borrowing WriteTransaction) throws(Failure) -> Result
    ) throws(TransactionError<Failure>) -> Result {
        let transaction: WriteTransaction
        do throws(LMDBError) { try mapGate.enter() } catch { throw .library(error) }
        defer { mapGate.leave() }
        do throws(LMDBError) {
            transaction = try WriteTransaction(handle: begin(flags: 0))
        } catch { throw .library(error) }
        let result: Result
        do throws(Failure) { result = try body(transaction) } catch { throw .body(error) }
        do throws(LMDBError) { try transaction.commit() } catch { throw .library(error) }
        return result
    }

    /// Opens a named database, creating it if the environment may be written.
    ///
    /// Not inside a transaction.
    public func database(_ name: String, integerKeys: Bool = false) throws(LMDBError) -> Database {
        let flags = integerKeys ? UInt32(MDB_INTEGERKEY) : 0
        do throws(LMDBError) { return try openDatabase(name, flags, isReading: true) } catch {
            guard error == .notFound, !options.readOnly else { throw error }
        }
        do throws(TransactionError<LMDBError>) {
            guard let records else { return try makeDatabase(name, flags) }
            return try records.recording { () throws(TransactionError<LMDBError>) in
                try makeDatabase(name, flags)
            }
        } catch { throw error.error }
    }

    private func makeDatabase(
        _ name: String, _ flags: UInt32
    ) throws(TransactionError<LMDBError>) -> Database {
        do throws(LMDBError) {
            return try openDatabase(name, flags | UInt32(MDB_CREATE), isReading: false)
        } catch { throw .library(error) }
    }

    private func openDatabase(
        _ name: String, _ flags: UInt32, isReading: Bool
    ) throws(LMDBError) -> Database {
        try mapGate.enter()
        defer { mapGate.leave() }
        let transaction = try begin(flags: isReading ? UInt32(MDB_RDONLY) : 0)
        var identifier: MDB_dbi = 0
        let code = mdb_dbi_open(transaction, name, flags, &identifier)
        guard code == MDB_SUCCESS else {
            mdb_txn_abort(transaction)
            throw LMDBError(code: code)
        }
        // Committing is what makes the handle known to later transactions, also for a reader.
        try check(mdb_txn_commit(transaction))
        return Database(identifier: identifier)
    }

    /// Makes durable what was found, which may be in the page cache alone.
    ///
    /// The first commit does so, too.
    public func syncState() throws(LMDBError) { try records?.syncState() }

    /// Looks whether a file's last commit reached the disk as a whole, if its commits were recorded.
    ///
    /// Before the file is opened: LMDB follows its pages.
    ///
    /// - Returns: false if it did not, and was answered to nobody; ``takeBackLastCommit(of:start:)`` helps.
    public static func isLastCommitWhole(of path: String, start: MachineStart) throws(PageFault) -> Bool {
        guard let records = try? CommitRecords(path: path, canWrite: false, start: start) else { return true }
        return try !records.isLastCommitTorn()
    }

    /// Runs the body while nobody commits to a file: all that it reads is durable, where else it might be
    /// what a power cut takes back.
    ///
    /// - Throws: ``LMDBError/busy`` if a commit is on its way for ten seconds, or came to no end.
    public static func readingDurable<Result, Failure: Error>(
        of path: String, _ body: () throws(Failure) -> Result
    ) throws(TransactionError<Failure>) -> Result {
        let records: CommitRecords
        do throws(LMDBError) {
            records = try CommitRecords(path: path, canWrite: false, start: .current)
        } catch { throw .library(error) }
        return try records.readingDurable(body)
    }

    /// Takes the last commit back if it did not reach the disk as a whole; while nobody else writes the file.
    public static func takeBackLastCommit(of path: String, start: MachineStart) throws(LMDBError) {
        let records = try CommitRecords(path: path, canWrite: true, start: start)
        do throws(PageFault) { try records.takeBack() } catch { throw .inputOutput }
    }

    /// Writes a compact copy of the data file, as one transaction sees it, to a descriptor; returns when all
    /// of it is written.
    ///
    /// Free pages are left out, and of the others what is not in use. As long as it runs, LMDB reuses no page
    /// that it may still need.
    public func copy(to descriptor: Int32) throws(LMDBError) {
        try mapGate.enter()
        defer { mapGate.leave() }
        try check(mdb_env_copyfd2(handle, descriptor, UInt32(MDB_CP_COMPACT)))
    }

    /// Checks that the file's pages are the trees that LMDB takes them for, before anything follows them; see
    /// `PageCheck`.
    ///
    /// Reads every page that says where others are: of a log about one in two hundred.
    ///
    /// - Parameter isThorough: also looks at the front of every value of many pages, as
    ///   ``Cursor/hasItsPages(_:)`` does of one.
    /// - Returns: whether a later commit was undone: its pages are there, under the number of an earlier one.
    ///   LMDB writes that number back if the commit's last write fails; a flipped bit may do the same.
    @discardableResult
    public func checkPages(isThorough: Bool) throws(TransactionError<PageFault>) -> Bool {
        while true {
            let isUndone = try read { (transaction) throws(PageFault) in
                try PageCheck.run(path: path, transaction: transaction.id, isThorough: isThorough)
            }
            // Overtaken by a writer: the state it has made by now is as good.
            if let isUndone { return isUndone }
        }
    }

    /// Makes the map so many bytes large, or takes over the size another process gave it (0).
    ///
    /// Waits until no transaction of this process is open.
    ///
    /// - Throws: ENOMEM, with the map as it was, if the address space has no room.
    public func resizeMap(to byteCount: Int) throws(LMDBError) {
        try mapGate.close()
        defer { mapGate.leave() }
        // The library lets go of the map before it makes the new one, and has none if that fails.
        guard byteCount == 0 || AddressSpace.hasRoom(for: byteCount) else { throw .noMemory }
        try check(mdb_env_set_mapsize(handle, byteCount))
    }

    /// Makes a full map larger, if a smaller one was made at first than the options allow.
    ///
    /// False if it is as large as it may become; not inside a transaction.
    public func growMap() -> Bool {
        let now = usage.mapByteCount
        // Doubled; where that has no room, by less.
        for wish in [now * 2, now + now / 2, now + now / 8] {
            let byteCount = AddressSpace.roundedToPages(min(wish, mapByteMax))
            if byteCount > now, (try? resizeMap(to: byteCount)) != nil { return true }
        }
        return false
    }

    /// The size of the map in bytes, and how many bytes of it the file uses.
    public var usage: (mapByteCount: Int, usedByteCount: Int) {
        var info = MDB_envinfo()
        var statistics = MDB_stat()
        mdb_env_info(handle, &info)
        mdb_env_stat(handle, &statistics)
        return (info.me_mapsize, (info.me_last_pgno + 1) * Int(statistics.ms_psize))
    }

    /// Frees reader slots left behind by processes that died; returns how many.
    @discardableResult
    public func freeDeadReaders() throws(LMDBError) -> Int {
        var count: Int32 = 0
        try check(mdb_reader_check(handle, &count))
        return Int(count)
    }

    private func begin(flags: UInt32) throws(LMDBError) -> OpaquePointer {
        var transaction: OpaquePointer?
        var code = mdb_txn_begin(handle, nil, flags, &transaction)
        if code == MDB_MAP_RESIZED {
            // Another process grew the file beyond our map: take its size over and try once more.
            mapGate.leave()
            let moved = Result { () throws(LMDBError) in try resizeMap(to: 0) }
            try mapGate.enter()
            try moved.get()
            code = mdb_txn_begin(handle, nil, flags, &transaction)
        }
        try check(code)
        guard let transaction else { throw LMDBError(code: ENOMEM) }
        return transaction
    }
}

/// A named database within an environment.
public struct Database: Sendable {
    let identifier: MDB_dbi
}

/// Why a transaction did not end well: the library failed, or its body did.
public enum TransactionError<Failure: Error>: Error {
    /// LMDB could not begin or commit.
    case library(LMDBError)
    /// The body threw; a write transaction was aborted.
    case body(Failure)
}

extension TransactionError where Failure == LMDBError {
    /// The one error, whichever side it came from.
    public var error: LMDBError {
        switch self {
        case .library(let error), .body(let error): error
        }
    }
}
