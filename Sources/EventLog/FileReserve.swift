import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Zeros behind the last used page of the data file, so that small commits fill pages that are there already.
///
/// A commit that lets its file grow also changes what the file system keeps of the file, its length and
/// where its pages lie. That goes through the file system's journal, which is one for all files of a disk:
/// each sync waits for it, and for what the other log of a pair has to note there. PostgreSQL fills its
/// write-ahead log with zeros for the same reason (`wal_init_zero`).
///
/// The file is opened to append only: wherever it ends by then, zeros never come upon a page, and LMDB, which
/// takes no notice of the file's length, writes its pages over them. Nothing depends on the zeros: a crash,
/// or a full disk, may leave any number of them.
final class FileReserve: Sendable {
    /// How many bytes of zeros are written at once; when less than half of that is left, the next ones are.
    static let byteCount = 256 << 10
    /// A commit that grows the file by more pays for its growth anyway, and would have each byte written
    /// twice.
    static let growthByteMax = byteCount / 8

    private let descriptor: Int32
    private let place: Mutex<Place>

    private struct Place {
        /// Bytes the last commit used.
        var used: Int
        /// Where the file ends, or less.
        var end: Int
    }

    /// - Parameter used: bytes of the file in use.
    /// - Returns: nil if the file cannot be opened; commits then let it grow.
    init?(path: String, behind used: Int) {
        descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
        place = Mutex(Place(used: used, end: used))
        guard descriptor >= 0 else { return nil }
        var facts = stat()
        if fstat(descriptor, &facts) == 0 { place.withLock { $0.end = max(used, Int(facts.st_size)) } }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Writes zeros, if few are left behind a commit.
    ///
    /// - Parameter used: bytes of the file in use now.
    func keepAhead(of used: Int) {
        place.withLock { place in
            let growth = used - place.used
            place.used = used
            place.end = max(place.end, used)
            guard growth > 0, growth <= FileReserve.growthByteMax,
                place.end - used < FileReserve.byteCount / 2
            else { return }
            let zeros = [UInt8](repeating: 0, count: FileReserve.byteCount)
            // Where there is no room for zeros, the commits that need it will say so.
            place.end += max(0, write(descriptor, zeros, zeros.count))
        }
    }
}
