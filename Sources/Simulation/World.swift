import PairProtocol

/// What happened in a run, a line each.
final class Story {
    var lines: [String] = []
}

/// Two nodes, an etcd, clients and monitor actions, with everything between them, in one thread under one
/// seed.
struct World {
    var random: SeededRandom
    let planted: PlantedBug?
    let settings: PairSettings
    var profile: Profile
    var nodes: [SimulatedNode]
    var etcd: SimulatedEtcd
    var checker = Checker()
    var contents: [Content] = []
    var names: [LogIdentity: Int] = [:]
    var now: Duration = .zero

    /// `isLinked[from][to]`; index 2 is etcd.
    var isLinked = [[Bool]](repeating: [Bool](repeating: true, count: 3), count: 3)
    var isConnected = false
    /// Messages of a connection arrive in their order, but for the late ones.
    var lastArrival: [Duration] = [.zero, .zero]
    var isEtcdUp = true
    /// A lease that ran out is followed by another.
    var leaseNumbers: [UInt64] = [0, 0]
    var snapshots: [SimulatedEtcd] = []
    var wasEtcdRestored = false
    var isEtcdRepaired = false
    var isCalm = false
    var actionCount = 0
    var faultCounts: [Fault: Int] = [:]
    var stepCount = 0

    private var agenda = Agenda()
    /// Whether the story tells every input and effect.
    var isDetailed = false
    /// Nil if nobody wants to hear it.
    let story: Story?

    enum Happening: Sendable {
        case tick(Int)
        case input(Int, incarnation: Int, PairInput)
        case reachesEtcd(Int, incarnation: Int, UInt64, EtcdTransaction, LogIdentity)
        case renewal(Int)
        case renewalReachesEtcd(Int, incarnation: Int, sent: Duration)
        case expiry
        case written(Int, incarnation: Int)
        case connecting
        case operation
        case fault
        case heal(Fault, Int, incarnation: Int)
        case start(Int)
    }

    init(seed: UInt64, planted: PlantedBug?, isStoryKept: Bool) {
        random = SeededRandom(seed: seed)
        self.planted = planted
        story = isStoryKept ? Story() : nil
        profile = Profile(&random)
        settings = World.settings(&random)
        etcd = SimulatedEtcd(planted: planted)
        nodes = []
        for node in 0...1 {
            let identity = LogIdentity(bytes: SIMD2(UInt64(node), random.next()))
            names[identity] = node
            nodes.append(
                SimulatedNode(
                    identity: identity, clockOffset: random.duration(0, 1_000_000_000),
                    clockPartsPerThousand: 1_000 + random.below(19) - 9))
        }
        // Either may come first; one may come late.
        schedule(.start(0), in: random.duration(0, 300_000))
        schedule(.start(1), in: random.duration(0, 300_000))
        for happening in [Happening.operation, .fault, .connecting, .expiry] {
            schedule(happening, in: random.duration(1_000, 500_000))
        }
        for node in 0...1 {
            schedule(.tick(node), in: random.duration(0, 100_000))
            schedule(.renewal(node), in: random.duration(0, 1_000))
        }
    }

    /// Patience and promise are no part of what makes writes safe, so they may be anything.
    private static func settings(_ random: inout SeededRandom) -> PairSettings {
        var settings = PairSettings(lease: .seconds(1))
        settings.windowMax = 64
        settings.peerPatience = random.duration(100_000, 600_000)
        settings.promise = random.duration(300_000, 3_000_000)
        return settings
    }

    mutating func schedule(_ happening: Happening, in delay: Duration) {
        agenda.add(happening, at: now + delay)
    }

    func tell(_ line: @autoclosure () -> String) {
        guard let story else { return }
        let milliseconds = Double(now / .microseconds(1)) / 1_000
        let digits = String(milliseconds.rounded(.down))
        story.lines.append(String(repeating: " ", count: max(0, 9 - digits.count)) + digits + "  " + line())
    }

    /// The next thing that happens; false at the end of time.
    mutating func step(until end: Duration) -> Bool {
        guard let (time, happening) = agenda.next(until: end) else { return false }
        now = time
        stepCount += 1
        run(happening)
        return true
    }

    private mutating func run(_ happening: Happening) {
        switch happening {
        case .tick(let node):
            schedule(.tick(node), in: settings.interval)
            give(.tick, to: node)
            checkRead(of: node)
        case .input(let node, let incarnation, let input):
            if nodes[node].incarnation == incarnation { give(input, to: node) }
        case .reachesEtcd(let node, let incarnation, let number, let transaction, let identity):
            reachEtcd(node, incarnation, number, transaction, identity)
        case .renewal(let node): renew(node)
        case .renewalReachesEtcd(let node, let incarnation, let sent):
            renewAtEtcd(node, incarnation, sent)
        case .expiry:
            schedule(.expiry, in: settings.lease / 10)
            guard isEtcdUp else { return }
            let leader = etcd.leader
            etcd.expire(at: now)
            if etcd.leader != leader { tell("etcd: the leader's lease runs out") }
        case .written(let node, let incarnation):
            if nodes[node].incarnation == incarnation { finishWrite(node) }
        case .connecting:
            schedule(.connecting, in: random.duration(20_000, 200_000))
            connect()
        case .operation:
            schedule(.operation, in: random.duration(1_000, Int(profile.operationPause / .microseconds(2))))
            operate()
        case .fault:
            schedule(.fault, in: random.duration(1_000, Int(profile.pause / .microseconds(2))))
            if !isCalm { inflict() }
        case .heal(let fault, let node, let incarnation): heal(fault, node, incarnation)
        case .start(let node): start(node)
        }
    }

    // MARK: The clock

    /// What a node's monotonic clock says.
    func clock(of node: Int) -> Duration {
        let wall = planted == .wallClockTrusted ? nodes[node].wallOffset : .zero
        return nodes[node].clockOffset + now * nodes[node].clockPartsPerThousand / 1_000 + wall
    }

    // MARK: Inputs and effects

    mutating func give(_ input: PairInput, to node: Int) {
        guard nodes[node].core != nil else { return }
        guard !nodes[node].isFrozen else { return nodes[node].held.append(input) }
        let time = clock(of: node)
        let effects = nodes[node].core?.handle(input, at: time) ?? []
        if isDetailed { tell("node \(node): \(input) -> \(effects)") }
        for effect in effects {
            // A crash may come between any two effects.
            if !isCalm, profile.faults.contains(.crash), random.chance(0.000_5) { return crash(node) }
            perform(effect, of: node)
        }
    }

    private mutating func perform(_ effect: PairEffect, of node: Int) {
        switch effect {
        case .send(let message): send(message, from: node)
        case .transact(let number, let transaction): transact(number, transaction, of: node)
        case .store(let batch): order(.store(batch), on: node)
        case .begin(let epoch): order(.begin(epoch: epoch), on: node)
        case .cut(let mark): order(.cut(mark), on: node)
        case .settle:
            nodes[node].abandonWrites()
            order(.settle, on: node)
        case .collectMarks(let question, let low, let high):
            let marks = nodes[node].marks(above: low, upTo: high)
            give(later: .collected(question: question, marks), to: node)
        case .compare(let session, let question, let marks):
            let common = nodes[node].newestCommon(marks, planted)
            send(.common(session, question: question, common), from: node)
        case .ship(let session, let position): ship(session, after: position, from: node)
        case .acknowledge(let position): acknowledge(position, by: node)
        case .learn(let position):
            nodes[node].learned = position
            checker.learn(position, by: nodes[node])
        case .serve(let epoch):
            tell("node \(node): serves epoch \(epoch)")
            nodes[node].isServing = true
            nodes[node].foldWanted(contents)
        case .drop(let position):
            tell("node \(node): drops what it gathered behind \(position)")
            nodes[node].memory = []
            nodes[node].foldWanted(contents)
        case .stepDown(let reason):
            tell("node \(node): steps down: \(reason)")
            nodes[node].isServing = false
            nodes[node].memory = []
        case .remember(let memory): nodes[node].remembered = memory
        case .disconnect: disconnect()
        }
    }

    mutating func give(later input: PairInput, to node: Int) {
        schedule(.input(node, incarnation: nodes[node].incarnation, input), in: .microseconds(50))
    }

    private mutating func acknowledge(_ position: UInt64, by node: Int) {
        let epoch = nodes[node].core?.epochLed ?? 0
        checker.acknowledge(upTo: position, epoch: epoch, by: nodes[node], contents, at: now)
        checkMembers()
        checkRead(of: 1 - node)
        tell("node \(node): acknowledges up to \(position)")
        let durable = min(position, nodes[node].end.position)
        nodes[node].memory.removeAll { $0.end.position <= durable }
    }

    /// What a restored etcd says of the members is old until an operator repairs it.
    mutating func checkMembers() {
        if !wasEtcdRestored || isEtcdRepaired { checker.checkMembers(nodes, insync: etcd.insync) }
    }

    // MARK: Starting and stopping

    mutating func start(_ node: Int) {
        guard nodes[node].core == nil else { return }
        nodes[node].incarnation += 1
        nodes[node].core = PairNode(
            identity: nodes[node].identity, end: nodes[node].end, seen: nodes[node].remembered,
            mayFound: !nodes[node].hasBeenInPair, settings: settings, planted: planted, at: clock(of: node))
        tell("node \(node): starts with a log up to \(nodes[node].end.position)")
        renew(node, isOnce: true)
    }

    mutating func crash(_ node: Int) {
        guard nodes[node].core != nil else { return }
        nodes[node].crash(keepingWrite: random.chance(0.5))
        tell("node \(node): crashes; its log ends at \(nodes[node].end.position)")
        disconnect()
        schedule(.start(node), in: random.duration(20_000, 2_500_000))
    }

    // MARK: Clients

    private mutating func operate() {
        let node = random.below(2)
        checkRead(of: node)
        guard !nodes[node].isFrozen, nodes[node].isServing, nodes[node].core?.mayGather ?? false,
            let epoch = nodes[node].core?.epochLed
        else { return }
        var wanted = nodes[node].wanted
        let operations = (0...random.below(3)).map { _ in operation(on: &wanted) }
        nodes[node].wanted = wanted
        let last = nodes[node].memory.last?.end ?? nodes[node].end
        // Batches that are durable may still stand in memory.
        let end = last.position > nodes[node].end.position ? last : nodes[node].end
        contents.append(.operations(operations))
        let batch = SimulatedBatch(
            after: end, epoch: epoch, content: contents.count - 1, eventCount: operations.count)
        nodes[node].memory.append(batch)
        tell("node \(node): gathers up to \(batch.end.position)")
        give(.gathered(batch.shipped), to: node)
    }

    /// A client reads, if the node answers.
    private mutating func checkRead(of node: Int) {
        checkPromise(to: node)
        guard !nodes[node].isFrozen, nodes[node].core?.mayRead(at: clock(of: node)) ?? false,
            let shown = nodes[node].core?.acknowledgedEnd
        else { return }
        checker.read(shown: shown, by: nodes[node].core?.epochLed ?? 0)
    }

    /// What a leader relies on must bind the other node, also after a restart.
    private mutating func checkPromise(to node: Int) {
        guard nodes[node].core?.trustsPromise(at: clock(of: node)) ?? false,
            let other = nodes[1 - node].core, !other.isBound(at: clock(of: 1 - node))
        else { return }
        checker.fail("a leader relies on a promise that does not bind the other node")
    }

    private mutating func operation(on wanted: inout WantedActions) -> Operation {
        let vim = random.below(WantedActions.vimCount)
        let began = now - random.duration(0, 300_000)
        if random.chance(0.3) {
            actionCount += 1
            let operation = Operation(kind: .assign, vim: vim, action: actionCount, began: began)
            wanted.apply(.operations([operation]))
            return operation
        }
        let isWanted = random.chance(0.5)
        let action = isWanted ? wanted[vim] : wanted[vim] - 1 - random.below(3)
        return Operation(
            kind: .report(isWanted: action == wanted[vim]), vim: vim, action: action, began: began)
    }
}
