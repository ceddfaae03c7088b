/// What a standby knows of the leader it follows.
public struct Following: Sendable {
    var phase = Phase.idle
    /// Where the log will end when everything ordered is stored.
    var expected: UInt64 = 0

    /// From a hello to a log that grows with the leader's.
    enum Phase: Sendable {
        /// Follows nobody.
        case idle
        /// Waits until older writes are settled; goes on to `searching`.
        case settling(Session)
        /// Looks for the newest common position, in a range of its own log; goes on to `cutting` or
        /// `following`.
        case searching(Session, Search)
        /// Waits for the cut; goes on to `following`.
        case cutting(Session)
        /// Stores what comes.
        case following(Session)
    }

    /// The search for the newest position at which both logs have the same seal (rule 7): a few marks at a
    /// time, so that a log of any length takes few questions.
    struct Search: Sendable {
        var question: UInt64
        /// Known to be common.
        var low: Mark
        /// What lies behind it is known not to be.
        var high: UInt64
        var asked: [Mark] = []
    }
}

// Rules 6 to 9, the standby's part.
extension PairNode {
    private var phase: Following.Phase {
        get {
            guard case .standby(let following) = role else { return .idle }
            return following.phase
        }
        set {
            guard case .standby(var following) = role else { return }
            following.phase = newValue
            role = .standby(following)
        }
    }

    /// Rule 6: it is the sender's epoch that counts, since catching up carries old batches.
    mutating func takeHello(_ session: Session) {
        guard isAcceptable(session), !standsAlone else {
            return order(.send(.refusal(max(acceptedSession, Session(epoch: promised, number: 0)))))
        }
        if epochLed != nil { stepDown("a leader of a later epoch said hello") }
        acceptedSession = session
        acceptedEpoch = max(acceptedEpoch, session.epoch)
        // Whoever may become a member must know this etcd from another; before a pair is founded there is
        // nothing to remember.
        if remembered == nil { remember() }
        // The other one went first.
        holdOffEnd = .zero
        role = .standby(Following(phase: .settling(session)))
        settle()
    }

    private func isAcceptable(_ session: Session) -> Bool {
        switch planted {
        case .noEpochCheck: true
        case .oldHelloAccepted:
            session.epoch > promised || session.epoch == promised && epochLed == nil
        default: session.epoch >= promised && session > acceptedSession
        }
    }

    /// Whether this log alone holds what was acknowledged last, by the latest that this node saw of etcd,
    /// before its start or since (rule 6).
    ///
    /// Then nobody else can lead, unless etcd was restored to before this node went on alone, or has changed
    /// since, which the next look shows.
    private var standsAlone: Bool { planted != .aloneFollows && seen?.isAlone ?? false }

    /// Older writes are settled: the search begins (rule 7).
    mutating func searchCommon() {
        guard case .settling(let session) = phase else { return }
        if planted == .cutByLength { return finishSearch(session, at: end) }
        ask(session, in: Following.Search(question: 0, low: .none, high: end.position))
    }

    private mutating func ask(_ session: Session, in search: Following.Search) {
        guard search.high > search.low.position else { return finishSearch(session, at: search.low) }
        var search = search
        search.question += 1
        search.asked = []
        phase = .searching(session, search)
        order(
            .collectMarks(question: search.question, above: search.low.position, upTo: search.high))
    }

    mutating func ask(_ question: UInt64, _ marks: [Mark]) {
        guard case .searching(let session, var search) = phase, search.question == question else { return }
        guard !marks.isEmpty else { return finishSearch(session, at: search.low) }
        search.asked = marks
        phase = .searching(session, search)
        order(.send(.marks(session, question: question, marks)))
    }

    mutating func takeCommon(_ session: Session, _ question: UInt64, _ mark: Mark?) {
        guard case .searching(session, var search) = phase, search.question == question else { return }
        guard let mark else {
            search.high = (search.asked.last?.position ?? 1) - 1
            return ask(session, in: search)
        }
        guard let index = search.asked.firstIndex(of: mark) else { return }
        search.low = mark
        if planted == .cutTooDeep, mark != end, index + 1 < search.asked.count {
            search.low = search.asked[index + 1]
        }
        // The first asked is the last end in the range: nothing behind it is common.
        search.high = index == 0 ? search.low.position : search.asked[index - 1].position - 1
        ask(session, in: search)
    }

    private mutating func finishSearch(_ session: Session, at mark: Mark) {
        guard mark != end else { return follow(session) }
        phase = .cutting(session)
        order(.cut(to: mark))
    }

    mutating func takeCut(_ mark: Mark) {
        end = mark
        if case .cutting(let session) = phase { follow(session) }
    }

    private mutating func follow(_ session: Session) {
        role = .standby(Following(phase: .following(session), expected: end.position))
        order(.send(.stored(session, end: end.position, identity: identity)))
    }

    /// Rule 8: only from the current session, and exactly the next one; anything else is dropped.
    mutating func takeBatch(_ session: Session, _ batch: ShippedBatch) {
        guard case .standby(var following) = role, case .following(let current) = following.phase,
            session == current, batch.before == following.expected
        else { return }
        if planted == .batchEpochCompared, batch.end.epoch < acceptedEpoch { return }
        following.expected = batch.end.position
        role = .standby(following)
        order(.store(batch))
        if planted == .acknowledgedOnReceipt {
            order(.send(.stored(current, end: batch.end.position, identity: identity)))
        }
    }

    /// Rule 9.
    mutating func takeStoredWhileFollowing() {
        guard case .following(let session) = phase else { return }
        order(.send(.stored(session, end: end.position, identity: identity)))
    }

    /// A promise not to take the lead, on which the leader answers reads.
    mutating func takePing(_ session: Session, _ sent: Duration, _ promise: Duration?) {
        guard case .standby = role, session == acceptedSession else { return }
        heard = Heard(session: session, at: now, isOustable: promise != nil)
        if planted != .promiseBroken { promiseEnd = max(promiseEnd, now + (promise ?? settings.lease)) }
        order(.send(.pong(session, sent: sent)))
    }

    /// What a leader acknowledged, this node only takes for so where it follows it: its own log then is the
    /// beginning of the leader's.
    mutating func learn(_ session: Session, _ acknowledged: UInt64?) {
        guard let acknowledged, case .standby(let following) = role else { return }
        if planted != .toldBeforeFollowed {
            guard case .following(session) = following.phase else { return }
        }
        let known = planted == .toldIsStored ? acknowledged : min(acknowledged, end.position)
        guard known > learned else { return }
        learned = known
        order(.learn(acknowledged: known))
    }

    /// Whether the node stores what a leader sends.
    public var isFollowing: Bool {
        if case .following = phase { true } else { false }
    }
}
