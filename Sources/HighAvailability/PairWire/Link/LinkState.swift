import PairProtocol

/// A link's two connections, and what follows when one of them comes or goes; no socket, no clock.
///
/// One is dialled and carries what this node says, one is accepted and carries what the peer says. They stand
/// and fall together: when one breaks the other is closed, so that both nodes hear of it.
struct LinkState {
    /// A connection on which both have greeted.
    struct End: Equatable, Sendable {
        var number: Int
        var identity: LogIdentity
    }

    /// What is to be done, in this order.
    enum Step: Equatable, Sendable {
        case close(Int)
        case dial(after: Duration)
        /// Both stand.
        case begin
        /// They no longer do.
        case end
    }

    private(set) var dialled: End?
    private(set) var accepted: End?
    private(set) var isConnected = false
    private var connectedSince = Duration.zero
    private var failureCount = 0
    /// Whether the next dialling waits because nobody answered the last one.
    private var waitsForPeer = false

    /// Whether a node with this log may be the one that speaks: whoever answers at the peer's address is the
    /// peer, and no other takes its place while it is there.
    func mayAccept(_ identity: LogIdentity) -> Bool { dialled.map { $0.identity == identity } ?? true }

    mutating func stands(dialled end: End, at now: Duration) -> [Step] {
        dialled = end
        waitsForPeer = false
        var steps: [Step] = []
        if let accepted, accepted.identity != end.identity {
            steps.append(.close(accepted.number))
            self.accepted = nil
        }
        return steps + begin(at: now)
    }

    /// The newest one counts: the peer dials anew only when it has given up what was before.
    mutating func stands(accepted end: End, at now: Duration) -> [Step] {
        var steps: [Step] = []
        if isConnected {
            steps = fall(at: now)
        } else if let accepted {
            steps = [.close(accepted.number)]
        }
        accepted = end
        if waitsForPeer {
            waitsForPeer = false
            steps.append(.dial(after: .zero))
        }
        return steps + begin(at: now)
    }

    /// A dialled connection came to nothing.
    mutating func failed(isUnreachable: Bool) -> [Step] {
        waitsForPeer = isUnreachable
        return [.dial(after: pause())]
    }

    /// A connection that stood is closed.
    mutating func closed(_ number: Int, at now: Duration) -> [Step] {
        if dialled?.number == number {
            dialled = nil
            return isConnected ? fall(at: now) : [.dial(after: pause())]
        }
        if accepted?.number == number {
            accepted = nil
            return isConnected ? fall(at: now) : []
        }
        return []
    }

    /// The link is not wanted any more as it is.
    mutating func drop(at now: Duration) -> [Step] { isConnected ? fall(at: now) : [] }

    private mutating func begin(at now: Duration) -> [Step] {
        guard dialled != nil, accepted != nil else { return [] }
        isConnected = true
        connectedSince = now
        return [.begin]
    }

    private mutating func fall(at now: Duration) -> [Step] {
        var steps: [Step] = [.end]
        if let dialled { steps.append(.close(dialled.number)) }
        if let accepted { steps.append(.close(accepted.number)) }
        (dialled, accepted, isConnected) = (nil, nil, false)
        // One that breaks at once, again and again, is like one that fails.
        if now - connectedSince >= WireLimits.pauseMax { failureCount = 0 }
        return steps + [.dial(after: pause())]
    }

    private mutating func pause() -> Duration {
        defer { failureCount += 1 }
        return min(WireLimits.pauseMin * (1 << min(failureCount, 10)), WireLimits.pauseMax)
    }
}
