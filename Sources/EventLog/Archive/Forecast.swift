/// What is known of every stream within a segment, and hence what is likely to come next.
///
/// Both sides of the codec keep one; it must depend on nothing but what was coded before.
struct Forecast {
    /// What is known of one stream.
    struct Track {
        let stream: UInt32
        /// The position of the stream's last event.
        var lastPosition: UInt64 = 0
        /// Type, format and payload length of the stream's last event.
        var kind: EventKind?
        var rhythm = Rhythm()
        var timeSpread: Spread
        /// Where the words of the last small payload stand; -1 if there was none.
        var wordsAt = -1
    }

    /// A payload's word, and where its values usually lie.
    struct Word {
        var last: UInt32
        /// Sixteen times the mean.
        var mean: Int64
        var spread: Spread

        init(_ value: UInt32) {
            last = value
            mean = Int64(value) << 4
            spread = Spread(around: UInt64(value) / 4 + 16)
        }

        var expected: Int64 { (mean + 8) >> 4 }

        /// Takes in a value that changed.
        mutating func note(_ value: UInt32) {
            last = value
            let bound = Int64(spread.distance) * 2 + 8
            let step = min(max(Int64(value) - expected, -bound), bound)
            spread.note(folded(Int64(value) - expected))
            mean += step * 2
        }
    }

    /// A payload of at most so many words is compared word by word with the one before.
    static let wordMax = 10
    /// Streams that are due before the one that comes are counted up to here.
    static let rankMax = 14

    private(set) var tracks: [Track] = []
    private(set) var words: [Word] = []
    private var trackOfStream: [UInt32: Int] = [:]
    private var order = DueOrder()
    /// How far times usually are from the expected, all streams together.
    private var timeSpread = Spread(around: 4_096)
    /// How far a batch usually is from the one before, for streams without a rhythm.
    private var gapSpread = Spread(around: 65_536)
    /// The time of the last batch, in microseconds since 1970.
    private(set) var time: UInt64

    init(time: UInt64) { self.time = time }

    /// Streams that have long been due are not waited for any more; call before each batch.
    mutating func forgetOverdue() {
        let now = Int64(bitPattern: time) &* Rhythm.unit
        while let track = order.first, order.due(of: track) &+ tracks[track].rhythm.patience < now {
            order.remove(track)
        }
    }

    /// The track of a stream; nil if the stream has not come yet.
    func track(ofStream stream: UInt32) -> Int? { trackOfStream[stream] }

    /// How many streams are due before this one; nil if it is not due soon.
    mutating func rank(ofStream stream: UInt32) -> Int? {
        guard let track = trackOfStream[stream] else { return nil }
        return order.rank(of: track, limit: Forecast.rankMax)
    }

    /// The track before which so many are due; nil if there is none.
    mutating func track(atRank rank: Int) -> Int? { order.track(atRank: rank) }

    mutating func addTrack(stream: UInt32) -> Int {
        tracks.append(Track(stream: stream, timeSpread: timeSpread))
        trackOfStream[stream] = tracks.count - 1
        order.addTrack()
        return tracks.count - 1
    }

    /// When the next batch is expected, if it begins with this track, and how exactly.
    func expectedTime(of track: Int) -> (time: UInt64, noiseBitCount: Int) {
        guard order.contains(track), let due = tracks[track].rhythm.dueTime else {
            return (time, gapSpread.noiseBitCount)
        }
        return (due, tracks[track].timeSpread.noiseBitCount)
    }

    /// Takes in a batch's time: its first event's.
    mutating func note(time now: UInt64, of track: Int) {
        let distance = folded(Int64(bitPattern: now &- expectedTime(of: track).time))
        if order.contains(track) {
            tracks[track].timeSpread.note(distance)
            timeSpread.note(distance)
        } else {
            gapSpread.note(distance)
        }
        time = now
    }

    /// Takes in the time of a batch that is stored as it is.
    mutating func note(time now: UInt64) { time = now }

    /// Takes in an event of a track.
    mutating func note(_ kind: EventKind, position: UInt64, of track: Int) {
        tracks[track].lastPosition = position
        tracks[track].kind = kind
        tracks[track].rhythm.note(time)
        if tracks[track].rhythm.dueTime == nil {
            order.remove(track)
        } else {
            order.set(track, due: tracks[track].rhythm.due)
        }
    }

    /// The place of a track's words for the next small payload.
    mutating func placeForWords(of track: Int) -> Int {
        if tracks[track].wordsAt < 0 {
            tracks[track].wordsAt = words.count
            words.append(contentsOf: repeatElement(Word(0), count: Forecast.wordMax))
        }
        return tracks[track].wordsAt
    }

    /// Takes in the word of a payload that is not compared with an earlier one.
    mutating func begin(word: Int, _ value: UInt32) { words[word] = Word(value) }

    /// Takes in the word of a payload that changed.
    mutating func note(word: Int, _ value: UInt32) { words[word].note(value) }
}

/// What an event is, apart from what it says.
struct EventKind: Hashable {
    var type: UInt16
    var format: UInt8
    var payloadByteCount: UInt32

    /// How many words its payload has, if it is small enough to be compared with the one before; else 0.
    var wordCount: Int {
        let count = Int(payloadByteCount)
        return count % 4 == 0 && count / 4 <= Forecast.wordMax ? count / 4 : 0
    }
}
