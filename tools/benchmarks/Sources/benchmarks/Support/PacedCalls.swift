import Foundation
import Glibc
import Registry
import Synchronization

/// Reports at a steady rate, whatever their answers take: a latency counts from when the call was due.
final class PacedCalls: Sendable {
    private struct State: Sendable {
        var nanoseconds: [UInt64] = []
        var waitingCount = 0
        var failure: BenchmarkError?
        var isStopping = false
    }

    private let submitter: any CommandSubmitter
    private let fleet: Fleet
    private let interval: UInt64
    private let state = Mutex(State())
    private let ended = DispatchSemaphore(value: 0)

    /// Begins at once.
    init(_ submitter: any CommandSubmitter, fleet: Fleet, perSecond: Int, seed: UInt64) {
        self.submitter = submitter
        self.fleet = fleet
        interval = 1_000_000_000 / UInt64(perSecond)
        Thread { [self] in call(SeededGenerator(seed: seed)) }.start()
    }

    /// The latencies of what was answered since this was asked last.
    func take() throws -> [UInt64] {
        try state.withLock { state in
            if let failure = state.failure { throw failure }
            defer { state.nanoseconds.removeAll() }
            return state.nanoseconds
        }
    }

    /// Ends the calls, and waits for the answers under way.
    func stop() {
        state.withLock { $0.isStopping = true }
        ended.wait()
        while state.withLock({ $0.waitingCount > 0 }) { usleep(1_000) }
    }

    private func call(_ random: SeededGenerator) {
        var random = random
        var due = nowNanoseconds()
        while !state.withLock({ $0.isStopping }) {
            var moment = timespec(tv_sec: Int(due / 1_000_000_000), tv_nsec: Int(due % 1_000_000_000))
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment, nil)
            let start = due
            state.withLock { $0.waitingCount += 1 }
            submitter.submit(.report(fleet.report(&random))) { [self] in note($0, since: start) }
            due += interval
        }
        ended.signal()
    }

    private func note(_ result: Result<Outcome, CommandFailure>, since start: UInt64) {
        let latency = nowNanoseconds() - start
        state.withLock { state in
            state.waitingCount -= 1
            guard case .success(.reported(.accepted(.reachable))) = result else {
                state.failure = BenchmarkError("a report was not accepted: \(result)")
                return
            }
            state.nanoseconds.append(latency)
        }
    }
}
