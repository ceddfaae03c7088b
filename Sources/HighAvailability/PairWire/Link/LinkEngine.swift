import Logging
import NIOCore
import NIOPosix
import PairProtocol

/// Carries out what a ``LinkState`` says, on one event loop, to which everything here belongs.
final class LinkEngine {
    private let ownGreeting: PairGreeting
    private let enclosure: @Sendable () -> [UInt8]
    private let refusal: @Sendable (PairGreeting) -> String?
    /// What this node says of itself on a connection that begins now.
    var greeting: PairGreeting {
        var greeting = ownGreeting
        greeting.enclosure = enclosure()
        return greeting
    }
    private let loop: any EventLoop
    private let dialer: PairDialer
    private let outbox: Outbox
    private let deliver: @Sendable (PairInput) -> Void
    private let didGreetAnew: @Sendable () -> Void
    private let logger: Logger
    private let clockStart = ContinuousClock.now
    private var told: ToldOnce
    /// When the link stood last, and whether its break was told before, so that its return is not told, too.
    private var beganAt = Duration.zero
    private var isQuiet = false
    private var state = LinkState()
    private var connections: [Int: PairConnection] = [:]
    private var connectionCount = 0
    private var nextDial: Scheduled<Void>?
    private var isStopped = false

    init(
        greeting: PairGreeting, enclosure: @escaping @Sendable () -> [UInt8],
        refusal: @escaping @Sendable (PairGreeting) -> String?, dialer: PairDialer, outbox: Outbox,
        loop: any EventLoop, logger: Logger,
        deliver: @escaping @Sendable (PairInput) -> Void, didGreetAnew: @escaping @Sendable () -> Void
    ) {
        ownGreeting = greeting
        self.enclosure = enclosure
        self.refusal = refusal
        self.dialer = dialer
        self.outbox = outbox
        self.loop = loop
        self.logger = logger
        self.deliver = deliver
        self.didGreetAnew = didGreetAnew
        told = ToldOnce(logger: logger)
    }

    func start() { perform([.dial(after: .zero)], because: "") }

    /// Nothing is delivered after this.
    func stop() {
        perform(state.drop(at: now), because: "this node stops")
        isStopped = true
        nextDial?.cancel()
        for connection in connections.values { connection.close() }
        connections = [:]
    }

    /// Sends what waits, or drops the link if that was asked for.
    func pump() {
        if let reason = outbox.dropReason { return perform(state.drop(at: now), because: reason) }
        guard state.isConnected, let connection = state.dialled.flatMap({ connections[$0.number] }),
            connection.isWritable
        else { return }
        let sayings = outbox.take(byteMax: WireLimits.turnByteMax)
        guard !sayings.isEmpty else { return }
        for saying in sayings {
            switch saying {
            case .message(let message): connection.write(.message(message))
            case .greeting: connection.writeGreeting()
            }
        }
        connection.flush()
        // Others get their turn in between: what the peer says must not wait for all that it is told.
        loop.assumeIsolated().execute { self.pump() }
    }

    // MARK: What connections tell

    /// A connection for a peer that came.
    func accept() throws -> PairConnection {
        guard !isStopped, connections.values.count(where: { $0.peer == nil }) < WireLimits.ungreetedMax else {
            throw TooManyConnections()
        }
        return makeConnection(.accepted)
    }

    private struct TooManyConnections: Error {}

    /// Why this node cannot be the peer; nil if it can.
    func refusal(of peer: PairGreeting, _ direction: PairConnection.Direction) -> String? {
        if let refusal = ownGreeting.refusal(of: peer) { return refusal }
        if direction == .accepted, !state.mayAccept(peer.identity) {
            return "\(ownGreeting.hostName) is connected to another node at \(dialer.address)"
        }
        return refusal(peer)
    }

    /// Both have greeted on this connection.
    func stands(_ connection: PairConnection) {
        guard let peer = connection.peer else { return }
        let end = LinkState.End(number: connection.number, identity: peer.identity)
        switch connection.direction {
        case .dialled:
            perform(state.stands(dialled: end, at: now), because: "another node speaks than answers")
            if !state.isConnected { expectPeer(behind: connection.number) }
        case .accepted:
            perform(state.stands(accepted: end, at: now), because: "the peer dialled anew")
        }
    }

    func received(_ message: PairMessage, on connection: PairConnection) {
        guard state.isConnected, state.accepted?.number == connection.number else { return }
        deliver(.received(message))
    }

    /// The peer says something else of itself, on a link that stands.
    func greetedAnew(on connection: PairConnection) {
        guard state.isConnected, state.accepted?.number == connection.number, let peer = connection.peer
        else { return }
        outbox.hear(peer)
        didGreetAnew()
    }

    func closed(_ connection: PairConnection, reason: String?) {
        // One that was closed on purpose is no longer known.
        guard connections.removeValue(forKey: connection.number) != nil, !isStopped else { return }
        let stood = [state.dialled?.number, state.accepted?.number].contains(connection.number)
        switch connection.direction {
        case _ where stood:
            let reason = reason ?? "it closed the connection"
            if !state.isConnected { told.warn("a connection to the pair's peer broke: \(reason)") }
            perform(state.closed(connection.number, at: now), because: reason)
        case .dialled:
            tellFailure(reason ?? "it closed the connection")
            perform(state.failed(isUnreachable: false), because: "")
        case .accepted:
            if let reason { told.warn("a connection to the pair's port was closed: \(reason)") }
        }
    }

    // MARK: What the state says

    private var now: Duration { ContinuousClock.now - clockStart }

    private func perform(_ steps: [LinkState.Step], because reason: String) {
        guard !isStopped else { return }
        for step in steps {
            switch step {
            case .close(let number): connections.removeValue(forKey: number)?.close()
            case .dial(let pause):
                nextDial?.cancel()
                nextDial = loop.assumeIsolated().scheduleTask(in: TimeAmount(pause)) { self.dial() }
            case .begin: begin()
            case .end:
                outbox.close()
                if now - beganAt > WireLimits.steadyMin { told.forget() }
                isQuiet = !told.warn("the pair's peer is gone: \(reason)")
                deliver(.disconnected)
            }
        }
    }

    private func begin() {
        guard let peer = state.dialled.flatMap({ connections[$0.number]?.peer }) else { return }
        beganAt = now
        outbox.trouble = nil
        let version = ownGreeting.commonVersion(with: peer) ?? 0
        outbox.open(for: peer, mayGreetAnew: version >= PairGreeting.greetingAnewVersion)
        if !isQuiet {
            logger.notice(
                "the pair's peer is there",
                metadata: [
                    "host": "\(peer.hostName)", "log": "\(peer.identity)",
                    "version": "\(peer.programVersion)",
                ])
        }
        deliver(.connected)
        // Asked after the outbox was opened: who changes what is enclosed and then drops the link can rely on
        // it that whatever is sent later goes to a peer that heard the change.
        let enclosure = enclosure()
        let isOutdated = [state.dialled, state.accepted].contains { end in
            end.flatMap { connections[$0.number] }.map { $0.said != enclosure } ?? false
        }
        guard !isOutdated else {
            return perform(state.drop(at: now), because: "this node has something else to say of itself")
        }
        state.accepted.flatMap { connections[$0.number] }?.resume()
    }

    private func dial() {
        // One that is on its way will do; two that stand would be told as two links.
        guard !connections.values.contains(where: { $0.direction == .dialled }) else { return }
        let connection = makeConnection(.dialled)
        dialer.dial(connection, on: loop).assumeIsolated().whenFailure { error in
            guard self.connections.removeValue(forKey: connection.number) != nil, !self.isStopped else {
                return
            }
            self.tellFailure(reason(error))
            self.perform(self.state.failed(isUnreachable: true), because: "")
        }
    }

    private func makeConnection(_ direction: PairConnection.Direction) -> PairConnection {
        connectionCount += 1
        let connection = PairConnection(number: connectionCount, direction: direction, engine: self)
        connections[connectionCount] = connection
        return connection
    }

    private func tellFailure(_ reason: String) {
        tell("no connection to the pair's peer at \(dialer.address): \(reason)")
    }

    private func tell(_ sentence: String) {
        outbox.trouble = sentence
        told.warn(sentence)
    }

    /// The link needs both connections, and only the peer can make the other one.
    private func expectPeer(behind number: Int) {
        _ = loop.assumeIsolated().scheduleTask(in: WireLimits.greetingPatience) {
            guard self.state.dialled?.number == number, !self.state.isConnected else { return }
            self.tell(
                "the pair's peer answers at \(self.dialer.address), but does not reach this node in its turn")
        }
    }
}
