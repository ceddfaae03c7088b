/// The pages that a commit wrote: all that the trees of its state have and those of the state before have
/// not.
///
/// LMDB never writes over a page that one of its last two states has (`mdb.c`, `mdb_page_alloc`), so a page
/// with the same number in both is the same page, with all that it leads to. Trees are compared level by
/// level from their roots, and only where they differ: a commit that appends a batch changes some eight
/// pages, however large the file is.
///
/// Each commit waits for it, so pages are read into one buffer, and looked through once: what a commit
/// replaces is mostly what the one before wrote.
struct CommitPages {
    private let file: PageFile
    /// Where pages of the former state lead, as far as it is known.
    private var known: [UInt64: PageLinks]
    private var links: [UInt64: PageLinks] = [:]
    private var digests: [UInt64] = []

    /// Digests the pages that were written between a state and the next one.
    ///
    /// - Parameter known: where pages of the former state lead, which were looked through when it was made;
    ///   on return those of the latter, if they are few.
    static func digest(
        of file: PageFile, from before: Roots, to after: Roots, known: inout [UInt64: PageLinks]
    ) throws(PageFault) -> PageDigest {
        var pages = CommitPages(file: file, known: known)
        try pages.compare(before.free, after.free)
        let trees = try pages.compare(before.main, after.main)
        for tree in trees.latter {
            try pages.compare(trees.former.first { $0.name == tree.name }?.record, tree.record)
        }
        pages.digests += [after.transaction, after.lastPage, after.free.root, after.main.root]
        known = pages.links.count <= 64 ? pages.links : [:]
        return pages.digests.withUnsafeBytes { PageDigest(of: $0) }
    }

    private init(file: PageFile, known: [UInt64: PageLinks]) {
        self.file = file
        self.known = known
    }

    /// Notes what a tree has that it did not have before; hands out the trees that leaves which differ tell
    /// of.
    @discardableResult
    private mutating func compare(
        _ before: TreeRecord?, _ after: TreeRecord
    ) throws(PageFault) -> (former: [PageLinks.Tree], latter: [PageLinks.Tree]) {
        var (old, new): ([PageRun], [PageRun]) = ([], [])
        var trees: (former: [PageLinks.Tree], latter: [PageLinks.Tree]) = ([], [])
        let (oldDepth, depth) = (try before?.checkedDepth() ?? 0, try after.checkedDepth())
        // Levels are counted from the leaves: a tree grows and shrinks at its root.
        for level in (0..<max(oldDepth, depth)).reversed() {
            if let before, level == oldDepth - 1 { old.append(PageRun(first: before.root)) }
            if level == depth - 1 { new.append(PageRun(first: after.root)) }
            let changed = PageRun.difference(old, new)
            (old, new) = ([], [])
            for run in changed.old {
                let links: PageLinks
                if let seen = known[run.first] {
                    links = seen
                } else {
                    links = try look(at: run.first, isLeaf: level == 0).links
                }
                old += links.runs
                trees.former += links.trees
            }
            for run in changed.new {
                let (links, digest) = try look(at: run.first, isLeaf: level == 0)
                self.links[run.first] = links
                digests += [run.first, digest.low, digest.high]
                new += links.runs
                trees.latter += links.trees
            }
        }
        // Below the leaves are values that fill pages of their own.
        for run in PageRun.difference(old, new).new {
            let byteCount = PageFile.frontByteCount + run.byteCount
            let digest = try file.withBytes(byteCount, at: run.first) { PageDigest(of: $0) }
            digests += [run.first, digest.low, digest.high]
        }
        return trees
    }

    private func look(
        at number: UInt64, isLeaf: Bool
    ) throws(PageFault) -> (links: PageLinks, digest: PageDigest) {
        try file.withBytes(file.pageByteCount, at: number) { (bytes) throws(PageFault) in
            (try PageLinks(of: bytes, number, isLeaf: isLeaf), PageDigest(of: bytes))
        }
    }
}

/// Where pages begin that a tree's page leads to.
struct PageRun: Equatable {
    var first: UInt64
    /// Bytes of a value that fills pages of its own; 0 of a page of the tree.
    var byteCount = 0

    /// What one list has and the other has not.
    ///
    /// Both are in the order of their tree, and differ in few places.
    static func difference(
        _ old: [PageRun], _ new: [PageRun]
    ) -> (old: ArraySlice<PageRun>, new: ArraySlice<PageRun>) {
        var (front, oldEnd, newEnd) = (0, old.count, new.count)
        while front < oldEnd, front < newEnd, old[front] == new[front] { front += 1 }
        while oldEnd > front, newEnd > front, old[oldEnd - 1] == new[newEnd - 1] {
            oldEnd -= 1
            newEnd -= 1
        }
        let (old, new) = (old[front..<oldEnd], new[front..<newEnd])
        // Nearly always.
        if old.count <= 1, new.count <= 1 { return (old, new) }
        let (before, after) = (Set(old.map(\.first)), Set(new.map(\.first)))
        return (old.filter { !after.contains($0.first) }[...], new.filter { !before.contains($0.first) }[...])
    }
}

/// Where a page of a tree leads.
struct PageLinks {
    /// A tree whose record a leaf has as a value.
    struct Tree {
        var name: [UInt8]
        var record: TreeRecord
    }

    /// The pages of a branch, or the values of a leaf that fill pages of their own.
    private(set) var runs: [PageRun] = []
    private(set) var trees: [Tree] = []

    /// Looks through a page; whatever it is, nothing beyond its bytes is read (`mdb.c`, `MDB_page`,
    /// `MDB_node`).
    init(of page: UnsafeRawBufferPointer, _ number: UInt64, isLeaf: Bool) throws(PageFault) {
        func word<Number: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _: Number.Type) -> Number {
            Number(littleEndian: page.loadUnaligned(fromByteOffset: offset, as: Number.self))
        }
        let front = PageFile.frontByteCount
        let lower = Int(word(12, UInt16.self))
        guard word(0, UInt64.self) == number,
            word(10, UInt16.self) == (isLeaf ? TreePage.leafFlag : TreePage.branchFlag),
            (front...page.count).contains(lower)
        else { throw PageFault(page: number, "it is not the page that belongs there") }
        let nodeCount = (lower - front) / 2
        guard isLeaf else {
            // A branch has some two hundred, and one or two are looked through in each commit.
            runs = [PageRun](unsafeUninitializedCapacity: nodeCount) { runs, count in
                for index in 0..<nodeCount {
                    let node = Int(word(front + 2 * index, UInt16.self))
                    guard node + TreePage.nodeFrontByteCount <= page.count else { return }
                    let first = UInt64(word(node, UInt32.self)) | UInt64(word(node + 4, UInt16.self)) << 32
                    runs.initializeElement(at: index, to: PageRun(first: first))
                    count = index + 1
                }
            }
            guard runs.count == nodeCount else { throw PageLinks.beyond(number) }
            return
        }
        for index in 0..<nodeCount {
            let node = Int(word(front + 2 * index, UInt16.self))
            guard node + TreePage.nodeFrontByteCount <= page.count else { throw PageLinks.beyond(number) }
            let flags = word(node + 4, UInt16.self)
            if flags == 0 { continue }
            let low = word(node, UInt32.self)
            let key = node + TreePage.nodeFrontByteCount
            let value = key + Int(word(node + 6, UInt16.self))
            guard value <= page.count else { throw PageLinks.beyond(number) }
            if flags & TreePage.ownPages != 0 {
                guard value + 8 <= page.count else { throw PageLinks.beyond(number) }
                if runs.isEmpty { runs.reserveCapacity(nodeCount - index) }
                runs.append(PageRun(first: word(value, UInt64.self), byteCount: Int(low)))
            } else if let record = TreeRecord(page[value..<min(page.count, value + Int(low))]) {
                trees.append(Tree(name: Array(page[key..<value]), record: record))
            }
        }
    }

    private static func beyond(_ page: UInt64) -> PageFault {
        PageFault(page: page, "an entry reaches beyond it")
    }
}

extension TreeRecord {
    /// How many levels there are, if there can be so many.
    fileprivate func checkedDepth() throws(PageFault) -> Int {
        if root == TreeRecord.noRoot { return 0 }
        guard (1...32).contains(depth) else {
            throw PageFault(page: nil, "a database has \(depth) levels")
        }
        return depth
    }
}
