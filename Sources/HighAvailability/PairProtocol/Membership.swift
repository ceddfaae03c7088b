// Rules 13 to 17: changing `insync`.
extension PairNode {
    /// A leader's decision after each input; one change is on its way at a time.
    mutating func decideMembership() {
        guard case .leader(let leading) = role, etcdFault == nil else { return }
        if let request, request.transaction != .read { return }
        if leading.handOverWished != nil { heedWish() }
        guard case .leader(let leading) = role else { return }
        if leading.handingOverSince != nil { return handOver(leading) }
        guard let partner = leading.partner else { return considerGrowing() }
        if isLost(partner, leading) {
            shrink()
        } else if leading.isUnsettled {
            // Rule 17: it must hold everything that may have been acknowledged, by whomever.
            let stored = leading.stored(by: partner, planted)
            let isInheritedOnly = leading.acknowledged <= leading.start
            let needed =
                planted == .onlyOwnCounts && isInheritedOnly ? 0 : leading.acknowledged
            let isCaughtUp = stored.map { $0 >= needed } ?? false
            if isCaughtUp || planted == .grownBeforeCaughtUp {
                change([identity, partner], leading)
            }
        }
    }

    private func isLost(_ partner: LogIdentity, _ leading: Leading) -> Bool {
        if case .follows(let other, _, _) = leading.peer, other != partner, planted != .strangerCounts {
            return true
        }
        // To go on without it is always safe; whoever is not even connected will hardly be back at once, the
        // less if it was not there when the epoch began.
        if leading.sessionNumber == 0 { return true }
        return now - leading.lastProgress > (isConnected ? settings.peerPatience : settings.interval)
    }

    /// Rule 16: put also if it already reads so, since a read settles nothing.
    private mutating func shrink() {
        guard case .leader(var leading) = role else { return }
        change([identity], leading)
        if planted == .aloneBeforeShrunk || planted == .shrinkForgotten {
            leading.partner = nil
            role = .leader(leading)
        }
        if planted == .shrinkForgotten { request = nil }
    }

    /// Rule 17: from now on acknowledgements wait for the peer.
    private mutating func considerGrowing() {
        guard case .leader(var leading) = role, case .follows(let peer, let stored, _) = leading.peer,
            leading.gathered - min(stored, leading.gathered) <= settings.windowMax / 4
        else { return }
        let isDue = endRound(&leading, stored)
        if isDue {
            leading.partner = peer
            leading.isUnsettled = true
            leading.lastProgress = max(leading.lastProgress, leading.sessionBegan)
        }
        role = .leader(leading)
        if isDue { decideMembership() }
    }

    /// Whether callers would wait for the peer hardly longer than ever.
    ///
    /// It catches up by rounds, each with what was gathered meanwhile, until one is short; the last counts
    /// however long it is.
    ///
    /// Ongaro, "Consensus: Bridging Theory and Practice", section 4.2.1.
    private func endRound(_ leading: inout Leading, _ stored: UInt64) -> Bool {
        // Nothing rests on rounds, so a planted bug must not hide behind them.
        if planted == .onlyOwnCounts { return true }
        let round = leading.round ?? .init(end: leading.gathered, began: now)
        leading.round = round
        guard stored >= round.end else { return false }
        let isShort = now - round.began <= settings.roundMax
        if isShort || round.number == PairSettings.roundCountMax { return true }
        leading.round = .init(end: leading.gathered, began: now, number: round.number + 1)
        return false
    }

    /// Rule 13: guarded by the leader key's creation and by the revision of `insync` itself.
    private mutating func change(_ members: Set<LogIdentity>, _ leading: Leading) {
        transact(.setInsync(members, epoch: leading.epoch, revision: leading.revision))
    }

    /// Rules 14, 16 and 17.
    mutating func settleRequest(_ request: Request, _ answer: EtcdAnswer) {
        guard case .leader(var leading) = role else { return }
        switch request.transaction {
        case .setInsync(let members, _, _):
            guard let insync = answer.snapshot.insync else { return }
            leading.revision = insync.revision
            if answer.isDone {
                leading.isUnsettled = false
                if members == [identity] { leading.partner = nil }
            }
            role = .leader(leading)
            acknowledge()
        case .release:
            holdOff()
            stepDown("handed over")
        case .read:
            let isAlone = answer.snapshot.insync?.members == [identity]
            if planted == .settledByRead, leading.isUnsettled, isAlone {
                leading.isUnsettled = false
                leading.partner = nil
                role = .leader(leading)
            }
        case .take, .found: break
        }
    }

    /// Rule 15: acknowledgements go on waiting; only a confirmed write settles it.
    mutating func takeUnknownOutcome(of transaction: EtcdTransaction) {
        guard case .leader(var leading) = role else { return }
        switch transaction {
        case .setInsync(let members, _, _):
            let isShrink = members == [identity]
            if planted == .unknownIsSuccess, isShrink {
                leading.partner = nil
                leading.isUnsettled = false
            } else if planted != .unknownSettles || !isShrink {
                leading.isUnsettled = true
            }
            role = .leader(leading)
        case .release:
            holdOff()
            stepDown("handed over, if etcd heard it")
        case .read, .take, .found: break
        }
    }

    /// An answer to a request that was given up.
    mutating func believeLateAnswer(_ answer: EtcdAnswer) {
        guard case .leader(var leading) = role, answer.isDone,
            answer.snapshot.insync?.members == [identity]
        else { return }
        leading.partner = nil
        leading.isUnsettled = false
        role = .leader(leading)
    }

    mutating func beginSwitchover() {
        guard case .leader(var leading) = role, leading.partner != nil, !leading.isUnsettled else { return }
        leading.handOverWished = now
        role = .leader(leading)
        heedWish()
    }

    /// A peer that was started not long ago waits out what it may have promised before: until it is free this
    /// one serves.
    private mutating func heedWish() {
        guard case .leader(var leading) = role, let wished = leading.handOverWished else { return }
        let canFollow = now - leading.sessionBegan >= settings.promiseMax
        if leading.partner == nil || now - wished > settings.promiseMax * 2 {
            leading.handOverWished = nil
        } else if canFollow, !leading.isUnsettled {
            (leading.handOverWished, leading.handingOverSince) = (nil, now)
        }
        role = .leader(leading)
    }

    /// Lets the key go once the peer holds everything and all of it is acknowledged.
    private mutating func handOver(_ leading: Leading) {
        var leading = leading
        let isReady =
            leading.partner.flatMap { leading.stored(by: $0, planted) } == leading.gathered
            && leading.acknowledged == leading.gathered && !leading.isUnsettled
        if isReady {
            if planted == .releasedEarly { order(.send(.released(leading.session))) }
            transact(.release(epoch: leading.epoch))
        } else if let since = leading.handingOverSince, now - since > settings.peerPatience {
            leading.handingOverSince = nil
            role = .leader(leading)
        }
    }
}
