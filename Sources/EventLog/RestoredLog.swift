#if canImport(Glibc)
    import Glibc
#endif

/// The swap of a restored log into a data directory.
///
/// `restore.staged` is where a restored log is made and verified; an interrupted one is thrown away. Renaming
/// it to `restore.ready` decides: from then on the log in it is the directory's log, and whoever writes next
/// finishes the swap. What it replaces is kept in a directory `replaced-TIME`.
///
/// Every function wants the directory's lock to be held.
public enum RestoredLog {
    /// The directory in which a restored log is made.
    public static func stagedDirectory(in directory: String) -> String { directory + "/restore.staged" }
    static func readyDirectory(in directory: String) -> String { directory + "/restore.ready" }

    /// Whether a swap was decided and is not finished.
    public static func isReady(in directory: String) -> Bool { exists(readyDirectory(in: directory)) }

    /// Decides that the staged log, durable and verified, is the directory's from now on, and puts it there.
    ///
    /// - Returns: where the files it replaced are kept; nil if there were none.
    public static func swap(into directory: String) throws(EventLogError) -> String? {
        try move(stagedDirectory(in: directory), readyDirectory(in: directory))
        try EventLog.syncDirectory(directory)
        return try finish(in: directory)
    }

    /// Finishes or undoes a restore that was interrupted.
    ///
    /// - Returns: where replaced files are kept, if a swap was finished and there were any.
    @discardableResult
    public static func settle(in directory: String) throws(EventLogError) -> String? {
        if isReady(in: directory) { return try finish(in: directory) }
        try discard(stagedDirectory(in: directory))
        return nil
    }

    /// Puts a directory's log aside with its archive and master key, so that the next start makes a new one.
    ///
    /// The data file goes last: interrupted, it is done again, and the rest is kept beside it.
    /// - Returns: where they are kept; nil if there was no log.
    public static func setAside(in directory: String) throws(EventLogError) -> String? {
        guard holdsLog(directory) else { return nil }
        let kept = directory + "/replaced-" + moment()
        guard mkdir(kept, 0o700) == 0 else { throw DirectoryLock.unusable(kept) }
        for name in ["master.key", "archive", EventLog.fileName + "-lock", EventLog.fileName]
        where exists(directory + "/" + name) {
            try move(directory + "/" + name, kept + "/" + name)
        }
        for path in [kept, directory] { try EventLog.syncDirectory(path) }
        return kept
    }

    /// Removes a directory that a restore or backup made, with the files and the one level of folders in it.
    public static func discard(_ path: String) throws(EventLogError) {
        empty(path)
        guard rmdir(path) == 0 || errno == ENOENT else { throw DirectoryLock.unusable(path) }
    }

    /// Removes what is in such a directory.
    public static func empty(_ path: String) {
        for name in EventLog.names(in: path) {
            let entry = path + "/" + name
            if unlink(entry) == 0 { continue }
            for inner in EventLog.names(in: entry) { unlink(entry + "/" + inner) }
            rmdir(entry)
        }
    }

    /// Whether a directory has a log, readable or not.
    public static func holdsLog(_ directory: String) -> Bool {
        var facts = stat()
        return stat(directory + "/" + EventLog.fileName, &facts) == 0 && facts.st_size > 0
    }

    /// What cannot be done twice is done once: the data file goes last, so as long as it is in `ready`, what
    /// stands in the directory is what is to be replaced.
    private static func finish(in directory: String) throws(EventLogError) -> String? {
        let ready = readyDirectory(in: directory)
        let replaced = ready + "/replaced"
        let (data, lock, archive) = (EventLog.fileName, EventLog.fileName + "-lock", "archive")
        if exists(ready + "/" + data) {
            guard mkdir(replaced, 0o700) == 0 || errno == EEXIST else {
                throw DirectoryLock.unusable(replaced)
            }
            for name in [data, lock] where exists(directory + "/" + name) {
                try move(directory + "/" + name, replaced + "/" + name)
            }
            if exists(ready + "/" + archive) {
                if exists(directory + "/" + archive) {
                    try move(directory + "/" + archive, replaced + "/" + archive)
                }
                try move(ready + "/" + archive, directory + "/" + archive)
            }
            for path in [replaced, ready, directory] { try EventLog.syncDirectory(path) }
            try move(ready + "/" + data, directory + "/" + data)
            for path in [directory, ready] { try EventLog.syncDirectory(path) }
        }
        var kept: String?
        if rmdir(replaced) != 0, errno != ENOENT {
            let path = directory + "/replaced-" + moment()
            try move(replaced, path)
            kept = path
        }
        // Lock files at most: what matters has left it.
        try discard(ready)
        try EventLog.syncDirectory(directory)
        return kept
    }

    private static func move(_ from: String, _ to: String) throws(EventLogError) {
        guard rename(from, to) == 0 else { throw DirectoryLock.unusable(from) }
    }

    private static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// `20261123T012953.123456`, which no two restores share.
    private static func moment() -> String {
        var (now, parts) = (timespec(), tm())
        clock_gettime(CLOCK_REALTIME, &now)
        gmtime_r(&now.tv_sec, &parts)
        var text = [CChar](repeating: 0, count: 32)
        let count = strftime(&text, text.count, "%Y%m%dT%H%M%S", &parts)
        let microseconds = String(1_000_000 + now.tv_nsec / 1_000).dropFirst()
        let seconds = String(decoding: text.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
        return seconds + "." + microseconds
    }
}

extension EventLog {
    /// What is in a directory, in no order; nothing if it cannot be read.
    static func names(in path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}

extension DirectoryLock {
    /// Makes the directory if it is not there, and takes its lock at once.
    ///
    /// - Throws: ``EventLogError/inUse(path:processID:)`` if a server has it.
    public convenience init(making directory: String) throws(EventLogError) {
        try EventLog.makeDirectory(directory)
        try self.init(directory: directory)
    }
}
