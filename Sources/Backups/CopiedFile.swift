import Crypto
import Registry

#if canImport(Glibc)
    import Glibc
#endif

/// Copies bytes into a new file and hashes them on the way.
enum CopiedFile {
    private static let portionByteCount = 1 << 20

    /// Reads a descriptor to its end, and hashes what it hands on.
    ///
    /// - Parameter take: gets each portion.
    static func read(
        from source: Int32, sourceName: String, name: String,
        _ take: (UnsafeRawBufferPointer) throws(BackupFault) -> Void
    ) throws(BackupFault) -> BackupManifest.File {
        var hash = SHA256()
        var byteCount: UInt64 = 0
        let portion = UnsafeMutableRawBufferPointer.allocate(byteCount: portionByteCount, alignment: 4_096)
        defer { portion.deallocate() }
        while true {
            let count = Glibc.read(source, portion.baseAddress, portion.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw BackupFault(system: sourceName, advice: "look after its device") }
            if count == 0 { break }
            let bytes = UnsafeRawBufferPointer(rebasing: portion[..<count])
            hash.update(bufferPointer: bytes)
            try take(bytes)
            byteCount += UInt64(count)
        }
        return .init(name: name, byteCount: byteCount, sha256: hash.finalize().hexadecimal)
    }

    /// Reads a descriptor to its end into a new file, which is durable when this returns.
    ///
    /// - Parameter progress: told the bytes of each portion.
    static func write(
        from source: Int32, sourceName: String, to path: String, name: String,
        progress: (UInt64) -> Void
    ) throws(BackupFault) -> BackupManifest.File {
        let target = try NewFile(path)
        let file = try read(from: source, sourceName: sourceName, name: name) { (bytes) throws(BackupFault) in
            try target.write(bytes)
            progress(UInt64(bytes.count))
        }
        try target.sync()
        return file
    }

    /// Copies a file; durable when this returns.
    static func copy(
        _ from: String, to path: String, name: String, progress: (UInt64) -> Void
    ) throws(BackupFault) -> BackupManifest.File {
        let source = try openToRead(from)
        defer { close(source) }
        return try write(from: source, sourceName: from, to: path, name: name, progress: progress)
    }

    static func makeDirectory(_ path: String) throws(BackupFault) {
        guard mkdir(path, 0o700) == 0 else {
            throw BackupFault(system: path, advice: "name a place where this user may write")
        }
    }

    static func syncDirectory(_ path: String) throws(BackupFault) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw BackupFault(system: path, advice: "look after its device") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw BackupFault(system: path, advice: "look after its device") }
    }

    static func openToRead(_ path: String) throws(BackupFault) -> Int32 {
        let source = open(path, O_RDONLY | O_CLOEXEC)
        guard source >= 0 else { throw BackupFault(system: path, advice: "see whether it is there") }
        return source
    }
}

/// A file that is written from its beginning to its end.
final class NewFile {
    /// So much is made durable at once: a server's syncs wait behind whatever of this is on its way to the
    /// same disk.
    private static let syncByteCount = 1 << 20

    private let path: String
    private let descriptor: Int32
    private var unsyncedByteCount = 0

    init(_ path: String) throws(BackupFault) {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw BackupFault(system: path, advice: "make room, or name another place")
        }
    }

    deinit { close(descriptor) }

    func write(_ bytes: UnsafeRawBufferPointer) throws(BackupFault) {
        var rest = bytes
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw BackupFault(system: path, advice: "make room, or name another place")
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
        unsyncedByteCount += bytes.count
        if unsyncedByteCount >= NewFile.syncByteCount { try sync() }
    }

    /// Makes what was written durable.
    func sync() throws(BackupFault) {
        unsyncedByteCount = 0
        guard fsync(descriptor) == 0 else {
            throw BackupFault(system: path, advice: "look after its device")
        }
    }
}
