import Dispatch
import Foundation
import Registry
import Synchronization

/// Answers reports as the conductor does, from a thread that takes all that wait at once, and does nothing
/// else: what is left is the callers' own work and their switches.
final class Echo: CommandSubmitter {
    private struct State: Sendable {
        var waiting: [CommandReply] = []
        var isStopping = false
    }

    private let state = Mutex(State())
    private let bell = DispatchSemaphore(value: 0)

    init() { Thread { [self] in answer() }.start() }

    func stop() {
        state.withLock { $0.isStopping = true }
        bell.signal()
    }

    func submit(_ command: Command, reply: @escaping CommandReply) {
        let isFirst = state.withLock { state in
            state.waiting.append(reply)
            return state.waiting.count == 1
        }
        if isFirst { bell.signal() }
    }

    func submit(_ commands: [Command], mayBlock: Bool, reply: @escaping CommandsReply) {
        guard let first = commands.first else { return reply([]) }
        submit(first) { reply([Result<Outcome, CommandFailure>](repeating: $0, count: commands.count)) }
    }

    private static let answer = Result<Outcome, CommandFailure>.success(.reported(.accepted(.reachable)))

    private func answer() {
        var replies: [CommandReply] = []
        var isStopping = false
        while !isStopping {
            bell.wait()
            state.withLock { state in
                swap(&replies, &state.waiting)
                isStopping = state.isStopping
            }
            for reply in replies { reply(Echo.answer) }
            replies.removeAll(keepingCapacity: true)
        }
    }
}
