#if canImport(Glibc)
    import Glibc
#endif

/// A segment's file, open for reading.
final class SegmentFile: Sendable {
    private let descriptor: Int32
    /// How many bytes it has.
    let byteCount: UInt64

    init(path: String) throws(SegmentFault) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw .damaged(errno == ENOENT ? "it is missing" : "it cannot be opened (\(SegmentFile.words))")
        }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0 else {
            let words = SegmentFile.words
            close(descriptor)
            throw .damaged("it cannot be read (\(words))")
        }
        byteCount = UInt64(facts.st_size)
    }

    deinit { close(descriptor) }

    /// So many bytes at a place.
    func read(_ count: Int, at offset: UInt64) throws(SegmentFault) -> [UInt8] {
        guard offset <= byteCount, UInt64(count) <= byteCount - offset else {
            throw .damaged("it has \(byteCount) bytes and ends too early")
        }
        var failure: String?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
            while done < count {
                let got = pread(
                    descriptor, buffer.baseAddress.map { $0 + done }, count - done,
                    off_t(offset) + off_t(done))
                if got < 0, errno == EINTR { continue }
                guard got > 0 else {
                    failure = got == 0 ? "it ends too early" : "it cannot be read (\(SegmentFile.words))"
                    return
                }
                done += got
            }
        }
        if let failure { throw .damaged(failure) }
        return bytes
    }

    private static var words: String { String(cString: strerror(errno)) }

    /// Writes a file under its final name, durably: whoever finds the name finds the whole file.
    ///
    /// - Parameters:
    ///   - body: hands all that the file is to hold to the function that it is given, in order.
    ///   - check: looks at what was written, under its temporary name, before it counts.
    static func write(
        to path: String,
        _ body: (_ write: ([UInt8]) throws(EventLogError) -> Void) throws(EventLogError) -> Void,
        check: (String) throws(EventLogError) -> Void
    ) throws(EventLogError) {
        let temporary = path + temporarySuffix
        do throws(EventLogError) {
            try writeAndSync(to: temporary, body)
            try check(temporary)
            guard rename(temporary, path) == 0 else { throw failure(path) }
        } catch {
            unlink(temporary)
            throw error
        }
    }

    static let temporarySuffix = ".partial"

    private static func writeAndSync(
        to path: String,
        _ body: (_ write: ([UInt8]) throws(EventLogError) -> Void) throws(EventLogError) -> Void
    ) throws(EventLogError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure(path) }
        defer { close(descriptor) }
        try body { (part) throws(EventLogError) in
            var done = 0
            while done < part.count {
                let count = part.withUnsafeBytes {
                    Glibc.write(descriptor, $0.baseAddress.map { $0 + done }, $0.count - done)
                }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw failure(path) }
                done += count
            }
        }
        // A sync that failed is not tried again: the file is thrown away.
        guard fsync(descriptor) == 0 else { throw failure(path) }
    }

    /// What `errno` says of a file that could not be written.
    static func failure(_ path: String) -> EventLogError {
        let code = errno
        if code == ENOSPC || code == EDQUOT { return .noSpace(path: path) }
        return .system(
            path: path, code: code, words: "it cannot be written: " + String(cString: strerror(code)))
    }
}
