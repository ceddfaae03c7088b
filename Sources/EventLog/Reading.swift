import LMDB

/// What can go wrong while bytes are read, before it is known which file they came from.
enum ReadFault: Error {
    case library(LMDBError)
    case damaged(position: UInt64, what: String)
    case dropped(DroppedPart)
    case cut(CutPlace)
}

/// Why a reading ended early.
public enum ReadError<Failure: Error>: Error {
    /// The log could not be read.
    case log(EventLogError)
    /// The caller's body threw.
    case body(Failure)
}

extension ReadError where Failure == Never {
    /// The only error there can be.
    public var error: EventLogError {
        switch self {
        case .log(let error): error
        }
    }
}

extension EventLog {
    /// Hands whole batches to the body in order, beginning with the one that holds `position`, up to the
    /// end of the log as it stands when it is reached.
    ///
    /// The body returns false to stop. Where the beginning was dropped, reading begins with what is there.
    ///
    /// The view of the file is renewed between batches: a long reading never keeps LMDB from reusing pages.
    ///
    /// - Parameter verifyingSeals: recompute each batch's seal from its bytes and the seal stored before it.
    /// - Throws: ``EventLogError/damaged(path:position:what:)`` at the first batch that is not what it should
    ///   be.
    public func readBatches<Failure: Error>(
        from position: UInt64 = 1, verifyingSeals: Bool = false,
        _ body: (BatchView) throws(Failure) -> Bool
    ) throws(ReadError<Failure>) {
        var walk =
            position <= 1
            ? Walk<Failure>(next: 0, expected: 1, seal: Seal.none)
            : Walk<Failure>(next: position, expected: nil, seal: nil)
        while !walk.isDone {
            do throws(EventLogError) {
                // One view says what is cold, and holds the rest: an archiving beside us is no gap.
                let segment = try withReader { (transaction) throws(ReadFault) -> SegmentHeader? in
                    try walk.pass(try self.cutPlace(transaction))
                    if let dropped = try self.droppedPart(transaction) { try walk.enter(behind: dropped) }
                    if let segment = try self.segment(holding: max(walk.next, 1), transaction) {
                        return segment
                    }
                    try walk.learnSeal(of: self, transaction, verifyingSeals: verifyingSeals)
                    try transaction.cursor(over: self.batches) { (cursor) throws(ReadFault) in
                        try walk.readSome(cursor, verifyingSeals: verifyingSeals, body)
                    }
                    return nil
                }
                if let segment { try read(segment, &walk, body) }
            } catch { throw .log(error) }
            if let failure = walk.failure { throw .body(failure) }
        }
    }

    /// Hands events to the body in order, beginning at a position.
    ///
    /// The body returns false to stop.
    ///
    /// - Throws: ``EventLogError/damaged(path:position:what:)`` at the first event that is not what it should
    ///   be.
    @inlinable
    @inline(__always)  // calls through closures would cost more than an event's decoding
    public func readEvents<Failure: Error>(
        from position: UInt64 = 1, verifyingSeals: Bool = false,
        _ body: (RecordedEvent) throws(Failure) -> Bool
    ) throws(ReadError<Failure>) {
        try readEvents(from: position, verifyingSeals: verifyingSeals) {
            (event, _) throws(Failure) -> Bool in try body(event)
        }
    }

    /// Hands events to the body, each with the batch that it stands in; otherwise the same.
    @inlinable
    @inline(__always)
    public func readEvents<Failure: Error>(
        from position: UInt64 = 1, verifyingSeals: Bool = false,
        _ body: (RecordedEvent, BatchView) throws(Failure) -> Bool
    ) throws(ReadError<Failure>) {
        var damage: EventLogError?
        try readBatches(from: position, verifyingSeals: verifyingSeals) { (batch) throws(Failure) -> Bool in
            do throws(WalkError<Failure>) {
                return try batch.forEachEvent { (event) throws(Failure) -> Bool in
                    event.position < position ? true : try body(event, batch)
                }
            } catch {
                switch error {
                case .body(let failure): throw failure
                case .format(let fault):
                    damage = .damaged(path: path, position: batch.firstPosition, what: fault.sentence)
                    return false
                }
            }
        }
        if let damage { throw .log(damage) }
    }

    /// The head as it was at the last batch committed at or before a moment, in microseconds since 1970.
    ///
    /// A binary search: batch times never decrease.
    public func head(atTime time: UInt64) throws(EventLogError) -> Head {
        try headOfLastBatch(.time(time))
    }

    /// The head right after the batch that holds a position, or the last one before it.
    public func head(at position: UInt64) throws(EventLogError) -> Head {
        try headOfLastBatch(.position(position))
    }

    /// Continues a walk through a segment, to its end or until the body has enough.
    private func read<Failure: Error>(
        _ segment: SegmentHeader, _ walk: inout Walk<Failure>, _ body: (BatchView) throws(Failure) -> Bool
    ) throws(EventLogError) {
        let path = path(of: segment)
        do throws(SegmentFault) {
            var reader = try SegmentReader(path: path, expected: segment)
            reader.skipSeals(before: walk.next)
            if let seal = walk.seal, walk.expected == segment.firstPosition, seal != segment.sealBefore {
                throw .damaged("it does not follow the seal before it", at: segment.firstPosition)
            }
            while !walk.isDone, let batch = try reader.next() {
                if batch.lastPosition >= walk.next { walk.take(batch, body) }
            }
        } catch { throw try explained(error, of: segment) }
    }

    /// What was dropped between looking at the index and opening the file is missing, and not damaged.
    private func explained(
        _ fault: SegmentFault, of segment: SegmentHeader
    ) throws(EventLogError) -> EventLogError {
        if let dropped = try droppedPart(), segment.lastPosition <= dropped.lastPosition {
            return eventLogError(.dropped(dropped))
        }
        return EventLogError(fault, path: path(of: segment))
    }

    /// The last batch for which a monotonic condition holds.
    private func headOfLastBatch(_ place: Place) throws(EventLogError) -> Head {
        let (found, segment) = try withReader { (transaction) throws(ReadFault) in
            let archived = try self.lastSegment(transaction)
            let found = try self.hotHead(place, after: archived?.lastPosition ?? 0, transaction)
            let isCold = found == .none && archived != nil
            return (found, isCold ? try self.lastSegment(place, transaction) : nil)
        }
        guard let segment else { return found }
        if place.isBehind(segment) { return segment.head }
        let path = path(of: segment)
        var head = Head.none
        do throws(SegmentFault) {
            var reader = try SegmentReader(path: path, expected: segment)
            switch place {
            case .time(let time): reader.skipSeals(beforeTime: time)
            case .position(let position): reader.skipSeals(before: position)
            }
            while let batch = try reader.next(), place.holds(batch) { head = Head(batch) }
        } catch { throw try explained(error, of: segment) }
        return head
    }

    /// The last segment whose first batch fulfils the condition.
    private func lastSegment(
        _ place: Place, _ transaction: borrowing ReadTransaction
    ) throws(ReadFault) -> SegmentHeader? {
        guard let segments else { return nil }
        return try transaction.cursor(over: segments) { (cursor) throws(ReadFault) in
            var entry = try cursor.entry(.last)
            while let found = entry {
                let segment = try SegmentHeader(found)
                if place.reaches(segment) { return segment }
                entry = try cursor.entry(.previous)
            }
            return nil
        }
    }

    /// The same in the data file, among batches after the archived ones.
    func hotHead(
        _ place: Place, after archived: UInt64, _ transaction: borrowing ReadTransaction
    ) throws(ReadFault) -> Head {
        try transaction.cursor(over: batches) { (cursor) throws(ReadFault) in
            guard let last = try cursor.entry(.last) else { return .none }
            var (low, high) = (archived + 1, try BatchView(last).firstPosition)
            var found = Head.none
            while low <= high {
                let middle = low + (high - low) / 2
                guard let entry = try cursor.entry(.holding(middle)) else { break }
                let batch = try BatchView(entry)
                // Another one, which a damaged page led to, might be met again and again.
                guard batch.firstPosition <= middle, middle <= batch.lastPosition else {
                    throw .gap(at: middle, before: batch)
                }
                if place.holds(batch) {
                    found = Head(batch)
                    low = batch.lastPosition + 1
                } else {
                    high = batch.firstPosition - 1
                }
            }
            return found
        }
    }
}

/// The last batch at or before a time, or a position.
enum Place {
    case time(UInt64)
    case position(UInt64)

    func holds(_ batch: BatchView) -> Bool {
        switch self {
        case .time(let time): batch.header.time <= time
        case .position(let position): batch.firstPosition <= position
        }
    }

    /// Whether it is the segment's first batch, or one after it.
    func reaches(_ segment: SegmentHeader) -> Bool {
        switch self {
        case .time(let time): segment.firstTime <= time
        case .position(let position): segment.firstPosition <= position
        }
    }

    /// Whether it is the segment's last batch, or one after it.
    func isBehind(_ segment: SegmentHeader) -> Bool {
        switch self {
        case .time(let time): segment.lastTime <= time
        case .position(let position): segment.lastPosition <= position
        }
    }
}

extension Head {
    init(_ batch: BatchView) {
        self.init(
            position: batch.lastPosition, seal: batch.header.seal, time: batch.header.time,
            epoch: batch.header.epoch)
    }
}

/// One reading, across the views it takes.
private struct Walk<Failure: Error> {
    /// Where the next view begins.
    var next: UInt64
    /// The position the next batch must have; nil before the first.
    var expected: UInt64?
    /// The seal before the next batch; nil if it is not known.
    var seal: Seal?
    var isDone = false
    var failure: Failure?
    private var hasBegun = false
    /// How often the log was cut before this reading began.
    private var cutCount: UInt64?

    init(next: UInt64, expected: UInt64?, seal: Seal?) {
        (self.next, self.expected, self.seal) = (next, expected, seal)
    }

    /// Begins behind what was dropped; if that happened on the way, what is missing is told.
    mutating func enter(behind dropped: DroppedPart) throws(ReadFault) {
        guard next <= dropped.lastPosition else { return }
        guard !hasBegun else { throw .dropped(dropped) }
        (next, expected, seal) = (dropped.lastPosition + 1, dropped.lastPosition + 1, dropped.seal)
    }

    /// Ends where what was read is no longer in the log.
    mutating func pass(_ cut: CutPlace) throws(ReadFault) {
        defer { cutCount = cut.count }
        guard hasBegun, let cutCount, cut.count != cutCount else { return }
        // Of several cuts only the last one is known.
        guard cut.count == cutCount + 1, next <= cut.position + 1 else { throw .cut(cut) }
    }

    mutating func readSome(
        _ cursor: borrowing Cursor, verifyingSeals: Bool, _ body: (BatchView) throws(Failure) -> Bool
    ) throws(ReadFault) {
        var byteCount = 0
        var entry = try cursor.entry(.holding(next))
        while let found = entry {
            let batch = try BatchView(found)
            guard expected.map({ $0 == batch.firstPosition }) ?? (batch.firstPosition <= next) else {
                throw .gap(at: expected ?? next, before: batch)
            }
            if verifyingSeals, let seal, batch.computedSeal(after: seal) != batch.header.seal {
                throw .damaged(position: batch.firstPosition, what: "the batch does not match its seal")
            }
            take(batch, body)
            if isDone { return }
            byteCount += found.value.count
            if byteCount >= Limits.viewByteMax { return }
            entry = try cursor.entry(.next)
        }
        isDone = true
    }
}

extension Walk {
    /// Hands a batch to the body.
    mutating func take(_ batch: BatchView, _ body: (BatchView) throws(Failure) -> Bool) {
        hasBegun = true
        next = batch.lastPosition + 1
        expected = next
        seal = batch.header.seal
        do throws(Failure) { isDone = try !body(batch) } catch {
            failure = error
            isDone = true
        }
    }

    /// Looks up the seal before the first batch, if seals are to be verified and it is not known yet.
    mutating func learnSeal(
        of log: EventLog, _ transaction: borrowing ReadTransaction, verifyingSeals: Bool
    ) throws(ReadFault) {
        guard verifyingSeals, seal == nil else { return }
        let start = next
        let first = try transaction.cursor(over: log.batches) { (cursor) throws(ReadFault) in
            try cursor.entry(.holding(start)).map { (entry) throws(ReadFault) in
                try BatchView(entry).firstPosition
            }
        }
        seal = try first.flatMap { (position) throws(ReadFault) in
            try log.seal(before: position, transaction)
        }
    }
}

extension ReadFault {
    fileprivate static func gap(at position: UInt64, before batch: BatchView) -> ReadFault {
        .damaged(position: position, what: "the next batch begins at position \(batch.firstPosition)")
    }
}

extension ReadTransaction {
    borrowing func cursor<Result>(
        over database: Database, _ body: (borrowing Cursor) throws(ReadFault) -> Result
    ) throws(ReadFault) -> Result {
        do throws(TransactionError<ReadFault>) { return try withCursor(over: database, body) } catch {
            switch error {
            case .library(let error): throw .library(error)
            case .body(let fault): throw fault
            }
        }
    }
}

/// Where a cursor is to go.
enum CursorGoal {
    case last
    case next
    case previous
    /// The batch that holds a position; nil beyond the end.
    case holding(UInt64)
}

extension Cursor {
    borrowing func entry(_ goal: CursorGoal) throws(ReadFault) -> Entry? {
        do throws(LMDBError) {
            switch goal {
            case .last: return try last()
            case .next: return try next()
            case .previous: return try previous()
            case .holding(let position):
                let found = try seek(position)
                if let found, found.key.count == 8, found.key.load(at: 0) as UInt64 == position {
                    return found
                }
                // The batch before may reach up to the position.
                guard let before = try found == nil ? last() : previous() else { return found }
                guard before.key.count == 8,
                    let batch = try? BatchView(before), batch.lastPosition < position
                else { return before }
                return try next()
            }
        } catch { throw .library(error) }
    }
}

extension BatchView {
    init(_ entry: Cursor.Entry) throws(ReadFault) {
        guard entry.key.count == 8 else {
            throw .damaged(position: 0, what: "a batch's key has \(entry.key.count) bytes")
        }
        let position: UInt64 = entry.key.load(at: 0)
        do throws(FormatFault) { try self.init(firstPosition: position, bytes: entry.value) } catch {
            throw .damaged(position: position, what: error.sentence)
        }
    }
}
