/// One of the pair's two nodes, as a value: inputs in, effects out; no clock, no device, no randomness.
///
/// The rules are those of Design.md, "The pair's protocol"; comments name them by number. The same code
/// drives a server and the simulator.
///
/// Whoever runs it hands it one input after the other, each with the time of a monotonic clock, and does the
/// effects in their order before the next input.
public struct PairNode: Sendable {
    /// This node's log.
    public let identity: LogIdentity
    let settings: PairSettings
    /// A fault on purpose, for the simulator to find; nil in a server.
    let planted: PlantedBug?
    /// Whether this node may found a pair where there is none: its log has never been in one.
    let mayFound: Bool

    /// Where the durable log ends.
    public internal(set) var end: Mark
    /// The highest epoch accepted from a leader, or entered, since the start.
    var acceptedEpoch: UInt64 = 0
    /// The newest session accepted since the start.
    var acceptedSession = Session.none
    /// What the node is now.
    public internal(set) var role: Role
    /// Settlings that were ordered and not yet answered.
    ///
    /// Until then no other write is ordered.
    var settlingCount = 0

    var lease: UInt64 = 0
    var leaseEnd: Duration = .zero
    /// Promised to a leader: before this the node does not take the lead.
    var promiseEnd: Duration
    /// Promised, perhaps, before the start.
    private let forgottenPromiseEnd: Duration
    /// The leader that was heard last in this process.
    var heard: Heard?
    /// Standby: the end of what this log has and a leader told to be acknowledged.
    var learned: UInt64 = 0
    /// Before this the other one goes first.
    var holdOffEnd: Duration = .zero
    var isConnected = false

    /// The keys as they were seen last.
    public internal(set) var view: EtcdSnapshot?
    var request: Request?
    var requestNumber: UInt64 = 0
    var lastLook: Duration?
    /// The latest state of etcd that was ever seen; durable.
    public internal(set) var seen: EtcdMemory?
    var remembered: EtcdMemory?
    /// Why etcd is not believed any more; nil if it is.
    public internal(set) var etcdFault: String?

    var effects: [PairEffect] = []
    var now: Duration = .zero

    /// What a node is.
    public enum Role: Sendable {
        /// Follows a leader, or nobody.
        case standby(Following)
        /// Holds the key and makes its epoch durable; nobody hears of it yet.
        case entering(Entering)
        /// Leads.
        case leader(Leading)
    }

    /// Between the answer that gave the key and the durable `epoch_started` (rule 3).
    public struct Entering: Sendable {
        let epoch: UInt64
        let insync: EtcdSnapshot.Insync
        /// Everything before it may have been acknowledged (rule 4); nil until older writes are settled.
        var inherited: UInt64? = nil
    }

    /// A sign of life of a leader.
    struct Heard: Sendable {
        let session: Session
        let at: Duration
        /// Whether that leader reads on nothing but promises, so that its key may be taken away.
        let isOustable: Bool
    }

    /// A transaction on its way.
    struct Request: Sendable {
        let number: UInt64
        let transaction: EtcdTransaction
        let sent: Duration
        /// An answer must not be older.
        let seen: EtcdMemory?
    }

    /// A node as it starts.
    ///
    /// - Parameters:
    ///   - end: where its durable log ends.
    ///   - seen: the latest state of etcd that it remembers.
    ///   - mayFound: whether its log has never been in a pair.
    ///   - now: its monotonic clock.
    public init(
        identity: LogIdentity, end: Mark, seen: EtcdMemory?, mayFound: Bool, settings: PairSettings,
        planted: PlantedBug? = nil, at now: Duration
    ) {
        self.identity = identity
        self.end = end
        self.seen = seen
        remembered = seen
        self.mayFound = mayFound
        self.settings = settings
        self.planted = planted
        role = .standby(Following())
        // What it promised before it stopped is forgotten: wait out the longest promise.
        forgottenPromiseEnd = planted == .promiseForgotten ? now : now + settings.promiseMax
        promiseEnd = forgottenPromiseEnd
        self.now = now
    }

    /// Takes an input and returns what is to be done.
    public mutating func handle(_ input: PairInput, at time: Duration) -> [PairEffect] {
        now = time
        switch input {
        case .tick: tick()
        case .leaseHeld(let number, let until):
            guard number >= lease else { break }
            leaseEnd = number == lease ? max(leaseEnd, until) : until
            lease = number
        case .answered(let number, let answer): takeAnswer(number, answer)
        case .watched(let snapshot): watch(snapshot)
        case .connected: connect()
        case .disconnected: disconnect()
        case .received(let message): receive(message)
        case .gathered(let batch): gather(batch)
        case .stored(let mark): takeStored(mark)
        case .storeFailed: takeStoreFailure()
        case .settled(let mark): takeSettled(mark)
        case .cut(let mark): takeCut(mark)
        case .collected(let question, let marks): ask(question, marks)
        case .shipped(let session, let position): takeShipped(session, position)
        case .switchover: beginSwitchover()
        }
        if case .leader = role { decideMembership() }
        defer { effects.removeAll(keepingCapacity: true) }
        return effects
    }

    /// The highest epoch this node knows of (rule 2): of its log, or accepted, or entered.
    var promised: UInt64 { max(acceptedEpoch, end.epoch) }

    mutating func order(_ effect: PairEffect) { effects.append(effect) }

    mutating func settle() {
        settlingCount += 1
        order(.settle)
    }

    private mutating func tick() {
        if let request, now - request.sent > settings.etcdPatience { giveUp(request) }
        switch role {
        case .standby: lookAtEtcd()
        case .entering: break
        case .leader: lead()
        }
    }

    private mutating func connect() {
        isConnected = true
        if case .leader = role { beginSession() }
    }

    private mutating func disconnect() {
        isConnected = false
        if case .leader(var leading) = role {
            leading.peer = .lost
            role = .leader(leading)
        }
    }

    private mutating func receive(_ message: PairMessage) {
        switch message {
        case .hello(let session): takeHello(session)
        case .refusal(let session): takeRefusal(session)
        case .marks(let session, let question, let marks): takeMarks(session, question, marks)
        case .common(let session, let question, let mark): takeCommon(session, question, mark)
        case .batch(let session, let batch): takeBatch(session, batch)
        case .stored(let session, let end, let identity): takeAcknowledgement(session, end, of: identity)
        case .ping(let session, let sent, let promise, let acknowledged):
            takePing(session, sent, promise)
            learn(session, acknowledged)
        case .pong(let session, let sent): takePong(session, sent)
        case .released(let session): takeReleased(session)
        }
    }

    private mutating func takeStored(_ mark: Mark) {
        end = mark
        switch role {
        case .standby: takeStoredWhileFollowing()
        case .entering(let entering): if mark.epoch == entering.epoch { enter(entering) }
        case .leader: acknowledge()
        }
    }

    private mutating func takeStoreFailure() {
        switch role {
        case .standby(var following):
            // The leader notices, shrinks or begins a new session.
            following.phase = .idle
            role = .standby(following)
            settle()
            order(.disconnect)
        case .entering:
            holdOff()
            stepDown("the epoch could not be stored")
        case .leader: takeCommitFailure()
        }
    }

    private mutating func takeSettled(_ mark: Mark) {
        settlingCount -= 1
        end = mark
        guard settlingCount == 0 else { return }
        switch role {
        case .standby: searchCommon()
        case .entering(var entering):
            guard entering.inherited == nil else { return }
            entering.inherited = end.position
            role = .entering(entering)
            order(.begin(epoch: entering.epoch))
        case .leader: acknowledge()
        }
    }

    mutating func holdOff() { holdOffEnd = now + settings.lease * 2 }

    /// Leaves the epoch for good (rule 12).
    mutating func stepDown(_ reason: String) {
        acceptedEpoch = max(acceptedEpoch, epochLed ?? 0)
        let released: Session? = if case .leader(let leading) = role { leading.session } else { nil }
        role = .standby(Following())
        request = nil
        settle()
        order(.stepDown(reason))
        if let released { order(.send(.released(released))) }
    }

    /// The leader of that session reads no more on what this node promised it: the lead may be taken at once.
    private mutating func takeReleased(_ session: Session) {
        guard case .standby = role, session == acceptedSession || planted == .anyReleaseCounts else { return }
        promiseEnd = forgottenPromiseEnd
        // Most likely the key is gone, too; if it is not, etcd refuses.
        if view?.leader?.epoch == session.epoch { view?.leader = nil }
        lastLook = nil
        lookAtEtcd()
    }

    /// The epoch that this node leads or enters.
    public var epochLed: UInt64? {
        switch role {
        case .standby: nil
        case .entering(let entering): entering.epoch
        case .leader(let leading): leading.epoch
        }
    }
}
