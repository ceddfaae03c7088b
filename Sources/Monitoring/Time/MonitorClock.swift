package import Registry

/// Where monitors take time from: a parameter, so that a test owns it.
package struct MonitorClock: Sendable {
    /// Reads the clock that never goes back and goes on while the machine sleeps.
    package var now: @Sendable () -> Moment
    /// Reads the wall clock, for people.
    package var wallTime: @Sendable () -> Timestamp
    /// Sleeps so long, or throws at once when the task is cancelled.
    package var sleep: @Sendable (Duration) async throws -> Void

    package init(
        now: @escaping @Sendable () -> Moment, wallTime: @escaping @Sendable () -> Timestamp,
        sleep: @escaping @Sendable (Duration) async throws -> Void
    ) {
        self.now = now
        self.wallTime = wallTime
        self.sleep = sleep
    }

    /// The machine's own clocks.
    package static var system: MonitorClock {
        let clock = ContinuousClock()
        let beginning = clock.now
        return MonitorClock(
            now: { Moment(microseconds: beginning.duration(to: clock.now).wholeMicroseconds) },
            wallTime: { Timestamp(microseconds: wallMicroseconds()) },
            sleep: { try await clock.sleep(for: $0) })
    }
}

extension Duration {
    /// Whole microseconds; what is finer is cut.
    var wholeMicroseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000_000 + attoseconds / 1_000_000_000_000
    }
}
