import CLMDB

/// Reads one unchanging state of an environment.
///
/// Ends with its scope.
public struct ReadTransaction: ~Copyable {
    private let handle: OpaquePointer

    init(handle: OpaquePointer) { self.handle = handle }

    deinit { mdb_txn_abort(handle) }

    /// The number of the state that it reads; each commit makes the next.
    var id: UInt64 { UInt64(bitPattern: Int64(mdb_txn_id(handle))) }

    /// Hands the value of a key to the body, which must not keep the bytes; nil if the key is not there.
    public func withValue<Result, Failure: Error>(
        of key: UnsafeRawBufferPointer, in database: Database,
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(TransactionError<Failure>) -> Result? {
        let found: UnsafeRawBufferPointer?
        do throws(LMDBError) { found = try value(of: key, in: database, transaction: handle) } catch {
            throw .library(error)
        }
        guard let found else { return nil }
        do throws(Failure) { return try body(found) } catch { throw .body(error) }
    }

    /// A copy of the value of a key; nil if the key is not there.
    public func copy(of key: some Sequence<UInt8>, in database: Database) throws(LMDBError) -> [UInt8]? {
        try copied(key, database, handle)
    }

    /// Hands a cursor over a database to the body; it ends with the body.
    public func withCursor<Result, Failure: Error>(
        over database: Database, _ body: (borrowing Cursor) throws(Failure) -> Result
    ) throws(TransactionError<Failure>) -> Result {
        let cursor: Cursor
        do throws(LMDBError) { cursor = try Cursor(transaction: handle, database: database) } catch {
            throw .library(error)
        }
        do throws(Failure) { return try body(cursor) } catch { throw .body(error) }
    }
}

/// Writes; aborted at the end of its scope unless it was committed.
public struct WriteTransaction: ~Copyable {
    private let handle: OpaquePointer

    init(handle: OpaquePointer) { self.handle = handle }

    deinit { mdb_txn_abort(handle) }

    consuming func commit() throws(LMDBError) {
        let handle = self.handle
        // The library frees the transaction whether or not the commit succeeds.
        discard self
        try check(mdb_txn_commit(handle))
    }

    /// How a value is put.
    public enum Placement: Sendable {
        /// Replace what the key has.
        case replace
        /// The key is greater than all others: fills pages completely.
        case append
    }

    /// Stores a value under a key.
    public func put(
        _ value: UnsafeRawBufferPointer, for key: UnsafeRawBufferPointer, in database: Database,
        placement: Placement = .replace
    ) throws(LMDBError) {
        var keyBytes = MDB_val(key)
        var valueBytes = MDB_val(value)
        let flags = placement == .append ? UInt32(MDB_APPEND) : 0
        try check(mdb_put(handle, database.identifier, &keyBytes, &valueBytes, flags))
    }

    /// Stores copies of bytes.
    public func put(_ value: [UInt8], for key: [UInt8], in database: Database) throws(LMDBError) {
        try withBytes(value, key) { value, key throws(LMDBError) in try put(value, for: key, in: database) }
    }

    /// Sets room for a value of so many bytes aside under a new greatest key and lets the body fill it,
    /// so that the bytes are written once, straight into the page.
    public func append(
        byteCount: Int, for key: UnsafeRawBufferPointer, in database: Database,
        fill: (UnsafeMutableRawBufferPointer) -> Void
    ) throws(LMDBError) {
        var keyBytes = MDB_val(key)
        var valueBytes = MDB_val(mv_size: byteCount, mv_data: nil)
        let flags = UInt32(MDB_APPEND | MDB_RESERVE)
        try check(mdb_put(handle, database.identifier, &keyBytes, &valueBytes, flags))
        fill(UnsafeMutableRawBufferPointer(start: valueBytes.mv_data, count: byteCount))
    }

    /// Removes a key; false if it was not there.
    @discardableResult
    public func remove(_ key: [UInt8], in database: Database) throws(LMDBError) -> Bool {
        let code = key.withUnsafeBytes { bytes in
            var keyBytes = MDB_val(bytes)
            return mdb_del(handle, database.identifier, &keyBytes, nil)
        }
        if code == MDB_NOTFOUND { return false }
        try check(code)
        return true
    }

    /// Removes the entries with the smallest keys, so many at most and as long as the body wants it, and
    /// returns how many.
    public func removeFirst(
        _ countMax: Int, in database: Database, while isWanted: (_ key: UnsafeRawBufferPointer) -> Bool
    ) throws(LMDBError) -> Int {
        try remove(MDB_FIRST, [], countMax, in: database, while: isWanted)
    }

    /// The same from a key on.
    public func removeFirst(
        _ countMax: Int, in database: Database, from start: [UInt8],
        while isWanted: (_ key: UnsafeRawBufferPointer) -> Bool
    ) throws(LMDBError) -> Int {
        try remove(MDB_SET_RANGE, start, countMax, in: database, while: isWanted)
    }

    /// Removes the entries with the greatest keys, as long as the body wants it.
    public func removeLast(
        in database: Database, while isWanted: (_ key: UnsafeRawBufferPointer) -> Bool
    ) throws(LMDBError) {
        _ = try remove(MDB_LAST, [], .max, in: database, while: isWanted)
    }

    private func remove(
        _ end: MDB_cursor_op, _ start: [UInt8], _ countMax: Int, in database: Database,
        while isWanted: (_ key: UnsafeRawBufferPointer) -> Bool
    ) throws(LMDBError) -> Int {
        var cursor: OpaquePointer?
        try check(mdb_cursor_open(handle, database.identifier, &cursor))
        defer { mdb_cursor_close(cursor) }
        for count in 0..<countMax {
            var key = MDB_val()
            var value = MDB_val()
            // The key is given only to be looked for: what comes back points into the map.
            let code = start.withUnsafeBytes { bytes in
                key = MDB_val(bytes)
                return mdb_cursor_get(cursor, &key, &value, end)
            }
            if code == MDB_NOTFOUND { return count }
            try check(code)
            guard isWanted(UnsafeRawBufferPointer(key)) else { return count }
            try checkPages(of: value, key, in: database)
            try check(mdb_cursor_del(cursor, 0))
        }
        return countMax
    }

    /// Removes all keys of a database whose values were put once.
    public func removeAll(in database: Database) throws(LMDBError) {
        var cursor: OpaquePointer?
        try check(mdb_cursor_open(handle, database.identifier, &cursor))
        defer { mdb_cursor_close(cursor) }
        var key = MDB_val()
        var value = MDB_val()
        while case let code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT), code != MDB_NOTFOUND {
            try check(code)
            try checkPages(of: value, key, in: database)
        }
        try check(mdb_drop(handle, database.identifier, 0))
    }

    /// Refuses to free a value whose first page tells another number of pages than it takes.
    ///
    /// The library believes that number: pages of other values, or any number up to four billion, would be
    /// taken for free and written over.
    private func checkPages(of value: MDB_val, _ key: MDB_val, in database: Database) throws(LMDBError) {
        let pageByteCount = try PageFile.pageByteCount(of: handle, database)
        let front = PageFile.frontByteCount
        // A node of more bytes has its value on pages of its own (`mdb.c`, `me_nodemax`).
        let nodeByteMax = (pageByteCount - front) / 2 / 2 * 2 - 2
        guard 8 + key.mv_size + value.mv_size > nodeByteMax, let data = value.mv_data else { return }
        guard PageFile.isFront(ofValue: data, byteCount: value.mv_size, pageByteCount: pageByteCount) else {
            throw .corrupted
        }
    }

    /// A copy of the value of a key, as this transaction left it; nil if the key is not there.
    public func copy(of key: some Sequence<UInt8>, in database: Database) throws(LMDBError) -> [UInt8]? {
        try copied(key, database, handle)
    }
}

/// Walks the entries of a database in the order of their keys.
///
/// The bytes handed out live as long as the read transaction; the caller must not keep them.
public struct Cursor: ~Copyable {
    private let handle: OpaquePointer
    private let pageByteCount: Int

    /// One entry, pointing into the map.
    public struct Entry {
        /// The key's bytes.
        public let key: UnsafeRawBufferPointer
        /// The value's bytes.
        public let value: UnsafeRawBufferPointer
    }

    init(transaction: OpaquePointer, database: Database) throws(LMDBError) {
        let pageByteCount = try PageFile.pageByteCount(of: transaction, database)
        var handle: OpaquePointer?
        try check(mdb_cursor_open(transaction, database.identifier, &handle))
        guard let handle else { throw LMDBError.invalid }
        self.handle = handle
        self.pageByteCount = pageByteCount
    }

    deinit { mdb_cursor_close(handle) }

    /// The entry with the smallest key.
    public func first() throws(LMDBError) -> Entry? { try move(MDB_FIRST) }
    /// The entry with the greatest key.
    public func last() throws(LMDBError) -> Entry? { try move(MDB_LAST) }
    /// The entry after the present one; the first if there is none yet.
    public func next() throws(LMDBError) -> Entry? { try move(MDB_NEXT) }
    /// The entry before the present one.
    public func previous() throws(LMDBError) -> Entry? { try move(MDB_PREV) }

    /// The entry with the smallest key that is not less than `key` (databases with integer keys).
    public func seek(_ key: UInt64) throws(LMDBError) -> Entry? {
        try withUnsafeBytes(of: key) { bytes throws(LMDBError) in
            try move(MDB_SET_RANGE, from: MDB_val(bytes))
        }
    }

    /// Whether a value that fills pages of its own begins on the page that its entry names, and that page
    /// says so, and how many they are; true of any other value.
    ///
    /// Reading believes the entry alone, and freeing the page. For values that never change: one that became
    /// shorter keeps its pages.
    public func hasItsPages(_ entry: Entry) -> Bool {
        // The key lies in its leaf, with its node's flags before it and the page's number behind it.
        guard let key = entry.key.baseAddress, let value = entry.value.baseAddress,
            (key - 4).loadUnaligned(as: UInt16.self) & TreePage.ownPages != 0
        else { return true }
        return (value - PageFile.frontByteCount).loadUnaligned(as: UInt64.self)
            == (key + entry.key.count).loadUnaligned(as: UInt64.self)
            && PageFile.isFront(ofValue: value, byteCount: entry.value.count, pageByteCount: pageByteCount)
    }

    private func move(_ operation: MDB_cursor_op, from start: MDB_val = MDB_val()) throws(LMDBError) -> Entry?
    {
        var key = start
        var value = MDB_val()
        let code = mdb_cursor_get(handle, &key, &value, operation)
        if code == MDB_NOTFOUND { return nil }
        try check(code)
        return Entry(key: UnsafeRawBufferPointer(key), value: UnsafeRawBufferPointer(value))
    }
}

extension MDB_val {
    fileprivate init(_ bytes: UnsafeRawBufferPointer) {
        self.init(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
    }
}

extension UnsafeRawBufferPointer {
    fileprivate init(_ value: MDB_val) { self.init(start: value.mv_data, count: value.mv_size) }
}

extension PageFile {
    fileprivate static func pageByteCount(
        of transaction: OpaquePointer, _ database: Database
    ) throws(LMDBError) -> Int {
        var statistics = MDB_stat()
        try check(mdb_stat(transaction, database.identifier, &statistics))
        return Int(statistics.ms_psize)
    }

    /// Whether the page before a value that fills pages of its own says what it is, and how many they are.
    fileprivate static func isFront(
        ofValue value: UnsafeRawPointer, byteCount: Int, pageByteCount: Int
    ) -> Bool {
        let front = value - frontByteCount
        return (front + 10).loadUnaligned(as: UInt16.self) == valueFlag
            && Int((front + 12).loadUnaligned(as: UInt32.self))
                == (frontByteCount - 1 + byteCount) / pageByteCount + 1
    }
}

private func value(
    of key: UnsafeRawBufferPointer, in database: Database, transaction: OpaquePointer
) throws(LMDBError) -> UnsafeRawBufferPointer? {
    var keyBytes = MDB_val(key)
    var valueBytes = MDB_val()
    let code = mdb_get(transaction, database.identifier, &keyBytes, &valueBytes)
    if code == MDB_NOTFOUND { return nil }
    try check(code)
    return UnsafeRawBufferPointer(valueBytes)
}

private func copied(
    _ key: some Sequence<UInt8>, _ database: Database, _ transaction: OpaquePointer
) throws(LMDBError) -> [UInt8]? {
    try withBytes([], Array(key)) { _, key throws(LMDBError) in
        try value(of: key, in: database, transaction: transaction).map { Array($0) }
    }
}

private func withBytes<Result>(
    _ first: [UInt8], _ second: [UInt8],
    _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(LMDBError) -> Result
) throws(LMDBError) -> Result {
    // withUnsafeBytes rethrows untyped, hence the detour through Result.
    let result = first.withUnsafeBytes { first in
        second.withUnsafeBytes { second in
            Swift.Result { () throws(LMDBError) in try body(first, second) }
        }
    }
    return try result.get()
}
