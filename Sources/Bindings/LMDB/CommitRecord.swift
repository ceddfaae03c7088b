import CXXHash

#if canImport(Glibc)
    import Glibc
#endif

/// What is noted of a state beside its roots: how it can be told to be whole after a power cut.
///
/// It stands in the second sector of the page that has the roots, of which LMDB uses the front of the first
/// (`mdb.c`, `MDB_meta`), so that a disk writes either all of it or nothing. Eight words of eight bytes, in
/// the machine's order as all that LMDB writes: magic, number of the state, kind, digest in two, the
/// machine's start, nothing, XXH3 of these seven.
struct CommitRecord: Equatable {
    enum Kind: UInt64 {
        /// All of the state is durable, and who commits next may note nothing.
        case closed = 1
        /// All of the state is durable, and each commit that follows has a record.
        case opened = 2
        /// The record became durable in one sync with the commit's pages, which make its digest if all of
        /// them did; each commit that follows has a record.
        case committed = 3
    }

    var kind: Kind
    /// The number of the state.
    var transaction: UInt64
    /// Of the pages that its commit wrote; zero if none is needed.
    var digest = PageDigest()
    /// Since when the machine ran that wrote it.
    var start: MachineStart

    typealias Words = SIMD8<UInt64>
    /// Where it stands in its page.
    static let range = 512..<576
    private static let magic: UInt64 = 0x0065_7474_6564_6576  // "vedette"

    init(_ kind: Kind, _ transaction: UInt64, start: MachineStart, digest: PageDigest = PageDigest()) {
        self.kind = kind
        self.transaction = transaction
        self.start = start
        self.digest = digest
    }

    /// Reads what stands in a record's place; nil if there never was one.
    ///
    /// - Throws: if it is something that nobody wrote.
    init?(_ words: Words, page: UInt64) throws(PageFault) {
        if words == Words() { return nil }
        guard words[0] == CommitRecord.magic, words[6] == 0, words[7] == CommitRecord.check(words),
            let kind = Kind(rawValue: words[2])
        else { throw PageFault(page: page, "the record of its commit is altered") }
        self.kind = kind
        transaction = words[1]
        digest = PageDigest(low: words[3], high: words[4])
        start = MachineStart(words[5])
    }

    /// As it is stored.
    var words: Words {
        var words = Words(
            CommitRecord.magic, transaction, kind.rawValue, digest.low, digest.high, start.number, 0, 0)
        words[7] = CommitRecord.check(words)
        return words
    }

    private static func check(_ words: Words) -> UInt64 {
        withUnsafeBytes(of: words) { XXH3_64bits($0.baseAddress, 56) }
    }
}

/// 128 bits that tell pages apart from what a power cut may leave in their place (XXH3); no proof against
/// somebody who wants to deceive, for whom the seals of the log are.
struct PageDigest: Equatable {
    var low: UInt64 = 0
    var high: UInt64 = 0

    init(low: UInt64 = 0, high: UInt64 = 0) {
        self.low = low
        self.high = high
    }

    init(of bytes: UnsafeRawBufferPointer) {
        let hash = XXH3_128bits(bytes.baseAddress, bytes.count)
        self.init(low: hash.low64, high: hash.high64)
    }
}

/// Names the time from one start of a machine to the next: as long as it lasts, what was written is in the
/// page cache, synced or not, whatever becomes of the process that wrote it.
public struct MachineStart: Hashable, Sendable {
    let number: UInt64

    /// Any start; 0 stands for one that is not known.
    public init(_ number: UInt64) { self.number = number }

    /// This one (`/proc/sys/kernel/random/boot_id`, proc(5)).
    public static let current: MachineStart = {
        var text = [UInt8](repeating: 0, count: 36)
        let descriptor = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)
        defer { close(descriptor) }
        guard read(descriptor, &text, text.count) == text.count else { return MachineStart(0) }
        let digits = String(decoding: text, as: UTF8.self).filter { $0 != "-" }
        return MachineStart(UInt64(digits.prefix(16), radix: 16) ?? 0)
    }()
}
