/// When a node that is brought a copy says how far it is.
///
/// A value: what came goes in, with the time of a monotonic clock, and what to say comes out.
struct CopyProgress: Sendable {
    /// From line to line.
    static let pause: Duration = .seconds(5)

    /// What is to be said.
    struct Line: Hashable, Sendable {
        var byteCount: UInt64
        /// About how many will come.
        var total: UInt64
        /// Since the line before; nil in the first one.
        var bytesPerSecond: UInt64?

        var percent: UInt64 { total == 0 ? 100 : min(100, UInt64(100 * Double(byteCount) / Double(total))) }
    }

    private var total: UInt64
    private var byteCount: UInt64 = 0
    private var told: (byteCount: UInt64, time: Duration)

    /// A copy of about so many bytes begins.
    init(of total: UInt64, at now: Duration) {
        self.total = total
        told = (0, now)
    }

    /// What is to be said first.
    var firstLine: Line { Line(byteCount: 0, total: total, bytesPerSecond: nil) }

    /// So many more bytes came.
    mutating func took(_ count: Int, at now: Duration) -> Line? {
        byteCount += UInt64(count)
        guard now - told.time >= CopyProgress.pause else { return nil }
        return line(at: now)
    }

    /// All have come.
    mutating func end(at now: Duration) -> Line {
        // The estimate counted pages that are free.
        total = byteCount
        return line(at: now)
    }

    private mutating func line(at now: Duration) -> Line {
        let seconds = max(0.001, Double((now - told.time) / .milliseconds(1)) / 1_000)
        let rate = Double(byteCount - told.byteCount) / seconds
        told = (byteCount, now)
        return Line(byteCount: byteCount, total: total, bytesPerSecond: UInt64(rate))
    }
}
