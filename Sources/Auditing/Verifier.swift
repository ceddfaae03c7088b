public import EventLog
import LMDB
public import Registry
import Threads

#if canImport(Glibc)
    import Glibc
#endif

/// Reads a whole log with code of its own and says whether it is what it should be.
///
/// Stretches of the log are checked side by side, since the seal before each batch is stored; joining them in
/// order checks what each had to take for granted.
public struct Verifier: Sendable {
    /// What was checked.
    public struct Report: Sendable {
        /// Batches, each with its seal.
        public var batchCount: UInt64 = 0
        /// Events, each with its envelope, its place in its stream and its payload.
        public var eventCount: UInt64 = 0
        /// Bytes of the batches.
        public var byteCount: UInt64 = 0
        /// Streams of VIMs.
        public var streamCount: UInt64 = 0
        /// The last position and its seal.
        public var head = Head.none
        /// What was dropped, and can no longer be verified; nil if nothing was.
        public var dropped: Dropped?
        /// The first damage; nil if there is none.
        public var damage: Damage?
        /// The checkpoint and the vault beside what the events led to; nil if the log is damaged.
        public var state: StateAudit?

        /// Nothing was checked yet.
        public init() {}
    }

    /// What was dropped: its seals follow each other, and the base is the one that `log.dropped` names.
    public struct Dropped: Hashable, Sendable {
        /// The position of the last event that is gone.
        public var lastPosition: UInt64
        /// How many segments are gone.
        public var segmentCount: Int
        /// When the last of them was dropped, in microseconds since 1970.
        public var time: UInt64
        /// The position of the `log.dropped` that says so.
        public var eventPosition: UInt64
    }

    private let log: EventLog
    private let workerCount: Int
    private let stretchLength: UInt64

    /// A view of the file is let go after so many bytes: a view held open keeps LMDB from reusing pages.
    static let viewByteMax = 1 * 1_024 * 1_024

    /// Verifies an open log, of which only the file's entries are taken: their bytes are read with code of
    /// the auditor's own.
    ///
    /// - Parameters:
    ///   - workerCount: how many threads read; nil means one for each processor.
    ///   - stretchLength: positions of a stretch: few enough to share the work out, enough to make joining
    ///     cheap.
    public init(of log: EventLog, workerCount: Int? = nil, stretchLength: UInt64 = 1 << 18) {
        self.log = log
        self.stretchLength = stretchLength
        self.workerCount = workerCount ?? max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    }

    /// The same, of the log in a directory.
    ///
    /// - Throws: ``EventLogError`` if the file cannot be opened or is no log of a known format.
    init(
        directory: String, workerCount: Int? = nil, stretchLength: UInt64 = 1 << 18
    ) throws(EventLogError) {
        self.init(
            of: try EventLog(directory: directory, access: .read), workerCount: workerCount,
            stretchLength: stretchLength)
    }

    /// Checks every batch up to the end as it stands now, and the state beside them; anew, if events were
    /// dropped meanwhile: what is missing then is no damage.
    ///
    /// - Parameters:
    ///   - checkKey: asked of each entry of the vault, on the calling thread; may be asked twice.
    ///   - progress: told the positions done and the last one, on any thread.
    public func run(
        checkingKeys checkKey: StateAudit.KeyCheck = { _, _ in nil },
        progress: @escaping @Sendable (UInt64, UInt64) -> Void = { _, _ in }
    ) -> Report {
        log.undisturbedByDrops { runOnce(checkKey, progress) }
    }

    private func runOnce(
        _ checkKey: StateAudit.KeyCheck, _ progress: @escaping @Sendable (UInt64, UInt64) -> Void
    ) -> Report {
        var report = Report()
        let job: VerifierJob
        let base: StoredBase?
        var state: StateAudit
        let vault: [(name: [UInt8], key: [UInt8])]
        do throws(Damage) {
            base = try storedBase()
            state = StateAudit(of: log)
            // Before the end, so that no segment goes beyond it.
            let coldEnds = try segmentEnds()
            let end: UInt64
            (end, vault) = try endAndVault()
            try checkLeftovers(upTo: coldEnds.last ?? 0)
            job = VerifierJob(
                after: base, comparing: state.comparedPlace, last: end, coldEnds: coldEnds,
                length: stretchLength, progress: progress)
        } catch {
            report.damage = error
            return report
        }
        let cut = state.comparedPlace?.position
        let workers = (0..<workerCount).map { number in
            DedicatedThread(name: "verify-\(number)") { [self] in
                var audit = StretchAudit(cut: cut)
                while let (number, range) = job.next() { job.finish(number, read(range, &audit)) }
            }
        }
        // Beside them, since it takes its time where there are many.
        state.check(vault, checkKey)
        for worker in workers { worker.join() }
        let (chain, damage) = job.result()
        report.batchCount = chain.batchCount
        report.eventCount = chain.eventCount
        report.byteCount = chain.byteCount
        report.streamCount = chain.streamCount
        report.head = Head(
            position: chain.position, seal: chain.seal.seal ?? .none, time: chain.time, epoch: chain.epoch)
        report.damage = damage ?? StoredBase.damage(of: base, saidBy: chain.drops)
        if let base, let drop = base.drop(among: chain.drops) {
            report.dropped = Dropped(
                lastPosition: base.position, segmentCount: base.segmentCount, time: base.time,
                eventPosition: drop.position)
        }
        if report.damage == nil {
            state.compare(with: chain.table, at: chain.tableAtCheckpoint, in: log)
            report.state = state
        }
        return report
    }

    /// The base and what is left of the segments that it stands for; nil if nothing was dropped.
    private func storedBase() throws(Damage) -> StoredBase? {
        guard let base = log.base, let segments = log.segments else { return nil }
        let entries = try values(of: base)
        guard !entries.isEmpty else { return nil }
        var index: [SegmentHeader] = []
        for entry in try values(of: segments) {
            do throws(FormatFault) { index.append(try SegmentHeader(indexEntry: entry)) } catch {
                throw Damage(at: index.last?.lastPosition ?? 0, error.sentence)
            }
        }
        return try StoredBase(entries: entries, tombstones: index)
    }

    private func values(of database: Database) throws(Damage) -> [[UInt8]] {
        try withCursor(over: database) { (cursor) throws(Damage) in
            try entries(of: cursor).map(\.value)
        }
    }

    private func entries(
        of cursor: borrowing Cursor
    ) throws(Damage) -> [(key: [UInt8], value: [UInt8])] {
        var entries: [(key: [UInt8], value: [UInt8])] = []
        while let entry = try step({ () throws(LMDBError) in try cursor.next() }, near: 0) {
            entries.append((Array(entry.key), Array(entry.value)))
        }
        return entries
    }

    /// The key of the last batch, which is where the last stretch must reach, and the vault as it was then:
    /// both change in one commit, so they must agree.
    private func endAndVault() throws(Damage) -> (UInt64, [(name: [UInt8], key: [UInt8])]) {
        try withTransaction { (transaction) throws(TransactionError<Damage>) in
            let end = try transaction.withCursor(over: log.batches) { (cursor) throws(Damage) in
                guard let entry = try step({ () throws(LMDBError) in try cursor.last() }, near: 0) else {
                    return 0 as UInt64
                }
                return try Verifier.key(of: entry, near: 0)
            }
            let vault = try transaction.withCursor(over: log.vault) { (cursor) throws(Damage) in
                try entries(of: cursor).map { (name: $0.key, key: $0.value) }
            }
            return (end, vault)
        }
    }

    /// What segments hold and the data file still does, too, nobody reads; its pages are freed some day.
    private func checkLeftovers(upTo end: UInt64) throws(Damage) {
        guard end > 0 else { return }
        try withCursor { (cursor) throws(Damage) in
            while let entry = try step({ () throws(LMDBError) in try cursor.next() }, near: 0) {
                let key = try Verifier.key(of: entry, near: 0)
                guard key <= end else { return }
                try Verifier.checkPages(of: entry, key, cursor)
            }
        }
    }

    private static func checkPages(
        of entry: Cursor.Entry, _ key: UInt64, _ cursor: borrowing Cursor
    ) throws(Damage) {
        guard cursor.hasItsPages(entry) else {
            throw Damage(at: key, "the first page of the batch is not the one that belongs there")
        }
    }

    /// All batches whose values begin in the range.
    private func read(_ range: Range<UInt64>, _ audit: inout StretchAudit) -> [Stretch] {
        var next = range.lowerBound
        var isFirst = true
        audit.begin(after: .none)
        while next < range.upperBound {
            do throws(Damage) {
                if let segment = try segment(holding: max(next, 1)) {
                    next = try read(segment, from: next, to: range.upperBound, &isFirst, &audit)
                } else {
                    let end = try withCursor { (cursor) throws(Damage) in
                        if isFirst { audit.begin(after: try sealBefore(range.lowerBound, cursor)) }
                        return try readView(from: next, to: range.upperBound, cursor, &audit)
                    }
                    // Nothing found is no gap if it was archived meanwhile.
                    if audit.stretch.lastPosition < next, try segment(holding: max(next, 1)) != nil {
                        continue
                    }
                    isFirst = false
                    next = end
                }
            } catch {
                // What was looked for in the data file may have been archived meanwhile.
                if error.path == nil, ((try? segment(holding: max(next, 1))) ?? nil) != nil { continue }
                return audit.end(error)
            }
        }
        return audit.end(nil)
    }

    /// Reads the batches of a segment that begin in a range and returns the key to go on with.
    ///
    /// A segment does not hold its batches' seals one by one. A whole one is read without them: the audit
    /// computes each once, and the last one must be what was archived. Where that fails, or only a part is
    /// wanted, the segment's reader computes them, too, and says which block is to blame.
    private func read(
        _ segment: SegmentHeader, from start: UInt64, to end: UInt64, _ isFirst: inout Bool,
        _ audit: inout StretchAudit
    ) throws(Damage) -> UInt64 {
        do throws(EventLogError) {
            let isWhole = isFirst && start <= segment.firstPosition && end > segment.lastPosition
            if !isWhole {
                try read(segment, from: start, to: end, isSealed: true, isFirst, &audit)
            } else {
                try read(segment, from: start, to: end, isSealed: false, isFirst, &audit)
                if audit.stretch.lastSeal != StoredBatch.SealBytes(segment.lastSeal) {
                    try read(segment, from: start, to: end, isSealed: true, isFirst, &audit)
                }
            }
            isFirst = false
        } catch {
            guard case .damaged(let path, let position, let what) = error else {
                var damage = Damage(at: segment.firstPosition, error.sentence)
                damage.path = log.path(of: segment)
                throw damage
            }
            var damage = Damage(at: position == 0 ? segment.firstPosition : position, what)
            damage.path = path
            throw damage
        }
        return min(end, segment.lastPosition + 1)
    }

    private func read(
        _ segment: SegmentHeader, from start: UInt64, to end: UInt64, isSealed: Bool, _ isFirst: Bool,
        _ audit: inout StretchAudit
    ) throws(EventLogError) {
        var isFirst = isFirst
        var stored = try SegmentBatches(
            of: segment, in: log.directory, from: max(start, 2) - 1, isSealing: isSealed)
        var before = segment.firstPosition == 1 ? Seal.none : segment.sealBefore
        while let batch = try stored.next(), batch.firstPosition < end {
            defer { before = batch.header.seal }
            guard batch.firstPosition >= start else { continue }
            if isFirst { audit.begin(after: StoredBatch.SealBytes(before)) }
            isFirst = false
            do throws(Damage) {
                try audit.take(try StoredBatch(at: batch.firstPosition, in: batch.bytes), isSealed: isSealed)
            } catch {
                throw EventLogError.damaged(
                    path: log.path(of: segment), position: error.position, what: error.sentence)
            }
        }
    }

    /// The last positions of all segments, in order.
    private func segmentEnds() throws(Damage) -> [UInt64] {
        guard let segments = log.segments else { return [] }
        return try withCursor(over: segments) { (cursor) throws(Damage) in
            var ends: [UInt64] = []
            while let entry = try step({ () throws(LMDBError) in try cursor.next() }, near: ends.last ?? 0) {
                let segment = try Verifier.segment(in: entry, near: (ends.last ?? 0) + 1)
                guard segment.firstPosition == (ends.last ?? 0) + 1 else {
                    throw Damage(
                        at: (ends.last ?? 0) + 1,
                        "the next segment of the archive begins at \(segment.firstPosition)")
                }
                ends.append(segment.lastPosition)
            }
            return ends
        }
    }

    /// The segment that holds a position; nil if none does.
    private func segment(holding position: UInt64) throws(Damage) -> SegmentHeader? {
        guard let segments = log.segments else { return nil }
        return try withCursor(over: segments) { (cursor) throws(Damage) in
            _ = try step({ () throws(LMDBError) in try cursor.seek(position + 1) }, near: position)
            let found = try step({ () throws(LMDBError) in try cursor.previous() }, near: position)
            guard let found else { return nil }
            let segment = try Verifier.segment(in: found, near: position)
            return position <= segment.lastPosition ? segment : nil
        }
    }

    /// Reads an entry of the archive's index.
    private static func segment(
        in entry: Cursor.Entry, near position: UInt64
    ) throws(Damage) -> SegmentHeader {
        let segment: SegmentHeader
        do throws(FormatFault) { segment = try SegmentHeader(indexEntry: Array(entry.value)) } catch {
            throw Damage(at: position, error.sentence)
        }
        guard try key(of: entry, near: position) == segment.firstPosition else {
            throw Damage(at: position, "a segment is entered under another position than its own")
        }
        return segment
    }

    /// Reads a view's worth of values and returns the key to go on with.
    private func readView(
        from start: UInt64, to end: UInt64, _ cursor: borrowing Cursor, _ audit: inout StretchAudit
    ) throws(Damage) -> UInt64 {
        var byteCount = 0
        var entry = try step({ () throws(LMDBError) in try cursor.seek(start) }, near: start)
        while let found = entry {
            let key = try Verifier.key(of: found, near: start)
            guard key < end else { return end }
            guard key >= start else { throw Damage(at: key, "the keys of the batches are not in order") }
            try Verifier.checkPages(of: found, key, cursor)
            try audit.take(try StoredBatch(at: key, in: found.value))
            byteCount += found.value.count
            if byteCount >= Verifier.viewByteMax { return key + 1 }
            entry = try step({ () throws(LMDBError) in try cursor.next() }, near: key)
        }
        return end
    }

    /// The seal of the batch before a place.
    private func sealBefore(
        _ place: UInt64, _ cursor: borrowing Cursor
    ) throws(Damage) -> StoredBatch.SealBytes {
        let found = try step({ () throws(LMDBError) in try cursor.seek(place) }, near: place)
        if let position = try found.map({ (entry) throws(Damage) in
            try Verifier.key(of: entry, near: place)
        }), position > 1, let segment = try segment(holding: position - 1) {
            return StoredBatch.SealBytes(segment.lastSeal)
        }
        let before = try step(
            { () throws(LMDBError) in found == nil ? try cursor.last() : try cursor.previous() }, near: place)
        guard let before else { return .none }
        // What is wrong with that batch is told by the stretch it belongs to.
        return (try? StoredBatch(at: Verifier.key(of: before, near: place), in: before.value))?.seal ?? .none
    }

    private static func key(of entry: Cursor.Entry, near place: UInt64) throws(Damage) -> UInt64 {
        guard entry.key.count == 8 else {
            throw Damage(at: place, "a batch's key has \(entry.key.count) bytes")
        }
        return entry.key.number(at: 0, UInt64.self)
    }

    private func step<Result>(
        _ body: () throws(LMDBError) -> Result, near place: UInt64
    ) throws(Damage) -> Result {
        do throws(LMDBError) { return try body() } catch {
            throw Damage(at: place, "the page that holds it cannot be read (\(error))")
        }
    }

    private func withCursor<Result>(
        over database: Database? = nil, _ body: (borrowing Cursor) throws(Damage) -> Result
    ) throws(Damage) -> Result {
        try withTransaction { (transaction) throws(TransactionError<Damage>) in
            try transaction.withCursor(over: database ?? log.batches, body)
        }
    }

    private func withTransaction<Result>(
        _ body: (borrowing ReadTransaction) throws(TransactionError<Damage>) -> Result
    ) throws(Damage) -> Result {
        do throws(TransactionError<TransactionError<Damage>>) { return try log.environment.read(body) } catch
        {
            switch error {
            case .body(.body(let damage)): throw damage
            case .library(let error), .body(.library(let error)):
                throw Damage(at: 0, "the file cannot be read (\(error))")
            }
        }
    }
}
