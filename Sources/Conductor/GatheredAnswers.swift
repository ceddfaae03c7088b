import Registry
import Synchronization

/// Keeps the answers to commands that were submitted together until the last one has come.
final class GatheredAnswers: Sendable {
    private struct State: Sendable {
        var answers: [Result<Outcome, CommandFailure>]
        var missingCount: Int
    }

    private let state: Mutex<State>
    private let whenComplete: CommandsReply

    /// - Parameter reply: called with the last answer; at once if there is none to wait for.
    init(count: Int, reply: @escaping CommandsReply) {
        state = Mutex(
            State(answers: Array(repeating: .failure(.stopped), count: count), missingCount: count))
        whenComplete = reply
        if count == 0 { reply([]) }
    }

    /// What one of the commands is submitted with.
    func reply(at index: Int) -> CommandReply {
        { [self] answer in
            let complete = state.withLock { state -> [Result<Outcome, CommandFailure>]? in
                state.answers[index] = answer
                state.missingCount -= 1
                return state.missingCount == 0 ? state.answers : nil
            }
            if let complete { whenComplete(complete) }
        }
    }
}
