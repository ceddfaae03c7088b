import Synchronization

/// Notes what callers ask and are told, and when; any number of callers at once.
package final class HistoryRecorder: Sendable {
    private let start = ContinuousClock.now
    private let calls = Mutex<[Call]>([])

    package init() {}

    /// The time since the history began.
    package var now: Duration { ContinuousClock.now - start }

    /// Everything up to now.
    package var history: ClientHistory { ClientHistory(calls.withLock { $0 }) }

    /// How many calls that began at or after a moment were answered, of those that pass.
    package func count(from moment: Duration, of isMeant: (Call) -> Bool = \.isAnswered) -> Int {
        calls.withLock { $0.count { $0.began >= moment && isMeant($0) } }
    }

    /// Makes a call and notes it; what it throws is no answer.
    package func record(_ wish: Wish, _ call: () async throws -> Answer) async -> Answer {
        let began = now
        let answer = (try? await call()) ?? .unknown
        let ended = now
        calls.withLock { $0.append(Call(wish, answer, began: began, ended: ended)) }
        return answer
    }
}
