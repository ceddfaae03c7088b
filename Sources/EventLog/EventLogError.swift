import LMDB

#if canImport(Glibc)
    import Glibc
#endif

/// What the log could not do.
///
/// Every case renders as one sentence that names the path and says what to do.
public enum EventLogError: Error, Hashable, Sendable {
    /// The directory is not there, cannot be made or cannot be used.
    case directory(path: String, reason: String)
    /// Another process writes this log.
    case inUse(path: String, processID: Int32?)
    /// The file was written by a later version.
    case newerFormat(path: String, found: UInt32, known: UInt32 = Format.version)
    /// The file is damaged or no log at all; position 0 if it is not known where.
    case damaged(path: String, position: UInt64, what: String)
    /// The machine or the server stopped in the middle of the last commit, and nobody who may write has
    /// opened it since.
    case unfinished(path: String)
    /// An event that a later version wrote: this one does not know what it says.
    case unknownEvent(path: String, position: UInt64, what: String)
    /// What is asked for was dropped, with everything up to a position; the time is in microseconds since
    /// 1970.
    case dropped(path: String, upTo: UInt64, time: UInt64)
    /// The log was cut behind a position while it was read there: what was read is no longer in it.
    case cut(path: String, to: UInt64)
    /// No room on the device.
    case noSpace(path: String)
    /// The address range set aside is used up; its size is in bytes.
    case mapFull(path: String, byteCount: Int)
    /// The file may not grow any more: a limit of the process or of the file system.
    case fileTooLarge(path: String)
    /// The file system takes no writes.
    case readOnly(path: String)
    /// The device failed under a commit: what reached it is not known, so nothing more is written.
    case deviceFailed(path: String, words: String)
    /// The system or the library failed otherwise; the code is an errno or LMDB's.
    case system(path: String, code: Int32, words: String)

    /// Whether the same call may succeed later, once the cause is gone.
    public var isRetriable: Bool {
        switch self {
        case .noSpace, .mapFull, .inUse, .fileTooLarge, .readOnly, .cut: true
        case .directory, .newerFormat, .damaged, .unfinished, .unknownEvent, .dropped, .deviceFailed, .system:
            false
        }
    }

    /// One sentence: what, where, and what to do.
    public var sentence: String {
        switch self {
        case .directory(let path, let reason):
            return "data directory \(path): \(reason)"
        case .inUse(let path, let processID):
            let who = processID.map { "process \($0)" } ?? "another process"
            return "data directory \(path) is already used by \(who): stop it, or choose another directory"
        case .newerFormat(let path, let found, let known):
            return "\(path) has log format \(found), this version knows formats up to \(known): "
                + "run the version that wrote it, or a later one"
        case .damaged(let path, let position, let what):
            let place = position == 0 ? "" : " at position \(position)"
            return "\(path) is damaged\(place): \(what); restore it from a backup"
        case .unfinished(let path):
            return "\(path): its last commit came to no end, since the machine or the server stopped in the "
                + "middle, and nobody was told of it: start the server, which settles that and goes on"
        case .unknownEvent(let path, let position, let what):
            return "\(path) holds at position \(position) what this version does not know: \(what); "
                + "run the version that wrote it, or a later one"
        case .dropped(let path, let end, let time):
            return "\(path) no longer holds what happened up to position \(end): it was dropped on "
                + "\(EventLogError.date(time)), and only its seals remain (see vedette audit log "
                + "--type log.dropped)"
        case .cut(let path, let position):
            return
                "\(path) was cut behind position \(position) meanwhile, since this node follows another one: "
                + "read again from there on; what was cut is kept in the directory cut beside it"
        case .noSpace(let path):
            return "no space left on the device of \(path): free some, writing resumes by itself"
        case .mapFull(let path, let byteCount):
            return "\(path) has reached its map size of \(byteCount) bytes: start with a larger map size, or "
                + "with more address space (ulimit -v)"
        case .fileTooLarge(let path):
            return "\(path) may not grow any more: raise the limit (ulimit -f, LimitFSIZE=, or the file "
                + "system's own) and start again; nothing was stored"
        case .readOnly(let path):
            return "\(path) is on a read-only file system: mount it writable, writing resumes by itself"
        case .deviceFailed(let path, let words):
            return
                "\(path): the device failed under a commit (\(words)), so nothing more is written: see what "
                + "the kernel says of it (dmesg), then start the server again, which knows what was stored"
        case .system(let path, let code, let words):
            return "\(path): \(words) (code \(code))"
        }
    }

    /// Gives a library's code its path and meaning.
    init(_ error: LMDBError, path: String, mapByteCount: Int = 0) {
        switch error {
        case .noSpace: self = .noSpace(path: path)
        case .quotaExceeded: self = .noSpace(path: path)
        case .fileTooLarge: self = .fileTooLarge(path: path)
        case .readOnlyFileSystem: self = .readOnly(path: path)
        // LMDB calls a write that was cut short an input/output error, whatever cut it.
        case .inputOutput where EventLogError.isFull(path): self = .noSpace(path: path)
        case .inputOutput where EventLogError.isAtSizeLimit(path): self = .fileTooLarge(path: path)
        // After a failed write to its first pages the library refuses everything.
        case .inputOutput, .panic: self = .deviceFailed(path: path, words: error.description)
        case .mapFull: self = .mapFull(path: path, byteCount: mapByteCount)
        case _ where error.isDamage: self = .damaged(path: path, position: 0, what: error.description)
        default: self = .system(path: path, code: error.code, words: error.description)
        }
    }

    /// `2026-11-23 01:29:53 UTC`.
    private static func date(_ microseconds: UInt64) -> String {
        var (seconds, parts) = (time_t(clamping: microseconds / 1_000_000), tm())
        gmtime_r(&seconds, &parts)
        var text = [CChar](repeating: 0, count: 32)
        let count = strftime(&text, text.count, "%Y-%m-%d %H:%M:%S UTC", &parts)
        return String(decoding: text.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Whether the device of a path has no room for even a small commit.
    private static func isFull(_ path: String) -> Bool {
        var facts = statvfs()
        guard statvfs(path, &facts) == 0 else { return false }
        return facts.f_bavail * facts.f_frsize < 256 * 1_024
    }
    /// Whether the file is about as large as a file of this process may be.
    private static func isAtSizeLimit(_ path: String) -> Bool {
        var (limit, facts) = (rlimit(), stat())
        guard getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0,
            limit.rlim_cur < rlim_t(Int64.max), stat(path, &facts) == 0
        else { return false }
        return rlim_t(facts.st_size) + 256 * 1_024 > limit.rlim_cur
    }
}
