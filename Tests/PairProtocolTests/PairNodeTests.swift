import PairProtocol
import Testing

@Suite("A pair's node")
struct PairNodeTests {
    @Test("It founds a pair where there is none, and serves once its epoch is durable")
    func founding() {
        var script = Script(log: .none, mayFound: true)
        #expect(script.give(.tick) == [.transact(1, .read)])
        let empty = Script.view(7, leader: nil, insync: nil)
        #expect(script.give(.answered(1, .init(isDone: true, snapshot: empty))) == [])
        #expect(script.give(.tick) == [.transact(2, .found)])
        let founded = Script.view(8, leader: (a, 8), insync: ([a], 8))
        #expect(
            script.give(.answered(2, .init(isDone: true, snapshot: founded)))
                == [.remember(EtcdMemory(revision: founded.revision, insync: 8, isAlone: true)), .settle])
        #expect(script.give(.settled(.none)) == [.begin(epoch: 8)])
        #expect(!script.node.mayGather)
        #expect(script.give(.stored(mark(1, 8))) == [.acknowledge(upTo: 1), .serve(epoch: 8)])
        #expect(script.node.mayGather && script.node.mayRead(at: script.now))
        #expect(script.give(.gathered(batch(1, 3, 8))) == [.store(batch(1, 3, 8))])
        #expect(script.give(.stored(mark(3, 8))) == [.acknowledge(upTo: 3)])
    }

    @Test("A log that has been in a pair never founds another, and who is not in insync does not lead")
    func outsiders() {
        var script = Script(log: mark(5, 3), mayFound: false)
        _ = script.give(.tick)
        _ = script.give(.answered(1, .init(isDone: true, snapshot: Script.view(9, leader: nil, insync: nil))))
        #expect(script.give(.tick) == [.transact(2, .read)])
        let others = Script.view(10, leader: nil, insync: ([b], 10))
        _ = script.give(.answered(2, .init(isDone: true, snapshot: others)))
        #expect(script.give(.tick) == [.transact(3, .read)])
    }

    @Test("After a start it waits out the longest promise, and it takes the lead only on a lease")
    func patience() {
        var script = Script(log: mark(5, 3), mayFound: false, isReady: false)
        _ = script.give(.tick)
        let free = Script.view(9, leader: nil, insync: ([a, b], 4))
        _ = script.give(.answered(1, .init(isDone: true, snapshot: free)))
        #expect(script.give(.tick) == [.transact(2, .read)])
        _ = script.give(.answered(2, .init(isDone: true, snapshot: free)))
        script.now += .seconds(10)
        #expect(script.give(.tick) == [.transact(3, .read)], "no lease")
        _ = script.give(.answered(3, .init(isDone: true, snapshot: free)))
        _ = script.give(.leaseHeld(1, until: script.now + .seconds(2)))
        #expect(script.give(.tick) == [.transact(4, .take(insync: 4))])
    }

    @Test("The key of an epoch that the log knows is given back, never resumed")
    func resuming() {
        var script = Script(log: mark(5, 8), mayFound: false)
        _ = script.give(.tick)
        let mine = Script.view(9, leader: (a, 8), insync: ([a, b], 4))
        _ = script.give(.answered(1, .init(isDone: true, snapshot: mine)))
        #expect(script.node.epochLed == nil)
        #expect(script.give(.tick) == [.transact(2, .release(epoch: 8))])
    }

    @Test("Nothing is acknowledged before the partner holds it; alone only after a confirmed shrink")
    func waiting() {
        var script = Script.leading(with: [a, b])
        _ = script.give(.gathered(batch(6, 7, 8)))
        #expect(script.give(.stored(mark(7, 8))) == [])
        #expect(script.node.acknowledgedEnd == 5, "the inherited part counts as acknowledged, nothing else")
        script.now += .seconds(5)
        let shrink = script.give(.tick).compactMap(\.transaction)
        #expect(shrink == [.setInsync([a], epoch: 8, revision: 4)])
        let givenUp = script.lastRequest
        // No answer: unknown, so nobody is alone; it is put again.
        script.now += .seconds(5)
        let again = script.give(.tick)
        #expect(again.compactMap(\.transaction) == [.setInsync([a], epoch: 8, revision: 4)])
        #expect(script.node.acknowledgedEnd == 5)
        // The first was done all the same; its answer comes late and is ignored.
        let done = Script.view(11, leader: (a, 8), insync: ([a], 11))
        _ = script.give(.answered(givenUp, .init(isDone: true, snapshot: done)))
        #expect(script.node.acknowledgedEnd == 5)
        let number = script.lastRequest
        let third = script.give(.answered(number, .init(isDone: false, snapshot: done)))
        #expect(third.compactMap(\.transaction) == [.setInsync([a], epoch: 8, revision: 11)], "rule 14")
        let confirmed = Script.view(12, leader: (a, 8), insync: ([a], 12))
        let effects = script.give(.answered(script.lastRequest, .init(isDone: true, snapshot: confirmed)))
        #expect(effects.contains(.acknowledge(upTo: 7)))
        #expect(effects.contains(.serve(epoch: 8)))
    }

    @Test("Who catches up is waited for when that takes hardly longer than ever, or has taken long ten times")
    func rounds() {
        let (session, long) = (Session(epoch: 8, number: 1), Duration.milliseconds(100))
        func stored(_ end: UInt64) -> PairInput { .received(.stored(session, end: end, identity: b)) }
        func catching() -> Script {
            var script = Script.leading(with: [a], isConnected: true)
            _ = script.give(.gathered(batch(6, 9, 8)))
            _ = script.give(.stored(mark(9, 8)))
            _ = script.give(stored(6))
            #expect(script.node.acknowledgedEnd == 9)
            return script
        }
        let change = EtcdTransaction.setInsync([a, b], epoch: 8, revision: 4)
        var quick = catching()
        _ = quick.give(.gathered(batch(9, 12, 8)), after: long)
        #expect(quick.give(stored(9), after: long).compactMap(\.transaction) == [])
        _ = quick.give(.stored(mark(12, 8)), after: long)
        #expect(quick.node.acknowledgedEnd == 12, "nobody waits for it yet")
        #expect(quick.give(stored(12), after: long).compactMap(\.transaction) == [], "long, too")
        #expect(quick.give(.tick, after: .milliseconds(1)).compactMap(\.transaction) == [change])

        var (slow, changes, count) = (catching(), [EtcdTransaction](), 0)
        while changes.isEmpty, count < 20 {
            count += 1
            let end = 9 + UInt64(count)
            for input in [.gathered(batch(end - 1, end, 8)), .stored(mark(end, 8)), stored(end)] {
                changes += slow.give(input, after: long).compactMap(\.transaction)
            }
        }
        #expect(changes == [change] && (3...10).contains(count))
    }

    @Test("A failed commit ends the epoch if the batch was sent, and else only the batch")
    func failing() {
        var alone = Script.leading(with: [a])
        _ = alone.give(.gathered(batch(6, 7, 8)))
        #expect(alone.give(.storeFailed) == [.settle, .drop(after: 6)])
        #expect(!alone.node.mayGather)
        _ = alone.give(.settled(mark(6, 8)))
        #expect(alone.give(.gathered(batch(6, 9, 8))) == [.store(batch(6, 9, 8))])

        var followed = Script.leading(with: [a])
        _ = followed.give(.connected)
        _ = followed.give(
            .received(.stored(Session(epoch: 8, number: 1), end: 6, identity: b)))
        let sent = followed.give(.gathered(batch(6, 7, 8)))
        #expect(sent.first == .send(.batch(Session(epoch: 8, number: 1), batch(6, 7, 8))))
        let effects = followed.give(.storeFailed)
        #expect(
            effects == [
                .settle, .stepDown("a batch that was sent could not be stored"),
                .send(.released(Session(epoch: 8, number: 1))),
            ])
        #expect(followed.node.epochLed == nil)
    }

    @Test("A standby finds the common end, cuts there, and stores only the next batch of its session")
    func following() {
        var script = Script(log: mark(9, 4), mayFound: false)
        let session = Session(epoch: 6, number: 2)
        #expect(script.give(.received(.hello(session))) == [.settle])
        let question = script.give(.settled(mark(9, 4)))
        #expect(question == [.collectMarks(question: 1, above: 0, upTo: 9)])
        let marks = [mark(9, 4), mark(7, 3), mark(4, 3)]
        #expect(
            script.give(.collected(question: 1, marks)) == [.send(.marks(session, question: 1, marks))])
        // Between the newest common one and the one behind it there may be others.
        #expect(
            script.give(.received(.common(session, question: 1, mark(4, 3))))
                == [.collectMarks(question: 2, above: 4, upTo: 6)])
        #expect(script.give(.collected(question: 2, [])) == [.cut(to: mark(4, 3))])
        #expect(
            script.give(.cut(mark(4, 3))) == [.send(.stored(session, end: 4, identity: a))])
        let next = ShippedBatch(before: 4, end: mark(8, 5), bytes: [1])
        let old = Session(epoch: 6, number: 1)
        #expect(script.give(.received(.batch(old, next))) == [])
        #expect(script.give(.received(.batch(session, batch(5, 8, 5)))) == [])
        #expect(script.give(.received(.batch(session, next))) == [.store(next)])
        #expect(script.give(.received(.batch(session, next))) == [], "doubled")
        #expect(
            script.give(.stored(mark(8, 5))) == [.send(.stored(session, end: 8, identity: a))])
        #expect(
            script.give(.received(.hello(old)))
                == [.send(.refusal(session))], "a hello of an older session")
    }

    @Test("A leader follows a later epoch, and etcd that went back is not believed")
    func superseded() {
        var script = Script.leading(with: [a, b])
        let effects = script.give(.received(.hello(Session(epoch: 9, number: 1))))
        #expect(effects.contains(.stepDown("a leader of a later epoch said hello")))

        var other = Script.leading(with: [a, b])
        _ = other.give(.tick)
        let old = Script.view(7, leader: nil, insync: ([a, b], 4))
        let refused = other.give(.answered(other.lastRequest, .init(isDone: true, snapshot: old)))
        #expect(other.node.etcdFault?.contains("restored from an old snapshot") ?? false)
        #expect(refused.contains { if case .stepDown = $0 { true } else { false } })
    }

    @Test("Who stands alone follows nobody until etcd shows otherwise: a restored one may have lost its lead")
    func standingAlone() {
        var script = Script.leading(with: [a])
        _ = script.give(.watched(Script.view(12, leader: (a, 8), insync: ([a], 12))))
        for epoch: UInt64 in [10, 13] {
            let refused = script.give(.received(.hello(Session(epoch: epoch, number: 1))))
            #expect(refused == [.send(.refusal(Session(epoch: 8, number: 0)))])
            #expect(script.node.epochLed == 8)
        }
        _ = script.give(.watched(Script.view(14, leader: (b, 13), insync: ([a, b], 14))))
        let followed = script.give(.received(.hello(Session(epoch: 13, number: 2))))
        #expect(!followed.contains { if case .send(.refusal) = $0 { true } else { false } })
    }

    @Test("Who saw etcd before the pair was founded remembers it as soon as it follows")
    func rememberingWhenFollowing() {
        var script = Script(log: .none, mayFound: true)
        _ = script.give(.tick)
        let unfounded = Script.view(7, leader: nil, insync: nil)
        #expect(script.give(.answered(1, .init(isDone: true, snapshot: unfounded))) == [])
        let memory = EtcdMemory(revision: unfounded.revision, insync: 0, isAlone: false)
        for number: UInt64 in 1...2 {
            let followed = script.give(.received(.hello(Session(epoch: 8, number: number))))
            #expect(followed.contains(.remember(memory)) == (number == 1))
        }
    }

    @Test("Who stands alone knows so after a restart, before it has reached etcd")
    func standingAloneAfterRestart() {
        for isAlone in [false, true] {
            let seen = EtcdMemory(
                revision: EtcdRevision(cluster: 1, number: 12), insync: 12, isAlone: isAlone)
            var node = PairNode(
                identity: a, end: .none, seen: seen, mayFound: false,
                settings: PairSettings(lease: .seconds(4)), at: .zero)
            let effects = node.handle(.received(.hello(Session(epoch: 13, number: 1))), at: .zero)
            #expect(effects.contains(.send(.refusal(Session(epoch: 0, number: 0)))) == isAlone)
        }
    }

    @Test("A partner that is not connected is given up as the epoch begins, one that is silent later")
    func patienceWithPartner() {
        let alone = EtcdTransaction.setInsync([a], epoch: 8, revision: 4)
        func isGivenUp(_ effects: [PairEffect]) -> Bool {
            effects.contains { if case .transact(_, alone) = $0 { true } else { false } }
        }
        let lonely = Script.leading(with: [a, b])
        #expect(isGivenUp(lonely.effects))
        var silent = Script.leading(with: [a, b], isConnected: true)
        #expect(!isGivenUp(silent.give(.tick)))
        let later = (0..<4).map { _ in silent.give(.tick) }
        #expect(later.contains(where: isGivenUp))
    }

    @Test("A leader that reaches neither its partner nor etcd goes after four leases; an answer keeps it")
    func cutOff() {
        func isGone(_ keptBy: (inout Script) -> Void) -> Bool {
            var script = Script.leading(with: [a, b], isConnected: true)
            // Its lease of four seconds is not renewed.
            _ = script.give(.leaseHeld(2, until: script.now))
            for _ in 0..<40 {
                keptBy(&script)
                _ = script.give(.tick)
            }
            return script.node.epochLed == nil
        }
        #expect(isGone { _ in })
        #expect(
            !isGone {
                _ = $0.give(.received(.pong(Session(epoch: 8, number: $0.lastSession), sent: $0.now)))
            })
    }

    @Test("A watch that shows the key gone ends the epoch; one from before the key says nothing")
    func watching() {
        var script = Script.leading(with: [a, b])
        let old = script.give(.watched(Script.view(7, leader: nil, insync: ([a, b], 4))))
        #expect(!old.contains { if case .stepDown = $0 { true } else { false } })
        #expect(script.node.epochLed == 8)
        let effects = script.give(.watched(Script.view(9, leader: (b, 9), insync: ([a, b], 4))))
        #expect(effects.contains(.stepDown("the key is gone")))
        #expect(script.node.epochLed == nil)
    }

    @Test("A switchover lets the key go once the peer holds everything")
    func switchover() {
        var script = Script.leading(with: [a, b], isConnected: true)
        let session = Session(epoch: 8, number: 1)
        script.now += .seconds(4)
        _ = script.give(.received(.stored(session, end: 6, identity: b)))
        _ = script.give(.gathered(batch(6, 7, 8)))
        _ = script.give(.switchover)
        #expect(script.node.isHandingOver)
        #expect(!script.node.mayGather)
        _ = script.give(.stored(mark(7, 8)))
        let effects = script.give(.received(.stored(session, end: 7, identity: b)))
        #expect(effects.contains(.acknowledge(upTo: 7)))
        #expect(effects.compactMap(\.transaction) == [.release(epoch: 8)])
        let gone = Script.view(9, leader: nil, insync: ([a, b], 4))
        let last = script.give(.answered(script.lastRequest, .init(isDone: true, snapshot: gone)))
        #expect(last.contains(.stepDown("handed over")))
        #expect(!script.node.isHandingOver)
        #expect(last.last == .send(.released(session)), "said when nothing is read on the promise any more")
    }

    @Test("A leader serves on until a peer is free that was started a moment ago, and may have promised")
    func switchoverToNewcomer() {
        var script = Script.leading(with: [a, b], isConnected: true)
        let stored = PairInput.received(.stored(Session(epoch: 8, number: 1), end: 6, identity: b))
        _ = script.give(stored)
        #expect(script.give(.switchover).compactMap(\.transaction) == [])
        #expect(script.node.isHandingOver && script.node.mayGather)
        script.now += .seconds(4)
        #expect(script.give(stored).compactMap(\.transaction) == [.release(epoch: 8)])
        #expect(script.node.isHandingOver && !script.node.mayGather)
    }

    @Test("Who handed over lets the other one go first, and is as ready as ever once that did")
    func handedBack() {
        let gone = Script.view(9, leader: nil, insync: ([a, b], 4))
        func handedOver() -> Script {
            var script = Script.leading(with: [a, b], isConnected: true)
            let session = Session(epoch: 8, number: 1)
            script.now += .seconds(4)
            _ = script.give(.received(.stored(session, end: 6, identity: b)))
            let effects = script.give(.switchover)
            #expect(effects.compactMap(\.transaction) == [.release(epoch: 8)])
            _ = script.give(.answered(script.lastRequest, .init(isDone: true, snapshot: gone)))
            _ = script.give(.settled(mark(6, 8)))
            #expect(script.node.epochLed == nil)
            return script
        }
        var waiting = handedOver()
        for _ in 0..<5 {
            #expect(waiting.give(.tick).compactMap(\.transaction) == [], "the other one goes first")
            _ = waiting.give(.answered(waiting.lastRequest, .init(isDone: true, snapshot: gone)))
        }
        var back = handedOver()
        let later = Session(epoch: 10, number: 1)
        _ = back.give(.received(.hello(later)))
        _ = back.give(.settled(mark(6, 8)))
        _ = back.give(.watched(Script.view(10, leader: (b, 10), insync: ([a, b], 4))))
        #expect(back.give(.received(.released(later))).compactMap(\.transaction) == [.take(insync: 4)])
    }

    @Test("A standby whose leader left the epoch of its session takes the lead at once; else it is bound")
    func released() {
        let session = Session(epoch: 8, number: 2)
        func follower() -> Script {
            var script = Script(log: mark(5, 3), mayFound: false)
            _ = script.give(.tick)
            let held = Script.view(8, leader: (b, 8), insync: ([a, b], 4))
            _ = script.give(.answered(script.lastRequest, .init(isDone: true, snapshot: held)))
            _ = script.give(.received(.hello(session)))
            _ = script.give(.settled(mark(5, 3)))
            let answer = script.give(
                .received(.ping(session, sent: .zero, promise: .seconds(4), acknowledged: nil)))
            #expect(answer == [.send(.pong(session, sent: .zero))])
            return script
        }
        var freed = follower()
        #expect(freed.give(.received(.released(session))).compactMap(\.transaction) == [.take(insync: 4)])

        var bound = follower()
        for other in [Session(epoch: 8, number: 1), Session(epoch: 7, number: 2)] {
            #expect(bound.give(.received(.released(other))) == [])
        }
        let gone = Script.view(9, leader: nil, insync: ([a, b], 4))
        _ = bound.give(.watched(gone))
        #expect(bound.give(.tick).compactMap(\.transaction) == [], "it promised, and nobody freed it")
    }

    @Test("A standby takes for acknowledged what its leader tells it, as far as its own log has it")
    func learning() {
        let session = Session(epoch: 8, number: 2)
        var script = Script(log: mark(5, 3), mayFound: false)
        func learned(_ position: UInt64?, in session: Session) -> [UInt64] {
            let ping = PairMessage.ping(
                session, sent: .zero, promise: .seconds(2), acknowledged: position)
            return script.give(.received(ping)).compactMap {
                if case .learn(let position) = $0 { position } else { nil }
            }
        }
        _ = script.give(.received(.hello(session)))
        #expect(learned(4, in: session) == [], "what it has may be cut yet")
        _ = script.give(.settled(mark(5, 3)))
        #expect(learned(4, in: session) == [], "it searches the common position")
        _ = script.give(.collected(question: 1, [mark(5, 3)]))
        _ = script.give(.received(.common(session, question: 1, mark(5, 3))))
        #expect(script.node.isFollowing)
        #expect(learned(nil, in: session) == [])
        #expect(learned(4, in: Session(epoch: 8, number: 1)) == [])
        #expect(learned(4, in: session) == [4])
        #expect(learned(4, in: session) == [], "it is no news")
        #expect(learned(9, in: session) == [5], "more it does not have")
    }

    @Test("A standby takes the key away from a leader that it does not hear, when its promise has ended")
    func ousting() {
        let session = Session(epoch: 8, number: 2)
        func follower(
            members: Set<LogIdentity> = [a, b], isConnected: Bool = false, promise: Duration? = .seconds(2)
        ) -> Script {
            var script = Script(log: mark(5, 3), mayFound: false)
            if isConnected { _ = script.give(.connected) }
            _ = script.give(.watched(Script.view(8, leader: (b, 8), insync: (members, 4))))
            _ = script.give(.received(.hello(session)))
            _ = script.give(.settled(mark(5, 3)))
            _ = script.give(.received(.ping(session, sent: .zero, promise: promise, acknowledged: nil)))
            return script
        }
        /// What it asks etcd for besides reads, so long after the ping.
        func wants(after silence: Duration, _ script: Script) -> [EtcdTransaction] {
            var script = script
            script.now += silence - .milliseconds(600)
            return script.give(.tick).compactMap(\.transaction)
        }
        #expect(wants(after: .milliseconds(1_900), follower()) == [], "it promised")
        #expect(wants(after: .milliseconds(2_100), follower()) == [.release(epoch: 8)])
        #expect(
            wants(after: .milliseconds(2_100), follower(isConnected: true)) == [], "the leader may be slow")
        #expect(wants(after: .milliseconds(3_100), follower(isConnected: true)) == [.release(epoch: 8)])
        #expect(wants(after: .seconds(60), follower(members: [b])) == [], "it may not lead")
        #expect(
            wants(after: .seconds(60), follower(promise: nil)) == [], "that leader reads on its lease, too")
        var stranger = follower()
        _ = stranger.give(.watched(Script.view(9, leader: (b, 9), insync: ([a, b], 4))))
        #expect(wants(after: .seconds(60), stranger) == [], "it never heard the leader of that epoch")

        var ousting = follower()
        ousting.now += .seconds(2)
        _ = ousting.give(.tick)
        let gone = Script.view(9, leader: nil, insync: ([a, b], 4))
        let effects = ousting.give(.answered(ousting.lastRequest, .init(isDone: true, snapshot: gone)))
        #expect(effects.compactMap(\.transaction) == [.take(insync: 4)])
    }

    @Test("A leader with a partner reads on its promise alone, never on its lease")
    func reading() {
        var script = Script.leading(with: [a, b], isConnected: true)
        let session = Session(epoch: 8, number: script.lastSession)
        let asked = script.now
        _ = script.give(.received(.stored(session, end: 6, identity: b)))
        #expect(script.node.acknowledgedEnd == 6 && !script.node.mayRead(at: script.now))
        _ = script.give(.received(.pong(session, sent: asked)))
        #expect(script.node.mayRead(at: asked + .milliseconds(1_900)))
        #expect(!script.node.mayRead(at: asked + .seconds(2)), "clocks may run apart")
    }

    @Test("What a node promised before it was started binds it whatever its leader says")
    func forgottenPromise() {
        var script = Script(log: mark(5, 3), mayFound: false, isReady: false)
        _ = script.give(.leaseHeld(1, until: .seconds(10_000)))
        let session = Session(epoch: 8, number: 1)
        _ = script.give(.received(.hello(session)))
        _ = script.give(.settled(mark(5, 3)))
        _ = script.give(.watched(Script.view(9, leader: nil, insync: ([a, b], 4))))
        #expect(script.give(.received(.released(session))).compactMap(\.transaction) == [])
        script.now += .seconds(5)
        #expect(script.give(.tick).compactMap(\.transaction) == [.take(insync: 4)])
    }
}

private let a = LogIdentity(bytes: SIMD2(1, 1))
private let b = LogIdentity(bytes: SIMD2(2, 2))

private func mark(_ position: UInt64, _ epoch: UInt64) -> Mark {
    Mark(position: position, epoch: epoch, seal: SIMD4(position, epoch, 0, 0))
}

private func batch(_ before: UInt64, _ end: UInt64, _ epoch: UInt64) -> ShippedBatch {
    ShippedBatch(before: before, end: mark(end, epoch), bytes: [])
}

/// A node, a clock that goes on by a second with each input, and what it asked etcd last.
private struct Script {
    var node: PairNode
    var now: Duration = .zero
    var lastRequest: UInt64 = 0
    /// What the last input led to.
    var effects: [PairEffect] = []
    /// The number of the session that it began last.
    var lastSession: UInt64 = 0

    init(log: Mark, mayFound: Bool, isReady: Bool = true) {
        node = PairNode(
            identity: a, end: log, seen: nil, mayFound: mayFound, settings: PairSettings(lease: .seconds(4)),
            at: .zero)
        guard isReady else { return }
        now = .seconds(100)
        _ = give(.leaseHeld(1, until: .seconds(10_000)))
    }

    /// The leader of epoch 8, whose log ended at 5 before it.
    static func leading(with members: Set<LogIdentity>, isConnected: Bool = false) -> Script {
        var script = Script(log: mark(5, 3), mayFound: false)
        if isConnected { _ = script.give(.connected) }
        _ = script.give(.tick)
        let mine = view(8, leader: (a, 8), insync: (members, 4))
        _ = script.give(.answered(1, .init(isDone: true, snapshot: mine)))
        _ = script.give(.settled(mark(5, 3)))
        _ = script.give(.stored(mark(6, 8)))
        return script
    }

    mutating func give(
        _ input: PairInput, after pause: Duration = .milliseconds(600)
    ) -> [PairEffect] {
        now += pause
        effects = node.handle(input, at: now)
        for case .transact(let number, _) in effects { lastRequest = number }
        for case .send(.hello(let session)) in effects { lastSession = session.number }
        return effects
    }

    static func view(
        _ number: UInt64, leader: (LogIdentity, UInt64)?, insync: (Set<LogIdentity>, UInt64)?
    ) -> EtcdSnapshot {
        EtcdSnapshot(
            revision: EtcdRevision(cluster: 1, number: number),
            leader: leader.map { .init(identity: $0.0, epoch: $0.1) },
            insync: insync.map { .init(members: $0.0, revision: $0.1) })
    }
}

extension PairEffect {
    fileprivate var transaction: EtcdTransaction? {
        if case .transact(_, let transaction) = self, transaction != .read { transaction } else { nil }
    }
}
