import NIOCore
import PairProtocol
import Synchronization

/// What is said to the peer, in order.
enum Saying: Sendable {
    case message(PairMessage)
    /// This node's greeting as it is when it leaves.
    case greeting

    var byteCount: Int {
        switch self {
        case .message(let message): message.byteCount
        case .greeting: 0
        }
    }
}

/// What waits to be sent, between whoever says it and the link's event loop.
final class Outbox: Sendable {
    private struct State {
        var isOpen = false
        var peer: PairGreeting?
        /// Whether the peer hears greetings on a link that stands.
        var mayGreetAnew = false
        var waiting = CircularBuffer<Saying>()
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

    func open(for peer: PairGreeting, mayGreetAnew: Bool) {
        state.withLock { state in
            state.isOpen = true
            state.peer = peer
            state.mayGreetAnew = mayGreetAnew
        }
    }

    /// The peer says something else of itself now.
    func hear(_ peer: PairGreeting) { state.withLock { $0.peer = peer } }

    /// Forgets what waits; nothing more is taken in until the next opening.
    func close() { state.withLock { state in state = State(wake: state.wake) } }

    /// Takes in a message; drops it if the link does not stand.
    func add(_ message: PairMessage) {
        let wake = state.withLock { state in add(.message(message), &state) }
        wake?()
    }

    /// Takes in a greeting; a peer that would not hear it is greeted by a link that is made anew.
    func greetAnew() {
        let wake = state.withLock { state in
            guard state.isOpen, !state.mayGreetAnew else { return add(.greeting, &state) }
            return drop(&state, because: "this node has something else to say of itself")
        }
        wake?()
    }

    private func add(_ saying: Saying, _ state: inout State) -> (@Sendable () -> Void)? {
        guard state.isOpen else { return nil }
        state.waiting.append(saying)
        state.byteCount += saying.byteCount
        if state.byteCount > byteMax {
            return drop(&state, because: "more than \(byteMax) bytes were waiting for it")
        }
        guard !state.isAwake else { return nil }
        state.isAwake = true
        return state.wake
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

    /// What is to be said next, in order, up to about so many bytes; empty if nothing waits.
    func take(byteMax: Int) -> [Saying] {
        state.withLock { state in
            var (taken, byteCount): ([Saying], Int) = ([], 0)
            while byteCount < byteMax, let saying = state.waiting.popFirst() {
                taken.append(saying)
                byteCount += saying.byteCount
            }
            state.byteCount -= byteCount
            if taken.isEmpty { state.isAwake = false }
            return taken
        }
    }
}
