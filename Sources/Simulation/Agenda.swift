import HeapModule

/// What will happen, in order of time; at one time, in the order in which it was arranged.
struct Agenda {
    /// Small, since a heap moves its elements often.
    private struct Entry: Comparable {
        var time: Duration
        var sequence: Int
        var slot: Int

        static func < (left: Entry, right: Entry) -> Bool {
            left.time != right.time ? left.time < right.time : left.sequence < right.sequence
        }
    }

    private var entries = Heap<Entry>()
    private var slots: [World.Happening] = []
    private var freeSlots: [Int] = []
    private var sequence = 0

    mutating func add(_ happening: World.Happening, at time: Duration) {
        sequence += 1
        if let slot = freeSlots.popLast() {
            slots[slot] = happening
            entries.insert(Entry(time: time, sequence: sequence, slot: slot))
        } else {
            slots.append(happening)
            entries.insert(Entry(time: time, sequence: sequence, slot: slots.count - 1))
        }
    }

    /// Takes what comes next; nil if that is later.
    mutating func next(until end: Duration) -> (Duration, World.Happening)? {
        guard let entry = entries.min, entry.time <= end else { return nil }
        entries.removeMin()
        freeSlots.append(entry.slot)
        return (entry.time, slots[entry.slot])
    }
}
