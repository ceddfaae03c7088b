import Conductor
import EventLog
import Identity
import Logging
import PairProtocol
import PairWire
import Projections
import Registry
import Synchronization
import Threads

// The log thread: one job after the other. While the node leads, the writes are the conductor's.
extension RunningNode {
    /// At most so many bytes of stored batches are sent before the peer has stored them: several of its
    /// commits, so that it stores the first while the next are on their way.
    private static let portionByteMax = 16 << 20
    private static let checkpointInterval: UInt64 = 1_000_000

    func work() {
        var desk = LogDesk(
            chores: LogChores(of: log, logger: logger), catchUp: CatchUpLines(keys, logger: logger))
        archiveOwed()
        while let job = nextJob(&desk) {
            run(job, &desk)
            archiveOwed()
            if job.isWrite, hasChores(desk) { desk.chores.doOne() }
        }
    }

    /// What the log thread keeps from job to job.
    struct LogDesk {
        var chores: LogChores
        let catchUp: CatchUpLines
        /// The session that stored batches were sent in, and the vault that the peer has by them.
        var session: Session?
        var vaultRevision: UInt64?
        /// A conductor has written since this node followed last.
        var hasLed = false
        /// What waits until the checkpoint under way is stored.
        var held: LogJob?
        /// The last failure that was told.
        var told: String?
    }

    /// Waits for a job; nil when there will be no more.
    ///
    /// Time that would be waited for is used for chores.
    private func nextJob(_ desk: inout LogDesk) -> LogJob? {
        while true {
            let (job, isStopping) = state.withLock { ($0.takeJob(), $0.isStopping) }
            if let job { return job }
            if isStopping { return nil }
            if !desk.chores.checkpoints.isUnderWay, let held = desk.held.take() { return held }
            if hasChores(desk) { desk.chores.doOne() } else { bell.wait() }
        }
    }

    /// Whether there is something to do that nobody waits for.
    private func hasChores(_ desk: borrowing LogDesk) -> Bool { desk.chores.areLeft && !hasConductor }

    private func run(_ job: LogJob, _ desk: inout LogDesk) {
        do throws(PairFault) {
            switch job {
            case .store(let batches): try store(batches, &desk)
            case .begin(let epoch): try begin(epoch, &desk)
            case .cut(let mark): try cut(to: mark, &desk)
            case .collect(let question, let low, let high):
                let marks = try asking { () throws(EventLogError) in try log.marks(above: low, upTo: high) }
                give(.collected(question: question, marks.map { Mark($0) }))
            case .compare(let session, let question, let marks):
                let common = try asking { () throws(EventLogError) in
                    try log.newestCommon(of: marks.map { Head($0) })
                }
                link.send(.common(session, question: question, common.map { Mark($0) }))
            case .ship(let session, let position): try ship(session, after: position, &desk)
            case .enter(let work, let generation): enter(work, generation, &desk)
            // As after each job.
            case .lookAround: break
            case .remember(let memory):
                try asking { () throws(EventLogError) in
                    try log.store(pairMemory: PairMemory(pair: configuration.pair, memory, of: log).bytes)
                }
            }
            // What is only read says nothing of what can be stored.
            guard job.isWrite else { return }
            if desk.told != nil { logger.notice("the log does for the pair what it should again") }
            desk.told = nil
        } catch {
            if desk.told != error.sentence {
                logger.error("the log fails the pair", metadata: ["reason": "\(error.sentence)"])
            }
            desk.told = error.sentence
            guard job.isWrite else { return }
            refusePeer(because: error)
            finishWrite(.storeFailed)
        }
    }

    /// Runs something of the log, and keeps of its fault the sentence.
    func asking<Result, Failure: LogFailure>(
        _ body: () throws(Failure) -> Result
    ) throws(PairFault) -> Result {
        do throws(Failure) { return try body() } catch { throw PairFault(error.sentence) }
    }

    private func store(_ shipped: [ShippedBatch], _ desk: inout LogDesk) throws(PairFault) {
        let before = log.head.position
        // Only what can be folded is stored: a log that cannot be replayed would never start again.
        try asking(fold)
        if desk.hasLed { lookAnew(&desk) }
        let batches = try opened(shipped)
        let takesOver = try takeOverMasterKey(for: batches)
        let head: Head
        var rehearsal = table.withLock { Rehearsal(on: $0) }
        do throws(TravelError) {
            head = try log.append(travelling: batches) { (batch) throws(TravelError) in
                try rehearse(batch, &rehearsal)
            }
        } catch { throw fault(error) }
        if takesOver { settleTakenOver() }
        // The leader hears of it first: the fold is for those who read here.
        finishWrite(.stored(Mark(head)))
        // It greeted with another master key, which whoever follows it later must not take over.
        if before == 0, enclosure.wasUntold() { link.greetAnew() }
        desk.catchUp.stored(
            after: before, upTo: head.position, isBehind: batches.contains(where: \.isFromLog))
        archiver.take(rehearsal.conductorEvents)
        try asking(fold)
        if head.position >= desk.chores.checkpoints.triedPosition + RunningNode.checkpointInterval {
            beginCheckpoint(&desk)
        }
    }

    /// What the log tells of the archive is not what was told before.
    private func lookAnew(_ desk: inout LogDesk) {
        desk.hasLed = false
        desk.chores.checkpoints.lookAnew()
        archiver.lookAnew(after: table.withLock { $0.lastPosition(inStream: 0) })
    }

    private func opened(_ shipped: [ShippedBatch]) throws(PairFault) -> [TravellingBatch] {
        var batches: [TravellingBatch] = []
        do throws(TravelError) {
            for batch in shipped { batches.append(try TravellingBatch(bytes: batch.bytes)) }
        } catch { throw fault(error) }
        return batches
    }

    private func cut(to mark: Mark, _ desk: inout LogDesk) throws(PairFault) {
        let before = log.head
        guard mark.position > 0 || before.position == 0 || wasInPair else {
            throw PairFault(
                "\(log.path) has another history than the pair: put it aside (vedette pair rejoin); or, if "
                    + "this log is to be the pair's, stop both nodes, say so here (vedette pair refound), "
                    + "start this one, and behind it the other one with an empty directory (vedette pair "
                    + "rejoin)", isLasting: true)
        }
        let file = try asking { () throws(CutError) in try log.cut(to: Head(mark)) }
        logger.notice(
            "what the leader does not have was moved to a side file",
            metadata: ["after": "\(mark.position)", "up_to": "\(before.position)", "file": "\(file ?? "")"])
        table.withLock { if $0.position > mark.position { $0 = VIMTable() } }
        try asking(fold)
        lookAnew(&desk)
        finishWrite(.cut(Mark(log.head)))
    }

    private func ship(
        _ session: Session, after position: UInt64, _ desk: inout LogDesk
    ) throws(PairFault) {
        let known = desk.session == session ? desk.vaultRevision : nil
        let portion = try asking { () throws(TravelError) in
            try log.travellingBatches(
                after: position, byteMax: RunningNode.portionByteMax, knowingVault: known)
        }
        var end = position
        for batch in portion.batches {
            link.send(.batch(session, ShippedBatch(batch)))
            end = batch.lastPosition
        }
        (desk.session, desk.vaultRevision) = (session, portion.vaultRevision)
        give(.shipped(session, through: end))
    }

    /// Takes the table up to the head; from a checkpoint if it has to begin anew.
    func fold() throws(EventLogError) {
        do throws(ReadError<ProjectionFault>) {
            guard table.withLock({ $0.position > 0 }) else {
                let replayed = try Replay(of: log, from: try? log.readCheckpoint()).table
                return table.withLock { $0 = replayed }
            }
            // In its place: a copy would cost as much as there are VIMs.
            try table.withLock { (table) throws(ReadError<ProjectionFault>) in
                guard table.position < log.head.position else { return }
                try log.readBatches(from: table.position + 1) { (batch) throws(ProjectionFault) in
                    try table.apply(batch, upTo: .max)
                    return true
                }
            }
        } catch {
            switch error {
            case .log(let error): throw error
            case .body(let fault): throw fault.error(in: log)
            }
        }
    }

    /// So that a start replays a short tail.
    func beginCheckpoint(_ desk: inout LogDesk) {
        desk.chores.checkpoints.begin(of: table.withLock { $0 }) { [bell] in bell.ring() }
    }

    /// Makes the conductor of an epoch: its first batch is the epoch's (rule 3).
    private func begin(_ epoch: UInt64, _ desk: inout LogDesk) throws(PairFault) {
        archiver.giveUp()
        desk.chores.checkpoints.giveUp()
        desk.hasLed = true
        try asking(fold)
        let conductor: Conductor
        do throws(StartFault) {
            conductor = try Conductor(
                leading: log, from: table.withLock { $0 }, epoch: epoch, options, with: self, logger: logger)
        } catch {
            logger.error("this node cannot lead", metadata: ["reason": "\(error.sentence)"])
            return finishWrite(.storeFailed)
        }
        let isWanted = state.withLock { state in
            guard state.beginning == epoch else { return false }
            state.conductor = conductor
            return true
        }
        if !isWanted { conductor.abandon() }
        greetWithMasterKey()
        Task { [self] in
            // If it was stored and not acknowledged, the node has heard of it already.
            do throws(CommandFailure) { try await conductor.beginEpoch(options) } catch { abandonBegin() }
        }
    }
}

/// What a fault of the log, or of what belongs to it, tells: one sentence.
protocol LogFailure: Error {
    var sentence: String { get }
}

extension EventLogError: LogFailure {}
extension TravelError: LogFailure {}
extension CutError: LogFailure {}
extension MasterKeyFault: LogFailure {}
