import CLMDB

#if canImport(Glibc)
    import Glibc
#endif

/// What the C library answered instead of success; keeps the raw number (`lmdb.h`, "Return Codes").
public struct LMDBError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The library's code (negative) or an errno (positive).
    public let code: Int32

    /// Keeps a code as it is.
    public init(code: Int32) { self.code = code }

    /// The key is not there.
    public static let notFound = LMDBError(code: MDB_NOTFOUND)
    /// The key is there already, or is not greater than the last one of an appending write.
    public static let keyExists = LMDBError(code: MDB_KEYEXIST)
    /// The map is full; it grows with ``Environment/resizeMap(to:)``.
    public static let mapFull = LMDBError(code: MDB_MAP_FULL)
    /// Another process made the map larger.
    public static let mapResized = LMDBError(code: MDB_MAP_RESIZED)
    /// A page is not what it should be.
    public static let corrupted = LMDBError(code: MDB_CORRUPTED)
    /// A page that is referred to does not exist.
    public static let pageNotFound = LMDBError(code: MDB_PAGE_NOTFOUND)
    /// The file is no LMDB file.
    public static let invalid = LMDBError(code: MDB_INVALID)
    /// The file is of another LMDB version.
    public static let versionMismatch = LMDBError(code: MDB_VERSION_MISMATCH)
    /// The file's pages are not what its records say: of a compact copy, that pages were lost.
    public static let incompatible = LMDBError(code: MDB_INCOMPATIBLE)
    /// A step before it failed unseen: of those who never go on after an error, on a page that leads nowhere.
    public static let badTransaction = LMDBError(code: MDB_BAD_TXN)
    /// A tree has more levels than any could: its pages lead in a circle.
    public static let cursorFull = LMDBError(code: MDB_CURSOR_FULL)
    /// The environment failed for good: only opening it anew helps.
    public static let panic = LMDBError(code: MDB_PANIC)
    /// No room on the device.
    public static let noSpace = LMDBError(code: ENOSPC)
    /// The user's quota is used up.
    public static let quotaExceeded = LMDBError(code: EDQUOT)
    /// The file may not grow any more (`ulimit -f`, or the file system's own limit).
    public static let fileTooLarge = LMDBError(code: EFBIG)
    /// The file system takes no writes.
    public static let readOnlyFileSystem = LMDBError(code: EROFS)
    /// The device failed to read or write.
    public static let inputOutput = LMDBError(code: EIO)
    /// Somebody is at work for too long.
    public static let busy = LMDBError(code: EBUSY)
    /// No memory, or no room in the address space.
    public static let noMemory = LMDBError(code: ENOMEM)

    /// Whether the file itself is damaged or foreign.
    public var isDamage: Bool {
        [.corrupted, .pageNotFound, .invalid, .versionMismatch, .badTransaction, .cursorFull].contains(self)
    }

    /// The library's own words, where they name the cause.
    public var description: String {
        switch self {
        case .badTransaction: "a page that it needs leads nowhere"
        case .cursorFull: "its pages lead in a circle"
        default: String(cString: mdb_strerror(code))
        }
    }
}

/// Throws unless the library said success.
func check(_ code: Int32) throws(LMDBError) {
    if code != MDB_SUCCESS { throw LMDBError(code: code) }
}
