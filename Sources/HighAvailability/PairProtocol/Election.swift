// Rules 1 to 4: looking at etcd, and taking the lead.
extension PairNode {
    /// A standby's turn: one transaction at a time.
    mutating func lookAtEtcd() {
        guard etcdFault == nil, request == nil, settlingCount == 0 else { return }
        // Whoever lost sight of its leader looks twice as often.
        let pause = isConnected ? settings.interval : settings.interval / 2
        if let lastLook, now - lastLook < pause { return }
        lastLook = now
        guard let view else { return transact(.read) }
        if let leader = view.leader {
            guard leader.identity == identity else {
                return transact(mayOust(leader) ? .release(epoch: leader.epoch) : .read)
            }
            // Rule 2: a key of an epoch that was entered already is given back, never resumed.
            return transact(isFresh(leader.epoch) ? .read : .release(epoch: leader.epoch))
        }
        guard now >= max(promiseEnd, holdOffEnd), now < leaseEnd else { return transact(.read) }
        guard let insync = view.insync else { return transact(mayFound ? .found : .read) }
        // Rule 1.
        let isMember =
            insync.members.contains(identity) || planted == .takeOutsideInsync
            || planted == .namesNotIdentities
        transact(isMember ? .take(insync: insync.revision) : .read)
    }

    mutating func transact(_ transaction: EtcdTransaction) {
        requestNumber += 1
        request = Request(
            number: requestNumber, transaction: transaction, sent: now, seen: seen)
        order(.transact(requestNumber, transaction))
    }

    mutating func takeAnswer(_ number: UInt64, _ answer: EtcdAnswer) {
        // Rule 13: an answer to a request that was given up is ignored.
        guard let request, request.number == number else {
            if planted == .lateAnswerBelieved { believeLateAnswer(answer) }
            return
        }
        self.request = nil
        guard isBelieved(answer.snapshot, after: request.seen) else { return }
        if case .leader = role { settleRequest(request, answer) }
        observe(answer.snapshot)
        if case .standby = role, case .release = request.transaction, answer.isDone {
            lastLook = nil
            lookAtEtcd()
        }
    }

    /// Whether a leader has been silent for so long that its key may be taken away from it, before its lease
    /// runs out: it is bound by nothing, since all that a leader does it does without relying on the key.
    ///
    /// A leader that lives and reaches etcd has by then gone on without this node, which is no member then.
    private func mayOust(_ leader: EtcdSnapshot.Leader) -> Bool {
        guard let heard, heard.isOustable, heard.session == acceptedSession,
            heard.session.epoch == leader.epoch, view?.insync?.members.contains(identity) ?? false
        else { return false }
        let isSilent = !isConnected || now - heard.at > settings.peerPatience + settings.interval * 2
        return isSilent && now >= max(promiseEnd, holdOffEnd) && now < leaseEnd
    }

    /// The outcome is unknown (rule 15).
    mutating func giveUp(_ request: Request) {
        self.request = nil
        guard case .leader = role else { return }
        takeUnknownOutcome(of: request.transaction)
    }

    /// Whether a state of etcd may follow those that were seen; a stranger, and one that goes back, may be a
    /// restored snapshot with an old `insync`, and is refused until an operator says otherwise.
    private mutating func isBelieved(_ snapshot: EtcdSnapshot, after floor: EtcdMemory?) -> Bool {
        guard etcdFault == nil else { return false }
        let now = EtcdMemory(
            revision: snapshot.revision, insync: snapshot.insync?.revision ?? 0,
            isAlone: snapshot.insync?.members == [identity])
        etcdFault = planted == .restoredEtcdBelieved ? nil : fault(of: now, after: floor)
        if let etcdFault {
            request = nil
            if epochLed != nil { stepDown(etcdFault) }
            return false
        }
        if now.revision.number >= seen?.revision.number ?? 0 { seen = now }
        // Others use etcd, too: what matters is what was seen of these keys.
        let isNews = snapshot.leader != view?.leader || snapshot.insync != view?.insync
        if isNews { remember() }
        return true
    }

    /// Makes durable what was seen of etcd last.
    mutating func remember() {
        guard seen != remembered, let seen else { return }
        remembered = seen
        order(.remember(seen))
    }

    private func fault(of now: EtcdMemory, after floor: EtcdMemory?) -> String? {
        if let seen, now.revision.cluster != seen.revision.cluster {
            return "etcd is another cluster than the one this node knows: see vedette pair refound"
        }
        guard let floor else { return nil }
        if now.revision.number < floor.revision.number {
            return "etcd went back from revision \(floor.revision.number) to \(now.revision.number): "
                + "it was restored from an old snapshot: see vedette pair refound"
        }
        return now.insync < floor.insync
            ? "the key insync went back from revision \(floor.insync) to \(now.insync): "
                + "etcd was restored from an old snapshot: see vedette pair refound" : nil
    }

    mutating func watch(_ snapshot: EtcdSnapshot) {
        // A watch may be late: only what is new is looked at.
        guard snapshot.revision.number >= seen?.revision.number ?? 0, isBelieved(snapshot, after: nil)
        else { return }
        observe(snapshot)
    }

    /// Acts on the keys as they are, or were: an old view does no harm.
    mutating func observe(_ snapshot: EtcdSnapshot) {
        if snapshot.revision.number >= view?.revision.number ?? 0 || planted == .restoredEtcdBelieved {
            view = snapshot
        }
        if let epoch = epochLed {
            // Rules 14 and 18. A view from before the key was made says nothing of it.
            let isMine = snapshot.leader == .init(identity: identity, epoch: epoch)
            if !isMine, snapshot.revision.number >= epoch { stepDown("the key is gone") }
            return
        }
        if let leader = snapshot.leader, leader.identity == identity, isFresh(leader.epoch),
            let insync = snapshot.insync, now >= promiseEnd
        {
            beginEntering(leader.epoch, insync)
        }
    }

    /// Rule 2: an epoch is entered at most once, across restarts, step-downs and unknown outcomes.
    private func isFresh(_ epoch: UInt64) -> Bool {
        planted == .epochResumed ? epoch >= promised : epoch > promised
    }

    private mutating func beginEntering(_ epoch: UInt64, _ insync: EtcdSnapshot.Insync) {
        acceptedEpoch = max(acceptedEpoch, epoch)
        request = nil
        role = .entering(Entering(epoch: epoch, insync: insync))
        // Rule 3: any standby write in hand is finished first.
        settle()
    }

    /// `epoch_started` is durable (rules 3 and 4).
    mutating func enter(_ entering: Entering) {
        let others = entering.insync.members.subtracting([identity])
        role = .leader(
            Leading(
                epoch: entering.epoch, start: end.position, gathered: end.position,
                acknowledged: entering.inherited ?? 0,
                partner: others.first, revision: entering.insync.revision, since: now))
        if isConnected { beginSession() }
        acknowledge()
    }
}
