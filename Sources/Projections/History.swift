public import Registry

/// A history entry as the table keeps it, 32 bytes: the stream's number stands for the VIM's id.
struct StoredHistoryEntry: Hashable, Sendable {
    var position: UInt64
    var time: Timestamp
    var stream: UInt32
    var roundTripMicroseconds: UInt32
    var finding: UInt16
    var kind: HistoryEntry.Kind
    var status: VIMStatus

    init(
        position: UInt64, time: Timestamp, stream: UInt32, kind: HistoryEntry.Kind, status: VIMStatus,
        finding: ProbeFinding
    ) {
        self.position = position
        self.time = time
        self.stream = stream
        self.kind = kind
        self.status = status
        self.finding = finding.packed
        roundTripMicroseconds = finding.roundTripMicroseconds
    }
}

extension VIMTable {
    /// What Tacker calls events: registrations, updates, deregistrations and status changes, in order of
    /// position; of one VIM if it is named.
    public func history(of id: VIMID?) -> [HistoryEntry] {
        guard let id else { return entries.map(shown) }
        guard let stream = monitorFacts(id)?.stream else { return [] }
        return entries.lazy.filter { $0.stream == stream }.map(shown)
    }

    /// The entry at a position; nil if there is none.
    public func historyEntry(at position: UInt64) -> HistoryEntry? {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].position < position { low = middle + 1 } else { high = middle }
        }
        guard low < entries.count, entries[low].position == position else { return nil }
        return shown(entries[low])
    }

    /// Forgets the entries up to a position: their events were dropped.
    public mutating func forgetHistory(upTo position: UInt64) {
        entries.removeFirst(entries.firstIndex { $0.position > position } ?? entries.count)
    }

    private func shown(_ entry: StoredHistoryEntry) -> HistoryEntry {
        HistoryEntry(
            position: entry.position, time: entry.time, vimID: ids[Int(entry.stream) - 1], kind: entry.kind,
            status: entry.status,
            finding: ProbeFinding(packed: entry.finding, roundTripMicroseconds: entry.roundTripMicroseconds))
    }
}
