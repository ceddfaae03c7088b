/// Tracks in the order in which they are due: a binary heap that knows where each track stands.
///
/// The same calls give the same order on every machine: ties go by the track's number.
struct DueOrder {
    private var heap: [Int32] = []
    /// Where each track stands in the heap; -1 if it does not.
    private var places: [Int32] = []
    private var dues: [Int64] = []
    /// Taken aside while a rank is looked up.
    private var aside: [Int32] = []

    /// The track that is due first; nil if none is due at all.
    var first: Int? { heap.first.map(Int.init) }

    /// When a track is due, if it stands here.
    func due(of track: Int) -> Int64 { dues[track] }

    /// Makes a place for the next track, which is not due yet.
    mutating func addTrack() {
        places.append(-1)
        dues.append(0)
    }

    func contains(_ track: Int) -> Bool { places[track] >= 0 }

    /// Puts a track where it belongs.
    mutating func set(_ track: Int, due: Int64) {
        dues[track] = due
        if places[track] < 0 {
            places[track] = Int32(heap.count)
            heap.append(Int32(track))
        }
        let place = Int(places[track])
        if !rise(place) { sink(place) }
    }

    mutating func remove(_ track: Int) {
        let place = Int(places[track])
        guard place >= 0 else { return }
        places[track] = -1
        let last = heap.removeLast()
        guard place < heap.count else { return }
        heap[place] = last
        places[Int(last)] = Int32(place)
        if !rise(place) { sink(place) }
    }

    /// How many tracks are due before this one; nil if it is not due at all, or so many that nobody counts.
    mutating func rank(of track: Int, limit: Int) -> Int? {
        guard contains(track) else { return nil }
        return look(limit) { $0 == track }?.rank
    }

    /// The track before which so many are due; nil if there is none.
    mutating func track(atRank rank: Int) -> Int? {
        var index = -1
        let found = look(rank + 1) { _ in
            index += 1
            return index == rank
        }
        return found?.track
    }

    private mutating func look(_ limit: Int, _ isWanted: (Int) -> Bool) -> (track: Int, rank: Int)? {
        var found: (Int, Int)?
        while let track = first, aside.count < limit {
            if isWanted(track) {
                found = (track, aside.count)
                break
            }
            remove(track)
            aside.append(Int32(track))
        }
        for track in aside { set(Int(track), due: dues[Int(track)]) }
        aside.removeAll(keepingCapacity: true)
        return found
    }

    private func isBefore(_ left: Int32, _ right: Int32) -> Bool {
        let (leftDue, rightDue) = (dues[Int(left)], dues[Int(right)])
        return leftDue != rightDue ? leftDue < rightDue : left < right
    }

    /// Whether it rose.
    private mutating func rise(_ start: Int) -> Bool {
        var place = start
        let track = heap[place]
        while place > 0 {
            let parent = (place - 1) / 2
            guard isBefore(track, heap[parent]) else { break }
            put(heap[parent], at: place)
            place = parent
        }
        put(track, at: place)
        return place != start
    }

    private mutating func sink(_ start: Int) {
        var place = start
        let track = heap[place]
        while true {
            var child = 2 * place + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, isBefore(heap[child + 1], heap[child]) { child += 1 }
            guard isBefore(heap[child], track) else { break }
            put(heap[child], at: place)
            place = child
        }
        put(track, at: place)
    }

    private mutating func put(_ track: Int32, at place: Int) {
        heap[place] = track
        places[Int(track)] = Int32(place)
    }
}
