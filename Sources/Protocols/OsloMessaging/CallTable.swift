/// The calls under way, in as many places as there ever were at once.
///
/// A call's id says which place is its own, so nothing is searched or hashed; ids are never used again.
struct CallTable<Call> {
    private static var placeBits: UInt64 { 20 }

    private var places: [(id: ServerCore.CallID, call: Call?)] = []
    private var free: [Int] = []
    private var addedCount: UInt64 = 0

    var isEmpty: Bool { free.count == places.count }

    /// Adds a call under an id that no other had.
    mutating func add(_ call: Call) -> ServerCore.CallID {
        if free.isEmpty {
            precondition(places.count < 1 << CallTable.placeBits, "the broker was told to send fewer at once")
            free.append(places.count)
            places.append((0, nil))
        }
        addedCount += 1
        let place = free.removeLast()
        let id = addedCount << CallTable.placeBits | UInt64(place)
        places[place] = (id, call)
        return id
    }

    /// Takes a call out; nil if it is not there any more.
    mutating func remove(_ id: ServerCore.CallID) -> Call? {
        guard let place = place(of: id) else { return nil }
        free.append(place)
        var call: Call?
        swap(&call, &places[place].call)
        return call
    }

    /// A call that is there; nil if it is not.
    subscript(id: ServerCore.CallID) -> Call? {
        get { place(of: id).flatMap { places[$0].call } }
        set { if let place = place(of: id) { places[place].call = newValue } }
    }

    /// All that are there.
    var calls: some Sequence<Call> { places.lazy.compactMap(\.call) }

    private func place(of id: ServerCore.CallID) -> Int? {
        let place = Int(id & (1 << CallTable.placeBits - 1))
        return place < places.count && places[place].id == id && places[place].call != nil ? place : nil
    }
}
