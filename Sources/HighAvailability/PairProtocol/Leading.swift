/// What a leader knows.
public struct Leading: Sendable {
    let epoch: UInt64
    /// The position of `epoch_started`.
    let start: UInt64
    /// The end of what was gathered, durable or not.
    var gathered: UInt64
    /// The highest position handed to the network in this epoch (rule 11).
    var handed: UInt64 = 0
    /// The end of what may have been acknowledged: W (rules 4 and 10).
    var acknowledged: UInt64
    /// The member that acknowledgements wait for, too; nil if this node is alone in `insync` for certain.
    var partner: LogIdentity?
    /// Whether `insync` may be other than it is believed to be (rules 15 and 17).
    var isUnsettled = false
    /// The revision of `insync` as it was last seen.
    var revision: UInt64

    var sessionNumber: UInt64 = 0
    var peer = Peer.lost
    /// When the peer last got on, or said that it has nothing left to do.
    var lastProgress: Duration
    var sessionBegan: Duration
    /// Whether stored batches are being handed to the network; until then no others are.
    var isShipping = false
    var lastPing: Duration?
    /// Until then a standby that could take over has promised not to.
    var promiseEnd: Duration = .zero
    var isServing = false
    /// When it was last certain that nobody else acknowledges anything.
    var lastCertain: Duration
    /// Since when an operator wants the peer to lead.
    var handingOverSince: Duration?
    /// When somebody wished it to; it goes on serving until the peer can follow at once.
    var handOverWished: Duration?

    /// What the peer catches up with before it becomes a partner.
    var round: Round?

    /// A part of a peer's catching up: everything that was gathered when it began.
    struct Round: Sendable {
        let end: UInt64
        let began: Duration
        var number = 1
    }

    /// The other node, as this session knows it.
    enum Peer: Sendable, Equatable {
        /// Not connected, or nothing was heard for long.
        case lost
        /// A hello was sent; nothing is known of what the peer holds (rule 5).
        case greeted
        /// It holds everything up to `stored` (M); `sent` is what was handed to the network for it.
        case follows(LogIdentity, stored: UInt64, sent: UInt64)
    }

    init(
        epoch: UInt64, start: UInt64, gathered: UInt64, acknowledged: UInt64, partner: LogIdentity?,
        revision: UInt64, since: Duration
    ) {
        self.epoch = epoch
        self.start = start
        self.gathered = gathered
        self.acknowledged = acknowledged
        self.partner = partner
        self.revision = revision
        lastProgress = since
        sessionBegan = since
        lastCertain = since
    }

    var session: Session { Session(epoch: epoch, number: sessionNumber) }

    /// What the partner holds, if it is the peer of this session.
    func stored(by partner: LogIdentity, _ planted: PlantedBug?) -> UInt64? {
        guard case .follows(let identity, let stored, _) = peer else { return nil }
        return identity == partner || planted == .strangerCounts ? stored : nil
    }
}

// Rules 5 and 8 to 12: shipping and acknowledging.
extension PairNode {
    private mutating func withLeading(_ body: (inout PairNode, inout Leading) -> Void) {
        guard case .leader(var leading) = role else { return }
        body(&self, &leading)
        // A body that stepped down has changed the role.
        if case .leader = role { role = .leader(leading) }
    }

    /// A leader's turn.
    ///
    /// One that has reached neither its partner nor etcd for long goes: it acknowledges nothing, others may
    /// have followed it, and whoever still asks it waits in vain.
    mutating func lead() {
        withLeading { node, leading in
            if node.isCertain(leading, at: node.now) { leading.lastCertain = node.now }
            if node.now - leading.lastCertain > node.settings.lease * 4 {
                return node.stepDown("it reaches neither its partner nor etcd")
            }
            if leading.lastPing.map({ node.now - $0 >= node.settings.interval }) ?? true {
                node.ping(&leading)
            }
        }
        let isDue = lastLook.map { now - $0 >= settings.interval } ?? true
        if request == nil, isDue, etcdFault == nil {
            lastLook = now
            transact(.read)
        }
        healSession()
    }

    /// A session in which nothing gets on is replaced, since messages may have been lost.
    private mutating func healSession() {
        guard case .leader(let leading) = role, isConnected else { return }
        let isStuck =
            switch leading.peer {
            case .lost, .greeted: true
            case .follows(_, let stored, let sent): stored < sent || sent < leading.gathered
            }
        let waited = now - max(leading.lastProgress, leading.sessionBegan)
        if isStuck, waited > settings.peerPatience / 2 { beginSession() }
    }

    /// Rule 5.
    mutating func beginSession() {
        withLeading { node, leading in
            leading.sessionNumber += 1
            leading.sessionBegan = node.now
            leading.isShipping = false
            leading.round = nil
            leading.peer = .greeted
            node.order(.send(.hello(leading.session)))
            node.ping(&leading)
        }
    }

    private mutating func ping(_ leading: inout Leading) {
        leading.lastPing = now
        guard leading.peer != .lost else { return }
        let told = planted == .gatheredIsTold ? leading.gathered : leading.acknowledged
        order(
            .send(
                .ping(
                    leading.session, sent: now, promise: settings.promise,
                    // Before the epoch is acknowledged it is only what may have been.
                    acknowledged: leading.isServing || planted == .inheritedIsTold ? told : nil)))
    }

    /// The peer has promised itself to a later session: a later epoch is reason enough to look at etcd.
    mutating func takeRefusal(_ session: Session) {
        guard case .leader(let leading) = role, session.epoch > leading.epoch else { return }
        stepDown("the peer follows a later epoch")
    }

    /// Rule 7, the leader's part; only what is durable is compared.
    mutating func takeMarks(_ session: Session, _ question: UInt64, _ marks: [Mark]) {
        guard case .leader(let leading) = role, session == leading.session else { return }
        order(.compare(session, question: question, marks))
    }

    /// Rule 9.
    mutating func takeAcknowledgement(_ session: Session, _ end: UInt64, of identity: LogIdentity) {
        withLeading { node, leading in
            guard session == leading.session || node.planted == .positionAloneCounts else { return }
            switch leading.peer {
            case .follows(let known, let stored, let sent):
                guard known == identity, end > stored else { return }
                leading.peer = .follows(identity, stored: end, sent: max(sent, end))
            case .greeted, .lost:
                leading.peer = .follows(identity, stored: end, sent: end)
            }
            leading.lastProgress = node.now
        }
        acknowledge()
    }

    mutating func takePong(_ session: Session, _ sent: Duration) {
        withLeading { node, leading in
            guard session == leading.session else { return }
            leading.promiseEnd = max(
                leading.promiseEnd, sent + node.settings.shortened(node.settings.promise))
            if case .follows(_, let stored, let shipped) = leading.peer, stored == shipped,
                shipped == leading.gathered
            {
                leading.lastProgress = node.now
            }
        }
    }

    /// Rule 8: what the peer lacks is sent by portions, each when the one before it is stored.
    private mutating func ship() {
        withLeading { node, leading in
            guard !leading.isShipping, case .follows(_, let stored, let sent) = leading.peer,
                stored == sent, sent < leading.gathered
            else { return }
            leading.isShipping = true
            // How much will be sent is not known before; at most everything.
            leading.handed = leading.gathered
            node.order(.ship(leading.session, after: sent))
        }
    }

    mutating func takeShipped(_ session: Session, _ position: UInt64) {
        withLeading { _, leading in
            guard session == leading.session, case .follows(let identity, let stored, let sent) = leading.peer
            else { return }
            leading.isShipping = false
            leading.peer = .follows(identity, stored: stored, sent: max(sent, position))
        }
        ship()
    }

    /// Ships and stores side by side (rule 8).
    mutating func gather(_ batch: ShippedBatch) {
        guard case .leader(var leading) = role, mayGather, batch.before == leading.gathered,
            batch.end.epoch == leading.epoch
        else { return }
        leading.gathered = batch.end.position
        if case .follows(let identity, let stored, let sent) = leading.peer, sent == batch.before,
            !leading.isShipping, batch.end.position - stored <= settings.windowMax
        {
            leading.handed = batch.end.position
            leading.peer = .follows(identity, stored: stored, sent: batch.end.position)
            order(.send(.batch(leading.session, batch)))
        }
        order(.store(batch))
        role = .leader(leading)
        acknowledge()
    }

    /// Rule 10.
    mutating func acknowledge() {
        withLeading { node, leading in
            let durable = node.planted == .answeredBeforeSync ? leading.gathered : node.end.position
            var position = durable
            if let partner = leading.partner, node.planted != .partnerNotAwaited {
                position = min(durable, leading.stored(by: partner, node.planted) ?? 0)
            }
            if position > leading.acknowledged {
                leading.acknowledged = position
                node.order(.acknowledge(upTo: position))
            }
            let isServable = leading.acknowledged >= leading.start || node.planted == .servedTooEarly
            if isServable, !leading.isServing {
                leading.isServing = true
                node.order(.serve(epoch: leading.epoch))
            }
        }
        ship()
    }

    /// Rule 11.
    mutating func takeCommitFailure() {
        withLeading { node, leading in
            let isHanded = leading.handed > node.end.position
            let matters =
                switch node.planted {
                case .positionReused: false
                case .stepDownOnlyForMembers: leading.partner != nil
                default: true
                }
            if isHanded, matters {
                // The other one may be able to.
                node.holdOff()
                return node.stepDown("a batch that was sent could not be stored")
            }
            leading.gathered = node.end.position
            leading.round = nil
            if case .follows(let identity, let stored, let sent) = leading.peer {
                let most = node.end.position
                leading.peer = .follows(identity, stored: min(stored, most), sent: min(sent, most))
            }
            node.settle()
            node.order(.drop(after: node.end.position))
        }
    }

    /// Whether this node may answer a read from its acknowledged state now: nobody else can have
    /// acknowledged anything after it.
    public func mayRead(at now: Duration) -> Bool {
        guard case .leader(let leading) = role, leading.isServing else { return false }
        return planted == .readWithoutPromise || isCertain(leading, at: now)
    }

    /// Whether nobody else can have acknowledged anything that this leader does not know.
    private func isCertain(_ leading: Leading, at now: Duration) -> Bool {
        // Alone in `insync`, nobody else can take over. A lease says nothing: a standby may oust its leader.
        if leading.partner == nil { return true }
        return now < leading.promiseEnd || planted == .leaseTrusted && now < leaseEnd
    }

    /// Whether this node leads and relies on its peer's promise not to.
    public func trustsPromise(at now: Duration) -> Bool {
        if case .leader(let leading) = role { now < leading.promiseEnd } else { false }
    }

    /// Whether a promise keeps this node from taking the lead.
    public func isBound(at now: Duration) -> Bool { now < promiseEnd }

    /// The end of what this node has acknowledged; nil if it does not lead.
    public var acknowledgedEnd: UInt64? {
        if case .leader(let leading) = role { leading.acknowledged } else { nil }
    }

    /// Whether this node leads and lets its peer take over, until that is done or given up.
    public var isHandingOver: Bool {
        guard case .leader(let leading) = role else { return false }
        return leading.handingOverSince != nil || leading.handOverWished != nil
    }

    /// Whether the conductor may gather batches.
    public var mayGather: Bool {
        if case .leader(let leading) = role {
            leading.isServing && leading.handingOverSince == nil && settlingCount == 0
        } else {
            false
        }
    }
}
