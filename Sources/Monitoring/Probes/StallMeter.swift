import NIOCore
import Synchronization

/// Measures how much time one event loop lost: stopped process, starved machine, a loop kept busy.
///
/// A tick that comes late tells by how much. A probe whose deadline comes asks how much was lost since it
/// began, and gets that much longer: our own slowness must not look like the endpoint's.
final class StallMeter: Sendable {
    private struct State {
        var lastTick: NIODeadline
        var lost = TimeAmount.zero
        var task: RepeatedTask?
    }

    /// From one tick to the next.
    private static let period = TimeAmount.milliseconds(100)
    /// Lateness of a tick below this is the timer's own grain.
    private static let slack = TimeAmount.milliseconds(10)

    private let state = Mutex(State(lastTick: .now()))

    /// Starts the ticks on a loop.
    func start(on loop: any EventLoop) {
        let task = loop.scheduleRepeatedTask(initialDelay: StallMeter.period, delay: StallMeter.period) {
            [self] _ in tick(at: .now())
        }
        state.withLock {
            $0.lastTick = .now()
            $0.task = task
        }
    }

    func stop() {
        state.withLock { state in
            let task = state.task
            state.task = nil
            return task
        }?.cancel()
    }

    /// All time lost up to now; only differences mean something.
    func lost(now: NIODeadline = .now()) -> TimeAmount {
        state.withLock { state in
            guard state.task != nil else { return state.lost }
            return state.lost + StallMeter.lateness(of: now, after: state.lastTick)
        }
    }

    private func tick(at now: NIODeadline) {
        state.withLock { state in
            state.lost = state.lost + StallMeter.lateness(of: now, after: state.lastTick)
            state.lastTick = now
        }
    }

    private static func lateness(of now: NIODeadline, after last: NIODeadline) -> TimeAmount {
        let late = (now - last) - period
        return late > slack ? late : .zero
    }
}
