public import Conductor
import EtcdClient
public import EventLog
import Identity
public import Logging
import PairEtcd
import PairProtocol
import PairWire
public import Projections
import Synchronization
import Threads

/// One of a pair's two nodes: gives `PairNode` a clock, a log, a wire and etcd, and does what it orders.
///
/// Everything that happens to the node goes through one lock, in which the node decides; nothing in there
/// waits for a disk or a network. The log is written by one thread at a time: the node's own while it
/// follows, the conductor's while it leads.
public final class RunningNode: Sendable {
    struct State: Sendable {
        var core: PairNode
        /// Waits for the log thread.
        var jobs: [LogJob] = []
        /// A write is being carried out, by the log thread or by the conductor.
        var isWriteInHand = false
        /// Settlings that wait for the write in hand.
        var settlingCount = 0
        /// A write failed, and the node has not asked to settle since.
        var isRefusing = false
        /// The conductor hands over a batch: what is ordered to be stored is that one.
        var isGathering = false
        var isGathered = false
        /// Of the epoch that this node enters or leads.
        var conductor: Conductor?
        /// The epoch is acknowledged: the conductor may be asked.
        var isServing = false
        /// The epoch whose conductor is being made.
        var beginning: UInt64?
        /// The write in hand is the first one of an epoch, and not yet begun.
        var isBeginHeld = false
        var isStopping = false
    }

    let log: EventLog
    let configuration: NodeConfiguration
    let settings: PairSettings
    let options: Conductor.Options
    let keyFile: MasterKeyFile
    let logger: Logger
    let identity: LogIdentity
    /// Whether its log was in the pair before: then all of it may go if the pair went on without it.
    let wasInPair: Bool
    let link: PairLink
    let client: EtcdClient
    let keys: PairKeys
    let etcd: PairEtcd
    let state: Mutex<State>
    /// The fold of the log up to its head, while this node follows.
    let table: Mutex<VIMTable>
    let bell = Doorbell()
    /// When the leader was heard.
    let hearing = Mutex(Hearing())
    let lastPeer = Mutex<PeerEnclosure?>(nil)
    /// The other node, while the link stands.
    let peer = Mutex<ConnectedPeer?>(nil)
    let refusal = Mutex<PeerRefusal?>(nil)
    /// What was told of this node last, and when.
    let published = Mutex<(role: PairMember.Role, key: String?, bringsCopy: Bool, at: Duration)?>(nil)
    let enclosure: OwnEnclosure
    let giver: CopyGiver
    let archiver: StandbyArchiver
    /// What this node has to drop when it begins to lead.
    let dropping = Mutex<Task<Void, Never>?>(nil)
    let inlet: Inlet
    private let roleChanges: AsyncStream<NodeRole>.Continuation
    /// What this node is, whenever that changes; for one consumer.
    public let roles: AsyncStream<NodeRole>

    /// A node on a log that is open for writing.
    ///
    /// - Parameters:
    ///   - table: the fold of the log up to its head.
    ///   - options: of the conductors that it makes when it leads.
    public init(
        _ configuration: NodeConfiguration, log: EventLog, table: VIMTable, options: Conductor.Options,
        logger: Logger
    ) throws(PairFault) {
        self.log = log
        self.configuration = configuration
        self.options = options
        self.logger = logger
        keyFile = MasterKeyFile(options.masterKeyFile ?? options.directory + "/master.key")
        settings = PairSettings(lease: configuration.lease)
        (roles, roleChanges) = AsyncStream.makeStream()
        archiver = StandbyArchiver(of: log, after: table.lastPosition(inStream: 0), logger: logger)
        self.table = Mutex(table)
        let memory = try PairMemory.read(from: log, of: configuration.pair)
        let identity = LogIdentity(log.identity)
        self.identity = identity
        wasInPair = memory != nil
        state = Mutex(
            State(
                core: PairNode(
                    identity: identity, end: Mark(log.head), seen: memory, mayFound: memory == nil,
                    settings: settings, at: RunningNode.now)))
        let inlet = Inlet()
        var access = configuration.etcd
        access.timeout = settings.etcdPatience
        do throws(EtcdFault) { client = try EtcdClient(access) } catch { throw PairFault(error.description) }
        do throws(PairEtcdFault) { keys = try PairKeys(client, pair: configuration.pair) } catch {
            throw PairFault(error.description)
        }
        etcd = PairEtcd(
            keys: keys, identity: identity, settings: settings, now: { RunningNode.now },
            deliver: { inlet.take($0) }, logger: logger)
        let greeting = PairGreeting(
            pairName: configuration.pair, identity: identity, logFormat: UInt32(Format.version),
            programVersion: options.version, hostName: Conductor.hostName)
        try RunningNode.settle(keyFile, log, logger)
        let enclosure = OwnEnclosure(
            PeerEnclosure(
                address: configuration.address, masterKey: try RunningNode.masterKey(keyFile, log)))
        enclosure.offerCopy(CopyOffer.isMade(of: log))
        self.enclosure = enclosure
        giver = CopyGiver(
            of: log, to: configuration.wire, logger: logger, didBegin: { inlet.publish() }
        ) {
            var greeting = greeting
            greeting.enclosure = enclosure.bytes
            return greeting
        }
        do throws(PairConfigurationError) {
            link = try PairLink(
                configuration.wire, greeting: greeting, enclosure: { enclosure.bytes },
                refusal: { inlet.refusal(of: $0) }, logger: logger, didGreetAnew: { inlet.greetPeer() }
            ) { inlet.take($0) }
        } catch { throw PairFault(error.description) }
        self.inlet = inlet
        inlet.node.withLock { $0 = self }
    }

    /// Both nodes of a new pair have one; the one that joins takes over the other's.
    private static func masterKey(_ file: MasterKeyFile, _ log: EventLog) throws(PairFault) -> [UInt8] {
        do throws(MasterKeyFault) {
            return try MasterKey(file: file.path, mayCreate: log.head.position == 0).bytes
        } catch { throw PairFault(error.sentence) }
    }

    /// The machine's monotonic clock.
    static var now: Duration { ContinuousClock.now - RunningNode.clockStart }
    private static let clockStart = ContinuousClock.now

    // MARK: Inputs and effects

    /// Something happened: the node decides, and what it orders is done or on its way when this returns.
    func give(_ input: PairInput) { state.withLock { give(input, &$0) } }

    func give(_ input: PairInput, _ state: inout State) {
        var inputs = [input]
        while !inputs.isEmpty {
            for effect in state.core.handle(inputs.removeFirst(), at: RunningNode.now) {
                perform(effect, &state, &inputs)
            }
        }
    }

    private func perform(_ effect: PairEffect, _ state: inout State, _ inputs: inout [PairInput]) {
        switch effect {
        case .send(let message): link.send(message)
        case .transact(let number, let transaction): etcd.perform(number, transaction)
        case .store(let batch):
            if state.isGathering { state.isGathered = true } else { order(.store([batch]), &state) }
        case .begin(let epoch):
            state.beginning = epoch
            order(.begin(epoch: epoch), &state)
        case .cut(let mark): order(.cut(mark), &state)
        case .collectMarks(let question, let low, let high):
            order(.collect(question: question, above: low, upTo: high), &state)
        case .compare(let session, let question, let marks):
            order(.compare(session, question: question, marks), &state)
        case .ship(let session, let position): order(.ship(session, after: position), &state)
        case .remember(let memory): order(.remember(memory), &state)
        case .settle:
            state.jobs.removeAll(where: \.isWrite)
            state.settlingCount += 1
            settle(&state, &inputs)
        case .acknowledge(let position): state.conductor?.acknowledge(upTo: position)
        case .learn(let position):
            archiver.learn(acknowledged: position)
            order(.lookAround, &state)
        case .serve(let epoch):
            guard let conductor = state.conductor else { break }
            state.isServing = true
            // Who follows now stores what this node writes.
            refusal.withLock { $0 = nil }
            // From now on the conductor's counts; two that part would take twice the memory.
            table.withLock { $0 = VIMTable() }
            logger.notice("leads the pair", metadata: ["epoch": "\(epoch)"])
            roleChanges.yield(.leading(conductor))
            dropping.withLock {
                $0 = Task { [logger] in await conductor.carryOutToldDrop(logger: logger) }
            }
        // The conductor, which is told by the same failure, takes it back.
        case .drop: break
        case .stepDown(let reason): stepDown(reason, &state)
        case .disconnect: link.disconnect()
        }
    }

    private func order(_ job: LogJob, _ state: inout State) {
        // What was ordered before the node heard of a failure would follow a gap.
        guard !(job.isWrite && state.isRefusing) else { return }
        state.jobs.append(job)
        bell.ring()
    }

    private func settle(_ state: inout State, _ inputs: inout [PairInput]) {
        guard !state.isWriteInHand, state.settlingCount > 0 else { return }
        inputs += repeatElement(.settled(Mark(log.head)), count: state.settlingCount)
        state.settlingCount = 0
        state.isRefusing = false
    }

    private func stepDown(_ reason: String, _ state: inout State) {
        logger.notice("steps down", metadata: ["reason": "\(reason)"])
        (state.beginning, state.isServing) = (nil, false)
        guard let conductor = state.conductor.take() else { return }
        conductor.abandon()
        // What was acknowledged is never cut: the fold goes on from there.
        table.withLock { $0 = conductor.read { copy $0 } }
        roleChanges.yield(.standby)
    }

    // MARK: Writes

    /// A write is no longer in hand; the node hears what came of it, and of older settlings.
    func finishWrite(_ result: PairInput) {
        state.withLock { state in
            state.isWriteInHand = false
            if result == .storeFailed {
                state.jobs.removeAll(where: \.isWrite)
                state.isRefusing = true
            }
            var inputs = [result]
            settle(&state, &inputs)
            for input in inputs { give(input, &state) }
        }
    }

    /// The first write of an epoch failed; if nothing of it was done, it is no longer in hand.
    func abandonBegin() {
        state.withLock { state in
            guard state.isBeginHeld else { return }
            (state.isBeginHeld, state.isWriteInHand) = (false, false)
            var inputs: [PairInput] = []
            settle(&state, &inputs)
            for input in inputs { give(input, &state) }
        }
    }
}
