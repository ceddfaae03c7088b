import LMDB

// How two logs of a pair find the newest position up to which they are the same.
extension EventLog {
    /// Some ends of batches behind the first position up to the second, newest first, at most 32: the last
    /// one in the range, a few right before it, then ever wider apart.
    ///
    /// Two logs of a pair mostly part near their ends, so that one question finds the place; from far back a
    /// few do. What is archived is marked where segments end, dropped ones included: other places in there
    /// would have to be decoded for, and a log is not cut in there anyway.
    public func marks(above low: UInt64, upTo high: UInt64) throws(EventLogError) -> [Head] {
        try withReader { (transaction) throws(ReadFault) in
            let first = try self.lastEnd(upTo: high, transaction)
            var marks: [Head] = []
            var next = first
            var distance: UInt64 = 0
            while next.position > low, marks.count < 32 {
                marks.append(next)
                if marks.count >= 4 { distance = max(2 * distance, first.position - next.position) }
                guard distance < first.position else { break }
                next = try self.lastEnd(
                    upTo: min(next.position - 1, first.position - distance), transaction)
            }
            return marks
        }
    }

    /// The newest of some heads that this log has, durably, with position, epoch and seal; nil if none.
    ///
    /// One of them is found in few steps since, of heads of one history, whoever has one has all before it.
    public func newestCommon(of heads: [Head]) throws(EventLogError) -> Head? {
        try undisturbedByDrops { () throws(EventLogError) in
            let gone = try droppedPart()?.lastPosition ?? 0
            let ends = Set(try tombstones().map(\.lastPosition))
            // Among what was dropped only the ends of segments can be told.
            let heads = heads.sorted { $0.position > $1.position }
                .filter { $0.position > gone || $0.position == 0 || ends.contains($0.position) }
            var (low, high) = (0, heads.count)
            var found: Head?
            while low < high {
                let middle = (low + high) / 2
                if let own = try own(heads[middle]) {
                    (found, high) = (own, middle)
                } else {
                    low = middle + 1
                }
            }
            return found
        }
    }

    /// This log's own head of the same position, epoch and seal; nil if it has none.
    private func own(_ mark: Head) throws(EventLogError) -> Head? {
        let near: Head = try withReader { (transaction) throws(ReadFault) in
            try self.lastEnd(upTo: mark.position, transaction)
        }
        // Within the archive its batches tell.
        let own = near.position == mark.position ? near : try head(at: mark.position)
        return own.isSamePlace(as: mark) ? own : nil
    }

    /// The head at the last end of a batch up to a position; of what is archived, of a segment.
    func lastEnd(
        upTo position: UInt64, _ transaction: borrowing ReadTransaction
    ) throws(ReadFault) -> Head {
        let last = try lastSegment(transaction)
        let hot: Head? = try transaction.cursor(over: batches) { (cursor) throws(ReadFault) in
            // Where a batch holds the next position, the one before it is the last up to this one.
            let next = position < .max ? try cursor.entry(.holding(position + 1)) : nil
            guard let entry = try cursor.entry(next == nil ? .last : .previous) else { return nil }
            return Head(try BatchView(entry))
        }
        if let hot, hot.position > last?.lastPosition ?? 0 { return hot }
        guard let last, position > 0 else { return .none }
        if last.lastPosition <= position { return last.head }
        let holder = try segment(holding: position, transaction)
        guard let holder else { return .none }
        if holder.lastPosition == position { return holder.head }
        return try segment(holding: holder.firstPosition - 1, transaction)?.head ?? .none
    }
}

extension Head {
    /// Whether it is the same place in the same history; the time, which the seal takes in, does not matter.
    func isSamePlace(as other: Head) -> Bool {
        position == other.position && epoch == other.epoch && seal == other.seal
    }
}
