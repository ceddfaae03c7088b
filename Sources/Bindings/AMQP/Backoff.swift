/// How long to wait before the next try to connect: twice as long each time, and spread, so that many that
/// lost one broker do not all come back in one moment.
package struct Backoff: Sendable {
    /// The longest wait.
    package static let longest = Duration.seconds(5)
    private static let first = Duration.milliseconds(200)
    private var tries = 0

    /// Begins with the shortest wait.
    package init() {}

    /// The next wait, between a half and the whole of what it would be without spreading.
    ///
    /// - Parameter random: between 0 and 1.
    package mutating func next(random: Double) -> Duration {
        // Beyond eight doublings nothing grows any more.
        let whole = min(Backoff.first * (1 << min(tries, 8)), Backoff.longest)
        tries += 1
        return whole * (0.5 + min(max(random, 0), 1) / 2)
    }

    /// After a connection that worked.
    package mutating func reset() { tries = 0 }
}
