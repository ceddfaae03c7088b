#if canImport(Glibc)
    import Glibc
#endif

/// A data file of LMDB 0.9, read page by page without its library.
final class PageFile {
    private let descriptor: Int32
    private(set) var pageByteCount = 4_096
    /// What was read last.
    private var scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
    /// The front of a page: number 8, unused 2, flags 2, and where its free room begins and ends, 2 each.
    static let frontByteCount = 16
    /// The flags of the first page of a value that fills pages of its own.
    static let valueFlag: UInt16 = 4

    init(path: String) throws(PageFault) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw PageFault(page: nil, "it cannot be opened (\(String(cString: strerror(errno))))")
        }
    }

    deinit {
        close(descriptor)
        scratch.deallocate()
    }

    /// The roots of a state and those beside them; commits go to the two pages in turn, even ones to the
    /// first.
    ///
    /// A writer may be at work: two pages that contradict each other are read again. Nil if it has made two
    /// states since, and said where they begin in the place where this one did.
    func roots(of transaction: UInt64) throws(PageFault) -> (ofIt: Roots, beside: Roots)? {
        for _ in 0..<1_000 {
            let (even, odd) = (try roots(on: 0), try roots(on: 1))
            let (first, second) = (even.transaction, odd.transaction)
            let areNeighbours =
                first % 2 == 0 && second % 2 == 1 && max(first, second) - min(first, second) == 1
            // A file without a commit has none on either.
            guard areNeighbours || (first == 0 && second == 0) else { continue }
            if first == transaction { return (even, odd) }
            if second == transaction { return (odd, even) }
            if min(first, second) > transaction { return nil }
        }
        throw PageFault(page: nil, "its first two pages contradict each other")
    }

    /// The roots of the last state and of the one before, while nobody writes.
    func lastRoots() throws(PageFault) -> (last: Roots, before: Roots) {
        let (even, odd): (Roots, Roots)
        if let both = try bothRoots() {
            (even, odd) = both
        } else {
            (even, odd) = (try roots(on: 0), try roots(on: 1))
        }
        return even.transaction > odd.transaction ? (even, odd) : (odd, even)
    }

    /// Both in one reading, if pages are as large as they are taken for.
    private func bothRoots() throws(PageFault) -> (even: Roots, odd: Roots)? {
        let size = pageByteCount
        return try withBytes(size + CommitRecord.range.upperBound, at: 0) { (bytes) throws(PageFault) in
            let even = try Roots(bytes, page: 0)
            guard even.pageByteCount == size else { return nil }
            return (even, try Roots(UnsafeRawBufferPointer(rebasing: bytes[size...]), page: 1))
        }
    }

    /// What the first page (0) or the second (1) says.
    private func roots(on number: UInt64) throws(PageFault) -> Roots {
        let roots = try withBytes(CommitRecord.range.upperBound, at: number) { (bytes) throws(PageFault) in
            try Roots(bytes, page: number)
        }
        if number == 0 {
            let size = roots.pageByteCount
            guard size.nonzeroBitCount == 1, (4_096...65_536).contains(size) else {
                throw PageFault(page: 0, "pages of \(size) bytes cannot be")
            }
            pageByteCount = size
        }
        return roots
    }

    /// The bytes of a page.
    func page(_ number: UInt64) throws(PageFault) -> [UInt8] {
        try read(pageByteCount, at: number, skipping: 0)
    }

    /// A value that fills pages of its own, behind the front of the first.
    func value(from first: UInt64, byteCount: Int) throws(PageFault) -> [UInt8] {
        try read(byteCount, at: first, skipping: PageFile.frontByteCount)
    }

    /// Hands bytes to the body, from the beginning of a page on; they are there as long as it runs.
    func withBytes<Result>(
        _ count: Int, at page: UInt64, _ body: (UnsafeRawBufferPointer) throws(PageFault) -> Result
    ) throws(PageFault) -> Result {
        if count > scratch.count {
            // A number read from a damaged page may be any.
            var facts = stat()
            guard fstat(descriptor, &facts) == 0, count <= Int(facts.st_size) else {
                throw PageFault(page: page, "the file ends before it does")
            }
            scratch.deallocate()
            scratch = .allocate(byteCount: max(count, 65_536), alignment: 16)
        }
        try read(UnsafeMutableRawBufferPointer(rebasing: scratch[..<count]), at: page, skipping: 0)
        return try body(UnsafeRawBufferPointer(rebasing: scratch[..<count]))
    }

    /// How many pages such a value takes.
    func pageCount(ofValue byteCount: Int) -> UInt64 {
        UInt64((PageFile.frontByteCount - 1 + byteCount) / pageByteCount + 1)
    }

    private func read(_ count: Int, at page: UInt64, skipping: Int) throws(PageFault) -> [UInt8] {
        var fault: PageFault?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
            do throws(PageFault) {
                try read(UnsafeMutableRawBufferPointer(buffer), at: page, skipping: skipping)
                done = count
            } catch { fault = error }
        }
        if let fault { throw fault }
        return bytes
    }

    private func read(
        _ buffer: UnsafeMutableRawBufferPointer, at page: UInt64, skipping: Int
    ) throws(PageFault) {
        let (start, isTooFar) = page.multipliedReportingOverflow(by: UInt64(pageByteCount))
        guard !isTooFar, let offset = Int(exactly: start) else {
            throw PageFault(page: page, "it is not in the file")
        }
        var done = 0
        while done < buffer.count {
            let got = pread(
                descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done,
                off_t(offset + skipping + done))
            if got < 0, errno == EINTR { continue }
            guard got > 0 else {
                throw PageFault(
                    page: page,
                    got == 0
                        ? "the file ends before it does"
                        : "it cannot be read (\(String(cString: strerror(errno))))")
            }
            done += got
        }
    }
}

/// What one of the first two pages says: the number of a state, and where its trees begin.
struct Roots {
    var transaction: UInt64
    var lastPage: UInt64
    var free: TreeRecord
    var main: TreeRecord
    /// The size of pages.
    var pageByteCount: Int
    /// Which of the two pages.
    var page: UInt64
    /// What its writer noted beside them, as it stands there.
    private var recordWords: CommitRecord.Words

    /// Where all of this but the record stands in it, and its last part.
    static let range = 16..<152
    static let transactionRange = 144..<152
    private static let magic: UInt32 = 0xBEEF_C0DE

    /// Reads the front of a page.
    init(_ bytes: UnsafeRawBufferPointer, page: UInt64) throws(PageFault) {
        guard bytes.loadUnaligned(fromByteOffset: 16, as: UInt32.self) == Roots.magic,
            let free = TreeRecord(bytes[40..<88]), let main = TreeRecord(bytes[88..<136])
        else { throw PageFault(page: page, "it does not say where the others are") }
        (self.free, self.main, self.page) = (free, main, page)
        pageByteCount = Int(bytes.loadUnaligned(fromByteOffset: 40, as: UInt32.self))
        lastPage = bytes.loadUnaligned(fromByteOffset: 136, as: UInt64.self)
        transaction = bytes.loadUnaligned(
            fromByteOffset: Roots.transactionRange.lowerBound, as: UInt64.self)
        recordWords = bytes.loadUnaligned(
            fromByteOffset: CommitRecord.range.lowerBound, as: CommitRecord.Words.self)
    }

    /// What its writer noted of this state; nil if nothing, or of an earlier state in this place.
    func record() throws(PageFault) -> CommitRecord? {
        guard let record = try CommitRecord(recordWords, page: page), record.transaction == transaction
        else { return nil }
        return record
    }
}

/// How many pages and entries a tree has.
struct TreeCounts: Equatable {
    var branches: UInt64 = 0
    var leaves: UInt64 = 0
    /// Pages of values that fill pages of their own.
    var others: UInt64 = 0
    var entries: UInt64 = 0
}

/// What LMDB stores of a tree (`MDB_db`): page size or unused 4, flags 2, levels 2, counts 32, root 8.
struct TreeRecord {
    let flags: UInt16
    let depth: Int
    let counts: TreeCounts
    let root: UInt64

    static let integerKeys: UInt16 = 8
    static let noRoot = UInt64.max

    /// Reads it where it lies; nil if it is not as long as a record.
    init?(_ bytes: Slice<UnsafeRawBufferPointer>) {
        guard bytes.count == 48 else { return nil }
        func word<Number: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _: Number.Type) -> Number {
            Number(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Number.self))
        }
        flags = word(4, UInt16.self)
        depth = Int(word(6, UInt16.self))
        counts = TreeCounts(
            branches: word(8, UInt64.self), leaves: word(16, UInt64.self), others: word(24, UInt64.self),
            entries: word(32, UInt64.self))
        root = word(40, UInt64.self)
    }
}

/// An entry's value as a leaf holds it.
struct PageValue {
    enum Content {
        /// Where in the leaf it lies.
        case inline(Range<Int>)
        /// It fills pages of its own.
        case pages(first: UInt64, byteCount: Int)
    }

    /// The leaf.
    var page: UInt64
    /// Whether it is the record of a tree.
    var isTree: Bool
    var content: Content
}

/// A key; numbers are told apart from bytes, since a log may have millions of them.
enum PageKey {
    case number(UInt64)
    case bytes([UInt8])

    static func < (left: PageKey, right: PageKey) -> Bool {
        switch (left, right) {
        case (.number(let left), .number(let right)): left < right
        case (.bytes(let left), .bytes(let right)): left.lexicographicallyPrecedes(right)
        case (.number, .bytes), (.bytes, .number): false
        }
    }
}

/// A branch or leaf of a tree.
struct TreePage {
    /// An entry of a leaf, or a branch's way to a child.
    struct Node {
        fileprivate var key: Range<Int>
        var child: UInt64
        fileprivate var flags: UInt16
        fileprivate var valueByteCount: Int
        fileprivate var valueOffset: Int
    }

    private let number: UInt64
    private let bytes: [UInt8]
    private let upper: Int
    let nodeCount: Int

    static let branchFlag: UInt16 = 1
    static let leafFlag: UInt16 = 2
    static let nodeFrontByteCount = 8
    static let ownPages: UInt16 = 1
    private static let tree: UInt16 = 2

    init(_ number: UInt64, _ bytes: [UInt8], isLeaf: Bool) throws(PageFault) {
        self.number = number
        self.bytes = bytes
        let lower = Int(bytes.number(at: 12, UInt16.self))
        upper = Int(bytes.number(at: 14, UInt16.self))
        guard bytes.number(at: 0, UInt64.self) == number,
            bytes.number(at: 10, UInt16.self) == (isLeaf ? TreePage.leafFlag : TreePage.branchFlag)
        else { throw PageFault(page: number, "it is not the page that belongs there") }
        nodeCount = (lower - PageFile.frontByteCount) / 2
        guard lower >= PageFile.frontByteCount, lower <= upper, upper <= bytes.count, lower % 2 == 0,
            nodeCount >= (isLeaf ? 1 : 2)
        else { throw PageFault(page: number, "its front does not fit its size") }
    }

    func node(_ index: Int) throws(PageFault) -> Node {
        let offset = Int(bytes.number(at: PageFile.frontByteCount + 2 * index, UInt16.self))
        let keyOffset = offset + TreePage.nodeFrontByteCount
        guard offset >= upper, keyOffset <= bytes.count else { throw beyond }
        let low = UInt64(bytes.number(at: offset, UInt32.self))
        let flags = bytes.number(at: offset + 4, UInt16.self)
        let valueOffset = keyOffset + Int(bytes.number(at: offset + 6, UInt16.self))
        guard valueOffset <= bytes.count else { throw beyond }
        return Node(
            key: keyOffset..<valueOffset, child: low | UInt64(flags) << 32, flags: flags,
            valueByteCount: Int(low), valueOffset: valueOffset)
    }

    /// A node's key.
    func key(of node: Node, isNumber: Bool) throws(PageFault) -> PageKey {
        guard isNumber ? node.key.count == 8 : (1...511).contains(node.key.count) else {
            throw PageFault(page: number, "a key has \(node.key.count) bytes")
        }
        return isNumber
            ? .number(bytes.number(at: node.key.lowerBound, UInt64.self)) : .bytes(Array(bytes[node.key]))
    }

    /// The bytes of a value that lies in this leaf.
    func bytes(of range: Range<Int>) -> [UInt8] { Array(bytes[range]) }

    func value(of node: Node) throws(PageFault) -> PageValue {
        guard node.flags & ~(TreePage.ownPages | TreePage.tree) == 0 else {
            throw PageFault(page: number, "an entry has flags that are not used")
        }
        let isTree = node.flags & TreePage.tree != 0
        if node.flags & TreePage.ownPages != 0 {
            guard node.valueOffset + 8 <= bytes.count else { throw beyond }
            let first = bytes.number(at: node.valueOffset, UInt64.self)
            return PageValue(
                page: number, isTree: isTree, content: .pages(first: first, byteCount: node.valueByteCount))
        }
        guard node.valueOffset + node.valueByteCount <= bytes.count else { throw beyond }
        return PageValue(
            page: number, isTree: isTree,
            content: .inline(node.valueOffset..<node.valueOffset + node.valueByteCount))
    }

    private var beyond: PageFault { PageFault(page: number, "an entry reaches beyond it") }
}

extension [UInt8] {
    /// A little-endian number; the caller knows that the bytes are there.
    func number<Number: FixedWidthInteger & BitwiseCopyable>(at offset: Int, _: Number.Type) -> Number {
        withUnsafeBytes { Number(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: Number.self)) }
    }
}
