/// Whether the pages of a data file are the trees that LMDB takes them for.
///
/// LMDB 0.9 has no page checksums: it follows what a page says, which may lead beyond the file, in circles,
/// or to a page that belongs to something else and is written over then. This reads the pages that say where
/// others are, with `pread` and nothing taken for granted, before the library follows them: each page must
/// have one place, in a tree or among the free ones, and every tree its keys in order and as many pages and
/// entries as its record counts (`mdb.c`: `MDB_page`, `MDB_node`, `MDB_db`, `MDB_meta`).
struct PageCheck {
    private let file: PageFile
    /// Also looks at the first page of every long value of trees with integer keys.
    private let isThorough: Bool
    private var places: PagePlaces

    /// Checks the state that a read transaction sees, which keeps its pages from being written over.
    ///
    /// - Parameters:
    ///   - transaction: the number of that state.
    ///   - isThorough: looks at the front of every value of many pages. Else those under integer keys, nearly
    ///     all of a log, are passed over: there may be as many as batches.
    /// - Returns: whether a later commit was undone; see ``Environment/checkPages(isThorough:)``. Nil if a
    ///   writer made two states meanwhile: nothing in the file says any more where this one begins.
    static func run(path: String, transaction: UInt64, isThorough: Bool) throws(PageFault) -> Bool? {
        let file = try PageFile(path: path)
        guard let (roots, others) = try file.roots(of: transaction) else { return nil }
        var check = PageCheck(
            file: file, isThorough: isThorough, places: PagePlaces(pageCount: roots.lastPage + 1))
        try check.walkFreePages(roots.free)
        try check.walkMain(roots.main)
        try check.places.checkAllTaken()
        // Every commit but a file's first frees pages, under its number.
        let lastFreed = try check.lastKey(of: roots.free)
        guard transaction < 2 || lastFreed == transaction else {
            throw PageFault(page: nil, "the number of its state is altered")
        }
        // Pages of the other state may be anything by now.
        let lastFreedBeside = try? check.lastKey(of: others.free)
        return (lastFreedBeside ?? 0) > others.transaction
    }

    private func lastKey(of tree: TreeRecord) throws(PageFault) -> UInt64 {
        guard tree.root != TreeRecord.noRoot, (1...32).contains(tree.depth) else { return 0 }
        var number = tree.root
        for level in (0..<tree.depth).reversed() {
            let page = try TreePage(number, try file.page(number), isLeaf: level == 0)
            let node = try page.node(page.nodeCount - 1)
            guard level == 0 else {
                number = node.child
                continue
            }
            guard case .number(let key) = try page.key(of: node, isNumber: true) else { return 0 }
            return key
        }
        return 0
    }

    private mutating func walkFreePages(_ tree: TreeRecord) throws(PageFault) {
        guard tree.flags & 0xFF == TreeRecord.integerKeys else {
            throw PageFault(page: nil, "the record of its free pages is altered")
        }
        try walk(tree) { (check, leaf, value) throws(PageFault) in
            let list = try check.bytes(of: value, in: leaf)
            let count = list.count >= 8 ? list.number(at: 0, UInt64.self) : .max
            guard count <= UInt64(list.count / 8 - 1) else {
                throw PageFault(page: value.page, "a list of free pages is longer than its place")
            }
            for index in 0..<Int(count) {
                try check.places.take(list.number(at: 8 + 8 * index, UInt64.self), by: value.page)
            }
        }
    }

    private mutating func walkMain(_ tree: TreeRecord) throws(PageFault) {
        guard tree.flags == 0 else { throw PageFault(page: nil, "the record of its databases is altered") }
        try walk(tree) { (check, leaf, value) throws(PageFault) in
            guard value.isTree, case .inline(let range) = value.content,
                let tree = leaf.bytes(of: range).withUnsafeBytes({ TreeRecord($0[...]) }),
                tree.flags & ~TreeRecord.integerKeys == 0
            else { throw PageFault(page: value.page, "the record of a database is altered") }
            try check.walk(tree) { (_, _, value) throws(PageFault) in
                guard !value.isTree else {
                    throw PageFault(page: value.page, "an entry is taken for a database")
                }
            }
        }
    }

    /// Visits the entries of a tree in order, and checks what its record counts.
    private mutating func walk(
        _ tree: TreeRecord, _ visit: (inout PageCheck, TreePage, PageValue) throws(PageFault) -> Void
    ) throws(PageFault) {
        guard tree.root != TreeRecord.noRoot else {
            guard tree.depth == 0, tree.counts == TreeCounts() else {
                throw PageFault(page: nil, "a database without a root has pages")
            }
            return
        }
        guard (1...32).contains(tree.depth) else {
            throw PageFault(page: nil, "a database has \(tree.depth) levels")
        }
        var walk = TreeWalk(hasIntegerKeys: tree.flags & TreeRecord.integerKeys != 0)
        try descend(to: tree.root, from: nil, levels: tree.depth, &walk, visit)
        guard walk.counts == tree.counts else {
            throw PageFault(page: tree.root, "its database has other pages than its record counts")
        }
    }

    private mutating func descend(
        to number: UInt64, from parent: UInt64?, levels: Int, _ walk: inout TreeWalk,
        _ visit: (inout PageCheck, TreePage, PageValue) throws(PageFault) -> Void
    ) throws(PageFault) {
        try places.take(number, by: parent)
        let page = try TreePage(number, try file.page(number), isLeaf: levels == 1)
        if levels == 1 { walk.counts.leaves += 1 } else { walk.counts.branches += 1 }
        for index in 0..<page.nodeCount {
            let node = try page.node(index)
            if levels > 1 {
                // The first separator of a page is never looked at.
                if index > 0 {
                    try walk.separate(by: page.key(of: node, isNumber: walk.hasIntegerKeys), on: number)
                }
                try descend(to: node.child, from: number, levels: levels - 1, &walk, visit)
            } else {
                try walk.enter(page.key(of: node, isNumber: walk.hasIntegerKeys), on: number)
                let value = try page.value(of: node)
                if case .pages(let first, let byteCount) = value.content {
                    try take(first, byteCount, of: value, &walk)
                }
                try visit(&self, page, value)
            }
        }
    }

    /// Takes the pages of a long value.
    private mutating func take(
        _ first: UInt64, _ byteCount: Int, of value: PageValue, _ walk: inout TreeWalk
    ) throws(PageFault) {
        var count = file.pageCount(ofValue: byteCount)
        if isThorough || !walk.hasIntegerKeys {
            let front = try file.page(first)
            let stored = UInt64(front.number(at: 12, UInt32.self))
            // A value that became shorter keeps its pages.
            guard front.number(at: 0, UInt64.self) == first,
                front.number(at: 10, UInt16.self) == PageFile.valueFlag,
                stored >= count
            else {
                throw PageFault(
                    page: first, "it is not the first page of a value, as page \(value.page) says")
            }
            count = stored
        }
        for number in 0..<count { try places.take(first &+ number, by: value.page) }
        walk.counts.others += count
    }

    private func bytes(of value: PageValue, in leaf: TreePage) throws(PageFault) -> [UInt8] {
        switch value.content {
        case .inline(let range): leaf.bytes(of: range)
        case .pages(let first, let byteCount): try file.value(from: first, byteCount: byteCount)
        }
    }
}

/// A page that is not what it should be.
public struct PageFault: Error, Hashable, Sendable {
    /// The page's number; nil if it is one of the first two.
    public let page: UInt64?
    /// What is wrong, as the end of a sentence about the page or the file.
    public let what: String

    init(page: UInt64?, _ what: String) {
        self.page = page
        self.what = what
    }

    /// One sentence about the file.
    public var sentence: String { page.map { "page \($0): \(what)" } ?? what }
}

/// Which pages have a place.
private struct PagePlaces {
    private var words: [UInt64]
    private let pageCount: UInt64
    private var takenCount: UInt64 = 2  // the first two say where the trees are

    init(pageCount: UInt64) {
        self.pageCount = pageCount
        words = [UInt64](repeating: 0, count: Int(pageCount / 64) + 1)
    }

    mutating func take(_ page: UInt64, by other: UInt64?) throws(PageFault) {
        guard page > 1, page < pageCount else {
            throw PageFault(page: other, "it leads to page \(page), which is not in the file")
        }
        let (word, bit) = (Int(page / 64), UInt64(1) << (page % 64))
        guard words[word] & bit == 0 else {
            throw PageFault(page: other, "it leads to page \(page), which has its place elsewhere")
        }
        words[word] |= bit
        takenCount += 1
    }

    func checkAllTaken() throws(PageFault) {
        guard takenCount != pageCount else { return }
        throw PageFault(page: nil, "\(pageCount - takenCount) of its pages have no place")
    }
}

/// What is known in the middle of a walk through a tree.
private struct TreeWalk {
    let hasIntegerKeys: Bool
    var counts = TreeCounts()
    private var last: PageKey?
    private var separator: PageKey?

    init(hasIntegerKeys: Bool) { self.hasIntegerKeys = hasIntegerKeys }

    mutating func separate(by key: PageKey, on page: UInt64) throws(PageFault) {
        guard last.map({ $0 < key }) ?? false else {
            throw PageFault(page: page, "its keys are not in order")
        }
        separator = key
    }

    mutating func enter(_ key: PageKey, on page: UInt64) throws(PageFault) {
        guard last.map({ $0 < key }) ?? true, separator.map({ !(key < $0) }) ?? true else {
            throw PageFault(page: page, "its keys are not in order")
        }
        (last, separator) = (key, nil)
        counts.entries += 1
    }
}
