import Crypto

#if canImport(Glibc)
    import Glibc
#endif

/// Copies bytes into a new file and hashes them on the way.
enum CopiedFile {
    private static let portionByteCount = 1 << 20

    /// Reads a descriptor to its end; the file is durable when this returns.
    ///
    /// - Parameter progress: told the bytes of each portion.
    static func write(
        from source: Int32, sourceName: String, to path: String, name: String,
        progress: (UInt64) -> Void
    ) throws(BackupFault) -> BackupManifest.File {
        let target = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard target >= 0 else { throw BackupFault(system: path, advice: "make room, or name another place") }
        defer { close(target) }
        var hash = SHA256()
        var byteCount: UInt64 = 0
        let portion = UnsafeMutableRawBufferPointer.allocate(byteCount: portionByteCount, alignment: 4_096)
        defer { portion.deallocate() }
        while true {
            let count = read(source, portion.baseAddress, portion.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw BackupFault(system: sourceName, advice: "look after its device") }
            if count == 0 { break }
            let bytes = UnsafeRawBufferPointer(rebasing: portion[..<count])
            hash.update(bufferPointer: bytes)
            try writeAll(bytes, to: target, path)
            byteCount += UInt64(count)
            progress(UInt64(count))
        }
        guard fsync(target) == 0 else { throw BackupFault(system: path, advice: "look after its device") }
        return .init(name: name, byteCount: byteCount, sha256: hexadecimal(hash.finalize()))
    }

    /// Copies a file; durable when this returns.
    static func copy(
        _ from: String, to path: String, name: String, progress: (UInt64) -> Void
    ) throws(BackupFault) -> BackupManifest.File {
        let source = open(from, O_RDONLY | O_CLOEXEC)
        guard source >= 0 else { throw BackupFault(system: from, advice: "see whether it is there") }
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

    private static func writeAll(
        _ bytes: UnsafeRawBufferPointer, to descriptor: Int32, _ path: String
    ) throws(BackupFault) {
        var rest = bytes
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw BackupFault(system: path, advice: "make room, or name another place")
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }
}
