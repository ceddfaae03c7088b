/// When a stream's next event is due, learnt from the ones before.
///
/// Most streams have one event a minute, a little late each time. The grid of due times follows slowly, so
/// that one late event does not move it; an extra event between leaves it alone; and after two events that
/// do not fit the last interval is the new period. All numbers are integers: reader and writer agree.
struct Rhythm {
    /// Times are kept in units of 1/64 microsecond, so that a grid can move by less than one.
    static let unit: Int64 = 64
    /// Longer periods are none.
    private static let periodMax: Int64 = 1 << 36

    /// The time of the last event, in microseconds.
    private(set) var time: UInt64 = 0
    /// When the next one is due, in units; meaningful if there is a period.
    private(set) var due: Int64 = 0
    /// From one event to the next, in units; 0 if there is none.
    private(set) var period: Int64 = 0
    private var missCount: UInt8 = 0
    private var isFirst = true

    /// So long after it was due nobody waits for it any more, in units.
    var patience: Int64 { period / 4 }

    /// When the next event is due, in microseconds; nil if nobody knows.
    var dueTime: UInt64? { period == 0 ? nil : UInt64(bitPattern: due / Rhythm.unit) }

    /// Takes in an event.
    mutating func note(_ now: UInt64) {
        let interval = Int64(bitPattern: now &- time)
        time = now
        if isFirst {
            isFirst = false
        } else if period == 0 {
            begin(interval, now)
        } else {
            follow(interval, now)
        }
    }

    private mutating func follow(_ interval: Int64, _ now: UInt64) {
        let late = (Int64(bitPattern: now) &* Rhythm.unit) &- due
        if late.magnitude <= UInt64(period / 8) {
            missCount = 0
            due = due &+ period &+ late / 4
            period = max(Rhythm.unit, period &+ late / 64)
            return
        }
        missCount += 1
        if missCount > 1 {
            begin(interval, now)
        } else if late > 0 {
            due = due &+ period &* (1 &+ (late &+ period / 2) / period)
        }
    }

    private mutating func begin(_ interval: Int64, _ now: UInt64) {
        missCount = 0
        period = 0
        guard interval > 0, interval <= Rhythm.periodMax else { return }
        period = Rhythm.rounded(interval) * Rhythm.unit
        due = (Int64(bitPattern: now) &* Rhythm.unit) &+ period
    }

    /// Somebody chose the period: it is likelier a whole number of seconds than what was measured.
    private static func rounded(_ interval: Int64) -> Int64 {
        let whole = (interval + 500_000) / 1_000_000 * 1_000_000
        return whole > 0 && (whole - interval).magnitude <= UInt64(interval / 64) ? whole : interval
    }
}

/// How far values of one kind usually are from what was expected: says where noise begins.
struct Spread {
    /// Eight times the mean distance.
    private var mean: UInt32

    init(around distance: UInt64) { mean = UInt32(clamping: distance &* 8) }

    /// The mean distance.
    var distance: UInt64 { UInt64(mean >> 3) }

    /// How many of a distance's lowest bits are noise: what is left then has about ten likely values.
    var noiseBitCount: Int { max(0, 28 - (mean >> 3).leadingZeroBitCount) }

    /// A single far value must not change much.
    mutating func note(_ distance: UInt64) {
        let bounded = UInt32(clamping: min(distance, UInt64(mean >> 1) + 16))
        mean = min(mean, UInt32.max / 2) - mean >> 3 + bounded
    }
}

/// Small numbers for values near zero on either side.
func folded(_ difference: Int64) -> UInt64 { UInt64(bitPattern: difference << 1 ^ difference >> 63) }

/// The opposite of ``folded(_:)``.
func unfolded(_ distance: UInt64) -> Int64 {
    Int64(bitPattern: distance >> 1) ^ -Int64(bitPattern: distance & 1)
}
