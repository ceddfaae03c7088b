import Registry

/// From VIM id to row, by open addressing: four bytes a slot, at most half of them used.
///
/// Ids are random (UUID version 4), so their own bits spread them; no hash function is needed.
struct StreamIndex: Sendable {
    private var slots: [UInt32]
    private var count = 0

    init() { slots = [UInt32](repeating: 0, count: 16) }

    /// The row of an id among the rows' ids; nil if it has none.
    func row(of id: VIMID, in ids: [VIMID]) -> Int? {
        var slot = StreamIndex.hash(id) & (slots.count - 1)
        while slots[slot] != 0 {
            let row = Int(slots[slot]) - 1
            if ids[row] == id { return row }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    /// Adds the row that was appended last to `ids`.
    mutating func addLast(of ids: [VIMID]) {
        count += 1
        precondition(count == ids.count, "rows are indexed as they are appended")
        if count * 2 > slots.count {
            slots = [UInt32](repeating: 0, count: slots.count * 2)
            for row in ids.indices { insert(row, ids[row]) }
        } else {
            insert(ids.count - 1, ids[ids.count - 1])
        }
    }

    private mutating func insert(_ row: Int, _ id: VIMID) {
        var slot = StreamIndex.hash(id) & (slots.count - 1)
        while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = UInt32(row) + 1
    }

    private static func hash(_ id: VIMID) -> Int {
        Int(truncatingIfNeeded: (id.value.low ^ (id.value.high &* 0x9E37_79B9_7F4A_7C15)) >> 8)
    }
}
