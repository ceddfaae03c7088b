import NIOCore
import PairProtocol
import Synchronization

/// What waits to be sent, between whoever says it and the link's event loop.
final class Outbox: Sendable {
    private struct State {
        var isOpen = false
        var peer: PairGreeting?
        var waiting = CircularBuffer<PairMessage>()
        var byteCount = 0
        /// Whether the event loop knows that something waits.
        var isAwake = false
        var dropReason: String?
        var wake: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())
    private let lastTrouble = Mutex<String?>(nil)
    private let byteMax: Int

    init(byteMax: Int) { self.byteMax = byteMax }

    /// The peer, while the link stands.
    var peer: PairGreeting? { state.withLock { $0.peer } }

    /// Why the link does not stand, for people.
    var trouble: String? {
        get { lastTrouble.withLock { $0 } }
        set { lastTrouble.withLock { $0 = newValue } }
    }

    /// Says how the event loop is woken; nil when it ends.
    func connect(wake: (@Sendable () -> Void)?) { state.withLock { $0.wake = wake } }

    func open(for peer: PairGreeting) {
        state.withLock { state in
            state.isOpen = true
            state.peer = peer
        }
    }

    /// Forgets what waits; nothing more is taken in until the next opening.
    func close() { state.withLock { state in state = State(wake: state.wake) } }

    /// Takes in a message; drops it if the link does not stand.
    func add(_ message: PairMessage) {
        let wake = state.withLock { state -> (@Sendable () -> Void)? in
            guard state.isOpen else { return nil }
            state.waiting.append(message)
            state.byteCount += message.byteCount
            if state.byteCount > byteMax {
                return drop(&state, because: "more than \(byteMax) bytes were waiting for it")
            }
            guard !state.isAwake else { return nil }
            state.isAwake = true
            return state.wake
        }
        wake?()
    }

    /// Asks the event loop to drop the link.
    func drop(because reason: String) {
        let wake = state.withLock { state in state.isOpen ? drop(&state, because: reason) : nil }
        wake?()
    }

    private func drop(_ state: inout State, because reason: String) -> (@Sendable () -> Void)? {
        state = State(peer: state.peer, dropReason: reason, wake: state.wake)
        return state.wake
    }

    /// Why the link is to be dropped; nil if it is not.
    var dropReason: String? { state.withLock { $0.dropReason } }

    /// The next messages, in order, up to about so many bytes; empty if nothing waits.
    func take(byteMax: Int) -> [PairMessage] {
        state.withLock { state in
            var (taken, byteCount): ([PairMessage], Int) = ([], 0)
            while byteCount < byteMax, let message = state.waiting.popFirst() {
                taken.append(message)
                byteCount += message.byteCount
            }
            state.byteCount -= byteCount
            if taken.isEmpty { state.isAwake = false }
            return taken
        }
    }
}
