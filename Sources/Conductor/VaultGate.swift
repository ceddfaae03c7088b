import Synchronization

/// Lets many change the vault entry by entry, or one all of it.
final class VaultGate: Sendable {
    private struct State: Sendable {
        var insideCount = 0
        var isClosed = false
        var waiting: [CheckedContinuation<Void, Never>] = []
        var closer: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    /// Runs the body while nobody changes all of the vault.
    func enter<Result: Sendable, Failure: Error>(
        _ body: () async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        await withCheckedContinuation { caller in
            let isInside = state.withLock { state in
                if state.isClosed {
                    state.waiting.append(caller)
                } else {
                    state.insideCount += 1
                }
                return !state.isClosed
            }
            if isInside { caller.resume() }
        }
        defer { leave() }
        return try await body()
    }

    /// Runs the body while nobody else changes the vault; nil if another body does so already.
    func close<Result: Sendable, Failure: Error>(
        _ body: () async throws(Failure) -> Result
    ) async throws(Failure) -> Result? {
        let isMine = state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        guard isMine else { return nil }
        await withCheckedContinuation { caller in
            let isEmpty = state.withLock { state in
                if state.insideCount > 0 { state.closer = caller }
                return state.insideCount == 0
            }
            if isEmpty { caller.resume() }
        }
        defer { open() }
        return try await body()
    }

    private func leave() {
        let closer = state.withLock { state -> CheckedContinuation<Void, Never>? in
            state.insideCount -= 1
            return state.insideCount == 0 ? state.closer.take() : nil
        }
        closer?.resume()
    }

    private func open() {
        let waiting = state.withLock { state in
            defer { state.waiting = [] }
            state.isClosed = false
            state.insideCount = state.waiting.count
            return state.waiting
        }
        for caller in waiting { caller.resume() }
    }
}
