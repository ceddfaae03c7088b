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
    // never changes until deinit.
    private let handle: OpaquePointer
    /// Transactions share it; whoever moves the map has it alone.
    private let mapGate = MapGate()
    private let mapByteMax: Int
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

        /// Options with a map of so many bytes.
        public init(mapByteCount: Int, readOnly: Bool = false) {
            self.mapByteCount = mapByteCount
            self.readOnly = readOnly
        }
    }

    /// Opens or creates the data file at `path` (lock file: the same name with `-lock`).
    public init(path: String, options: Options) throws(LMDBError) {
        var handle: OpaquePointer?
        try check(mdb_env_create(&handle))
        guard let handle else { throw LMDBError(code: ENOMEM) }
        self.handle = handle
        self.path = path
        mapByteMax = options.mapByteCount
        // From here on a throw runs deinit, which closes.
        try check(mdb_env_set_mapsize(handle, AddressSpace.mapByteCount(most: mapByteMax, path: path)))
        try check(mdb_env_set_maxdbs(handle, options.databaseCountMax))
        // A failed assertion means a damaged page; after this call the library aborts the process.
        try check(mdb_env_set_assert(handle) { _, _ in MapGuard.end() })
        var flags = UInt32(MDB_NOTLS | MDB_NOSUBDIR)
        if options.readOnly { flags |= UInt32(MDB_RDONLY) }
        try check(mdb_env_open(handle, path, flags, options.mode))
    }

    deinit { mdb_env_close(handle) }

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
        var flags: UInt32 = 0
        var stored: UInt32 = 0
        try check(mdb_env_get_flags(handle, &stored))
        let readOnly = stored & UInt32(MDB_RDONLY) != 0
        if !readOnly { flags |= UInt32(MDB_CREATE) }
        if integerKeys { flags |= UInt32(MDB_INTEGERKEY) }
        try mapGate.enter()
        defer { mapGate.leave() }
        let transaction = try begin(flags: readOnly ? UInt32(MDB_RDONLY) : 0)
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
