/// When a node that lacks much of the leader's log says how far it is.
///
/// A value: what the log stored goes in, with the time of a monotonic clock, and what to do comes out.
struct CatchUp: Sendable {
    /// From line to line.
    static let pause: Duration = .seconds(5)
    /// Who lacks fewer events has them before anybody could read of it.
    static let lackMin: UInt64 = 100_000

    /// What is to be said.
    enum Line: Hashable, Sendable {
        /// It is so far; the end is the leader's, nil if etcd does not tell it. The first one has no rate.
        case at(UInt64, of: UInt64?, eventsPerSecond: UInt64?)
        /// It lacks nothing of what it lacked.
        case done(UInt64, eventCount: UInt64, time: Duration)
    }

    /// What follows when batches were stored.
    enum Step: Hashable, Sendable {
        case nothing
        /// Ask where the leader's log ends, and give it to ``answer(_:at:)``.
        case ask
        case tell(Line)
    }

    private struct Place {
        var position: UInt64
        var time: Duration
    }

    /// Where it began; nil while the node holds what the leader does.
    private var start: Place?
    /// Where it was at the last line.
    private var told: Place?
    /// The leader's end, as it was told last.
    private var end: UInt64?
    private var asked: Duration?
    private var last = Place(position: 0, time: .zero)

    /// The log stored batches.
    ///
    /// - Parameters:
    ///   - before: its end without them.
    ///   - position: its end with them.
    ///   - isBehind: the leader read them from its log; those of its memory are the newest there are.
    mutating func stored(after before: UInt64, upTo position: UInt64, isBehind: Bool, at now: Duration)
        -> Step
    {
        // Another one, long after the last.
        if now - last.time > CatchUp.pause { (start, told) = (nil, nil) }
        last = Place(position: position, time: now)
        if let start, told != nil, !isBehind || end.map({ position >= $0 }) ?? false {
            (self.start, self.told) = (nil, nil)
            return .tell(
                .done(position, eventCount: position - start.position, time: now - start.time))
        }
        guard isBehind else {
            start = nil
            return .nothing
        }
        if start == nil { start = Place(position: before, time: now) }
        if let asked, now - asked < CatchUp.pause { return .nothing }
        asked = now
        return .ask
    }

    /// The leader's log ends there; nil if that cannot be known.
    mutating func answer(_ end: UInt64?, at now: Duration) -> Line? {
        guard start != nil else { return nil }
        self.end = end
        guard let told else {
            guard let end, end > last.position, end - last.position >= CatchUp.lackMin else { return nil }
            told = Place(position: last.position, time: now)
            return .at(last.position, of: end, eventsPerSecond: nil)
        }
        self.told = Place(position: last.position, time: now)
        let seconds = max(0.001, Double((now - told.time) / .milliseconds(1)) / 1_000)
        let rate = Double(last.position - told.position) / seconds
        return .at(last.position, of: end, eventsPerSecond: UInt64(rate))
    }
}
