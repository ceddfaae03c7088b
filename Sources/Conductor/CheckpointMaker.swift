import EventLog
import Projections
import Synchronization
import Threads

/// Makes the rows of a checkpoint on a thread of its own: of a large registry they take a third of a second.
final class CheckpointMaker: Sendable {
    private struct State {
        /// Told from those that were given up by its number.
        var number: UInt64 = 0
        var isAtWork = false
        var made: CheckpointDraft?
    }

    private let state = Mutex(State())

    /// Begins; what was begun before is given up.
    ///
    /// - Parameter whenMade: called on the thread once ``take()`` has something to give.
    func begin(
        of table: VIMTable, seal: Seal, replacing front: StoredFront, whenMade: @escaping @Sendable () -> Void
    ) {
        let number = state.withLock { state in
            state = State(number: state.number + 1, isAtWork: true)
            return state.number
        }
        DedicatedThread(name: "vedette-rows", yields: true) { [self] in
            let draft = CheckpointDraft(of: table.checkpoint(seal: seal), replacing: front)
            let isWanted = state.withLock { state in
                guard state.number == number, state.isAtWork else { return false }
                state = State(number: number, made: draft)
                return true
            }
            if isWanted { whenMade() }
        }.detach()
    }

    /// What was made; once.
    func take() -> CheckpointDraft? { state.withLock { $0.made.take() } }

    /// Whether there is something to take.
    var hasMade: Bool { state.withLock { $0.made != nil } }

    /// Nobody wants it any more.
    func giveUp() { state.withLock { $0 = State(number: $0.number) } }
}
