#if canImport(Glibc)
    import Glibc
#endif

/// Keeps a data directory for one writing process.
///
/// A file `writer.lock` is locked (`flock`) for as long as this value lives and names the process, so that
/// a second server can say who is in its way. The lock ends with the process however that ends.
public final class DirectoryLock: Sendable {
    private let descriptor: Int32

    /// Takes the lock at once or throws ``EventLogError/inUse(path:processID:)``.
    init(directory: String) throws(EventLogError) {
        let path = directory + "/writer.lock"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw DirectoryLock.unusable(directory) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let holder = DirectoryLock.readProcessID(descriptor)
            close(descriptor)
            throw .inUse(path: directory, processID: holder)
        }
        let text = Array("\(getpid())\n".utf8)
        guard ftruncate(descriptor, 0) == 0, pwrite(descriptor, text, text.count, 0) == text.count else {
            let error = DirectoryLock.unusable(directory)
            close(descriptor)
            throw error
        }
        self.descriptor = descriptor
    }

    deinit {
        // Closing alone would not do: a child that this process is starting has our descriptors, and with
        // them the lock, until it runs its own program.
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }

    /// Whether a process has a directory's lock.
    static func isHeld(in directory: String) -> Bool {
        let descriptor = open(directory + "/writer.lock", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_SH | LOCK_NB) == 0 else { return true }
        flock(descriptor, LOCK_UN)
        return false
    }

    /// The error that `errno` stands for.
    static func unusable(_ directory: String) -> EventLogError {
        let code = errno
        if code == ENOSPC { return .noSpace(path: directory) }
        let words = String(cString: strerror(code))
        return .directory(
            path: directory, reason: "cannot be used (\(words)): choose one that this user may read and write"
        )
    }

    private static func readProcessID(_ descriptor: Int32) -> Int32? {
        var buffer = [UInt8](repeating: 0, count: 16)
        let count = pread(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { return nil }
        return Int32(String(decoding: buffer[..<count], as: UTF8.self).filter(\.isNumber))
    }
}
