#if canImport(Glibc)
    import Glibc
#endif

/// How much address space a map may take.
///
/// A map of 1 TiB costs nothing where addresses are free: pages come with use, so the file grows by itself
/// and nobody ever waits for a larger map. Where they are not (`ulimit -v`, `vm.overcommit_memory=2`), a
/// modest map leaves room for everything else.
enum AddressSpace {
    /// What is set aside at first where the most does not fit.
    private static let modestByteCount = 64 << 20

    /// The size to begin with: the most, or where that does not fit a multiple of what the file has.
    static func mapByteCount(most: Int, path: String) -> Int {
        if hasRoom(for: most) { return most }
        var facts = stat()
        let fileByteCount = stat(path, &facts) == 0 ? Int(facts.st_size) : 0
        // Where not even the smallest of these fits the library says so.
        let wishes = [max(2 * fileByteCount, modestByteCount), fileByteCount + modestByteCount / 8]
        return min(most, roundedToPages(wishes.first(where: hasRoom) ?? fileByteCount + (1 << 20)))
    }

    static func roundedToPages(_ byteCount: Int) -> Int {
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        return (byteCount + page - 1) / page * page
    }

    /// Whether a map of that size could be made now, beside those there are.
    static func hasRoom(for byteCount: Int) -> Bool {
        let map = mmap(nil, byteCount, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let map, map != MAP_FAILED else { return false }
        munmap(map, byteCount)
        return true
    }
}

/// Lets transactions share the map, and moves it only while none is open.
///
/// LMDB leaves that to its callers (`mdb_env_set_mapsize`).
final class MapGate: @unchecked Sendable {
    // Sendable because the lock is made for many threads, and its place never changes.
    private let lock = UnsafeMutablePointer<pthread_rwlock_t>.allocate(capacity: 1)
    /// How long a resize waits for transactions: none lives long, so one that does is of the caller itself.
    private static let secondsMax = 10

    init() { pthread_rwlock_init(lock, nil) }

    deinit {
        pthread_rwlock_destroy(lock)
        lock.deallocate()
    }

    /// Begins to use the map; a thread that does may do so again.
    func enter() throws(LMDBError) { try check(pthread_rwlock_rdlock(lock)) }

    /// Waits until nobody uses the map, and keeps everybody out.
    func close() throws(LMDBError) {
        var deadline = timespec()
        clock_gettime(CLOCK_REALTIME, &deadline)
        deadline.tv_sec += MapGate.secondsMax
        try check(pthread_rwlock_timedwrlock(lock, &deadline))
    }

    /// Ends what ``enter()`` or ``close()`` began.
    func leave() { pthread_rwlock_unlock(lock) }
}
