import Synchronization
import Threads

#if canImport(Glibc)
    import Glibc
#endif

/// What a session's owner does with a connection; lives on the session's thread and nowhere else.
package protocol SessionHandler: SendableMetatype {
    /// What other threads hand over.
    associatedtype Item: Sendable

    /// Declares and consumes what it needs on a fresh connection.
    mutating func connected(_ connection: Connection) throws(AMQPError)
    /// Everything that belonged to the last connection is void.
    mutating func disconnected()
    /// Messages came, or came back: all that one look at the connection found.
    mutating func received(_ events: [Connection.Event])
    /// Takes what other threads handed over; whether there is a connection or not.
    mutating func take(_ items: [Item])
    /// Sends what there is to send, and says when it must have a turn again although nothing happens.
    mutating func send(on connection: Connection) throws(AMQPError)
    /// Does what is due; returns when it must be asked again, nil if only something new can make it act.
    mutating func tick(_ now: ContinuousClock.Instant) -> ContinuousClock.Instant?
    /// Begins to end: takes no new work.
    mutating func finish(on connection: Connection) throws(AMQPError)
    /// There will be no more turns: lets go of everybody who waits.
    mutating func end()
    /// Whether everything begun has ended.
    var isIdle: Bool { get }
}

/// What a session tells those who watch it.
package enum SessionNews: Hashable, Sendable {
    /// Connected, logged in and set up.
    case connected(BrokerURL.Host)
    /// A connection that had worked is gone; tries go on.
    case lost(AMQPError)
    /// No broker could be reached, or none let us in; tries go on. Told once for each reason.
    case unreachable(AMQPError)
    /// The broker is short of memory or disk and takes no messages (true), or takes them again (false).
    case blocked(Bool)
}

/// A connection to a broker that is always there again: one thread owns it, tries one host after another,
/// waits with a back-off, and gives its handler turns.
package final class Session<Handler: SessionHandler>: Sendable {
    /// So long may work that was begun take to end after ``stop()``.
    package static var finishTimeout: Duration { .seconds(3) }

    /// To hand something to the handler from any thread.
    package let mailbox: Mailbox<Handler.Item>
    private let isStopping = Atomic<Bool>(false)
    private let ended = Mutex(Ending())

    private struct Ending: Sendable {
        var hasEnded = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    /// Starts the thread.
    ///
    /// - Parameters:
    ///   - name: of the thread and the connection.
    ///   - makeHandler: called on the thread, once.
    ///   - news: called on the thread.
    package init(
        _ url: BrokerURL, name: String, mailbox: Mailbox<Handler.Item>,
        makeHandler: @escaping @Sendable () -> Handler, news: @escaping @Sendable (SessionNews) -> Void
    ) {
        self.mailbox = mailbox
        DedicatedThread(name: name) { [self] in
            var loop = Loop(url: url, name: name, session: self, handler: makeHandler(), news: news)
            loop.run()
            let waiting = ended.withLock { ended in
                ended.hasEnded = true
                defer { ended.waiting = [] }
                return ended.waiting
            }
            for caller in waiting { caller.resume() }
        }.detach()
    }

    /// Lets begun work end, says goodbye to the broker, and returns when the thread has ended: after
    /// ``finishTimeout``, and if it is just connecting, ``Connection/answerTimeout`` more.
    package func stop() async {
        isStopping.store(true, ordering: .releasing)
        mailbox.ring()
        await withCheckedContinuation { caller in
            let hasEnded = ended.withLock { ended in
                if !ended.hasEnded { ended.waiting.append(caller) }
                return ended.hasEnded
            }
            if hasEnded { caller.resume() }
        }
    }

    fileprivate var shouldStop: Bool { isStopping.load(ordering: .acquiring) }
}

/// The thread's own side of a session.
private struct Loop<Handler: SessionHandler> {
    let url: BrokerURL
    let name: String
    let session: Session<Handler>
    var handler: Handler
    let news: (SessionNews) -> Void

    private var number: UInt64 = 0
    private var hostIndex = 0
    private var backoff = Backoff()
    private var spare: [Handler.Item] = []
    private var events: [Connection.Event] = []
    private var lastComplaint: AMQPError?
    private var finishDeadline: ContinuousClock.Instant?

    init(
        url: BrokerURL, name: String, session: Session<Handler>, handler: Handler,
        news: @escaping (SessionNews) -> Void
    ) {
        self.url = url
        self.name = name
        self.session = session
        self.handler = handler
        self.news = news
    }

    mutating func run() {
        while !session.shouldStop {
            if let connection = connect() {
                serve(connection)
                handler.disconnected()
            }
            hostIndex += 1
            // Every host gets its chance before anybody waits.
            if hostIndex.isMultiple(of: url.hosts.count), !session.shouldStop { pause() }
        }
        handler.take(session.mailbox.closeAndTake())
        handler.end()
    }

    private mutating func connect() -> Connection? {
        let host = url.hosts[hostIndex % url.hosts.count]
        number += 1
        do throws(AMQPError) {
            let connection = try Connection(to: host, of: url, number: number, name: name)
            try handler.connected(connection)
            lastComplaint = nil
            news(.connected(host))
            return connection
        } catch {
            handler.disconnected()
            if error != lastComplaint { news(.unreachable(error)) }
            lastComplaint = error
            return nil
        }
    }

    /// Gives the handler turns until the connection is lost or the session has stopped.
    private mutating func serve(_ connection: Connection) {
        do throws(AMQPError) {
            while true {
                try receive(from: connection)
                takeItems()
                let wake = handler.tick(.now)
                try handler.send(on: connection)
                if try hasFinished(on: connection) { break }
                if !connection.hasBufferedInput { wait(for: connection, until: wake) }
            }
            connection.close()
        } catch {
            news(.lost(error))
        }
    }

    private mutating func receive(from connection: Connection) throws(AMQPError) {
        // What came before the connection broke counts.
        defer {
            if !events.isEmpty { handler.received(events) }
            events.removeAll(keepingCapacity: true)
        }
        try connection.receive { event in
            // A connection that carries traffic has proven itself.
            backoff.reset()
            if case .blocked(let isBlocked) = event { news(.blocked(isBlocked)) }
            events.append(event)
        }
    }

    private mutating func takeItems() {
        var items = session.mailbox.take(leaving: spare)
        if !items.isEmpty { handler.take(items) }
        items.removeAll(keepingCapacity: true)
        spare = items
    }

    private mutating func hasFinished(on connection: Connection) throws(AMQPError) -> Bool {
        guard session.shouldStop else { return false }
        guard let deadline = finishDeadline else {
            finishDeadline = .now + Session<Handler>.finishTimeout
            try handler.finish(on: connection)
            return false
        }
        return handler.isIdle || .now >= deadline
    }

    /// Waits for the broker, another thread, or the time.
    private func wait(for connection: Connection?, until wake: ContinuousClock.Instant?) {
        // The library keeps up heartbeats while it is called, so it is called often enough.
        var limit = connection.map { Duration.seconds(max($0.heartbeatSeconds, 4)) / 4 } ?? Backoff.longest
        if let wake { limit = min(limit, max(ContinuousClock.now.duration(to: wake), .zero)) }
        if let finishDeadline { limit = min(limit, ContinuousClock.now.duration(to: finishDeadline)) }
        var descriptors = [pollfd(fd: session.mailbox.bell, events: Int16(POLLIN), revents: 0)]
        if let connection {
            descriptors.append(pollfd(fd: connection.socket, events: Int16(POLLIN), revents: 0))
        }
        let (seconds, attoseconds) = max(limit, .zero).components
        // Rounded up: a wait that ends just before its time would be made again and again.
        let milliseconds = seconds * 1_000 + attoseconds / 1_000_000_000_000_000 + 1
        poll(&descriptors, nfds_t(descriptors.count), Int32(clamping: milliseconds))
    }

    /// Waits before the next try to connect; the handler still gets its turns.
    private mutating func pause() {
        let end = ContinuousClock.now + backoff.next(random: Double.random(in: 0...1))
        while !session.shouldStop, .now < end {
            takeItems()
            let wake = handler.tick(.now)
            wait(for: nil, until: min(wake ?? end, end))
        }
    }
}
