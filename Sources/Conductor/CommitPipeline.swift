import EventLog
import Logging
import Projections
import Registry
import Synchronization
import Threads

/// One order: decides what waits, stores it in one commit, and answers the callers.
///
/// Three stages, each behind its own lock: the ``Desk`` decides, gathers and seals; the ``LogWriter`` brings
/// the sealed batch to the disk; finishing folds the durable events into the acknowledged table and answers.
/// The writer thread goes through all three and needs nobody. Under load a second thread, the helper, runs
/// the first and the last stage while the writer waits for the disk, so that the disk never waits for them.
/// While the writer sleeps, a caller's thread that may block takes its turn instead of waking it.
///
/// There is no timer: while one batch is being stored, the next one gathers, so throughput grows with load
/// and latency stays about one sync. Nobody is answered before everything decided before is durable. A batch
/// that cannot be stored takes with it what was gathered behind it.
final class CommitPipeline: Sendable {
    /// From so many commands on, the helper gathers or answers them; to wake it for fewer costs more than it
    /// takes off the writer.
    static let helpedCount = 256

    private struct Queue: Sendable {
        var submissions: [Submission] = []
        var isStopping = false
        /// The writer sleeps, or is about to: whoever leaves it work rings.
        var isWriterAsleep = false
    }

    /// Batches on their way from the disk to their callers, and emptied ones for the desk.
    private struct Conveyor: Sendable {
        /// Durable here, and awaited from the partner.
        var awaited: [GatheredBatch] = []
        /// Acknowledged, and not yet published.
        var durable: [GatheredBatch] = []
        var spare: [GatheredBatch] = []
        /// The end of what the pair has acknowledged.
        var acknowledged: UInt64 = 0

        /// Whether more wait to be answered than one should who has something else to do.
        var areMany: Bool { durable.reduce(0) { $0 + $1.answers.count } >= CommitPipeline.helpedCount }

        /// Moves on what is acknowledged; false if nothing is.
        mutating func advance() -> Bool {
            let count = awaited.prefix { $0.batch.nextPosition - 1 <= acknowledged }.count
            durable += awaited.prefix(count)
            awaited.removeFirst(count)
            return count > 0
        }
    }

    private let queue = Mutex(Queue())
    /// Nil until the threads run.
    private let stages = Mutex<Stages?>(nil)
    /// In the order in which they are done; nil once the writer does no more.
    private let errands = Mutex<[Errand]?>([])
    private let conveyor = Mutex(Conveyor())
    /// Held while durable batches are taken off the conveyor, so that they are published in order.
    private let finishing = Mutex(())
    private let acknowledged: Mutex<VIMTable>
    private let isFailing = Atomic<Bool>(false)
    /// The lead is lost: nothing is acknowledged any more.
    private let isAbandoned = Atomic<Bool>(false)
    /// The writer is with the partnership, and will look at the conveyor by itself.
    private let isWriterAtGate = Atomic<Bool>(false)
    /// Another log that must have what is stored here; nil if there is none.
    let partnership: (any Partnership)?
    private let hasEnded = Atomic<Bool>(false)
    private let writerBell = Doorbell()
    private let helperBell = Doorbell()
    private let now: @Sendable () -> Timestamp
    private let didChange: @Sendable (Set<UInt32>) -> Void

    /// - Parameters:
    ///   - partnership: what else must have a batch before it is acknowledged; nil for a log alone.
    ///   - didChange: told of the streams that an acknowledged batch changed, in order and before its callers
    ///     are; on a thread of the pipeline.
    init(
        table: VIMTable, partnership: (any Partnership)? = nil, now: @escaping @Sendable () -> Timestamp,
        didChange: @escaping @Sendable (Set<UInt32>) -> Void
    ) {
        acknowledged = Mutex(table)
        self.partnership = partnership
        self.now = now
        self.didChange = didChange
    }

    /// Starts the writer thread, which owns the log's writing side until ``stop()``, and the helper.
    func start(log: EventLog, epoch: UInt64, logger: Logger) -> DedicatedThread {
        let stages = Stages(
            Desk(
                epoch: epoch, working: acknowledged.withLock { $0 }, after: log.head, now: now, logger: logger
            ), LogWriter(log: log, logger: logger))
        self.stages.withLock { $0 = stages }
        let helper = DedicatedThread(name: "vedette-helper") { [self] in help(stages) }
        return DedicatedThread(name: "vedette-writer") { [self] in
            write(stages)
            hasEnded.store(true, ordering: .releasing)
            helperBell.ring()
            helper.join()
        }
    }

    /// Takes a command and returns at once; replies on a thread of the pipeline when its events are durable.
    func submit(_ command: Command, with enclosure: Enclosure? = nil, reply: @escaping CommandReply) {
        let isTaken = enqueue {
            $0.submissions.append(Submission(command: command, enclosure: enclosure, reply: reply))
            return true
        }
        if !isTaken { reply(.failure(whyStopped)) }
    }

    /// Takes commands that came together: nothing comes in between, and nobody is rung twice.
    ///
    /// - Parameter mayBlock: the calling thread may store them: it then returns when they are durable.
    func submit(_ submissions: [Submission], mayBlock: Bool) {
        var isLeftToCaller = false
        let isTaken = enqueue {
            // In a pair the answers do not come from here, and there is more to take in meanwhile.
            isLeftToCaller = mayBlock && !isPaired && $0.isWriterAsleep && $0.submissions.isEmpty
            $0.submissions += submissions
            return !isLeftToCaller
        }
        if isLeftToCaller, !storeHere() { wakeWriter() }
        if !isTaken { for submission in submissions { submission.reply(.failure(whyStopped)) } }
    }

    private var whyStopped: CommandFailure { isAbandoned.load(ordering: .acquiring) ? .notLeading : .stopped }

    /// Lets the body add to the queue, and rings if it says so; false, with nothing done, at the end.
    private func enqueue(_ add: (inout Queue) -> Bool) -> Bool {
        let (isStopping, wakesWriter, wakesHelper) = queue.withLock { queue in
            guard !queue.isStopping else { return (true, false, false) }
            let countBefore = queue.submissions.count
            guard add(&queue) else { return (false, false, false) }
            let wakesWriter = queue.isWriterAsleep
            queue.isWriterAsleep = false
            let helped = CommitPipeline.helpedCount
            return (false, wakesWriter, countBefore < helped && queue.submissions.count >= helped)
        }
        if wakesWriter { writerBell.ring() }
        if wakesHelper { helperBell.ring() }
        return !isStopping
    }

    private func wakeWriter() {
        let isAsleep = queue.withLock { queue in
            defer { queue.isWriterAsleep = false }
            return queue.isWriterAsleep
        }
        if isAsleep { writerBell.ring() }
    }

    /// Resumes once the command's events are durable, or with the reason why not.
    func submit(
        _ command: Command, with enclosure: Enclosure? = nil
    ) async throws(CommandFailure) -> Outcome {
        // Unchecked, since a check costs an allocation, and `reply` is called exactly once.
        let result = await withUnsafeContinuation { continuation in
            submit(command, with: enclosure) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }

    /// Lets the writer do something between two batches; resumes when that is done, or says why it is not.
    func carryOut(_ work: Errand.Work) async throws(CommandFailure) {
        let result = await withCheckedContinuation { continuation in
            let errand = Errand(work: work) { continuation.resume(returning: $0) }
            let isTaken = errands.withLock { $0?.append(errand) != nil }
            if isTaken { writerBell.ring() } else { errand.reply(.failure(whyStopped)) }
        }
        try result.get()
    }

    /// Whether nobody is let in any more.
    var isOver: Bool { queue.withLock { $0.isStopping } }

    /// Lets nobody else in; what waits is still committed, then the threads end.
    func stop() {
        queue.withLock { $0.isStopping = true }
        writerBell.ring()
    }

    /// The pair has everything up to a position: its callers are answered, few of them on this thread.
    ///
    /// From any thread, which may hold locks: no reply waits for anything (``CommandSubmitter``).
    func acknowledge(upTo position: UInt64) {
        let (isNews, areMany) = conveyor.withLock { conveyor in
            guard !isAbandoned.load(ordering: .acquiring) else { return (false, false) }
            conveyor.acknowledged = max(conveyor.acknowledged, position)
            return (conveyor.advance(), conveyor.areMany)
        }
        guard isNews, !isWriterAtGate.load(ordering: .acquiring) else { return }
        // Few are answered here, since waking the helper costs more.
        if areMany || !finishIfFree() { helperBell.ring() }
    }

    /// Acknowledges nothing any more: callers of what is stored hear soon that its outcome is unknown.
    ///
    /// From any thread; the threads end by themselves.
    func abandon() {
        isAbandoned.store(true, ordering: .releasing)
        stop()
        helperBell.ring()
    }

    private func failAwaited() {
        let lost = conveyor.withLock { conveyor in
            defer { conveyor.awaited = [] }
            return conveyor.awaited
        }
        for gathered in lost { gathered.fail(with: .outcomeUnknown) }
    }

    /// Reads the acknowledged state.
    ///
    /// The body runs under a lock that the pipeline needs: it must be quick.
    func read<Result>(_ body: (borrowing VIMTable) -> Result) -> Result {
        acknowledged.withLock { body($0) }
    }

    /// Whether another log must have what is stored here.
    var isPaired: Bool { partnership != nil }

    /// Whether the last commit failed.
    var isDiskFailing: Bool { isFailing.load(ordering: .relaxed) }
}

/// The first two stages, at which threads take turns.
private final class Stages: Sendable {
    let desk: Mutex<Desk>
    /// Nil after the last turn: whoever still refers to the stages must not keep the log open.
    let writer: Mutex<LogWriter?>

    init(_ desk: Desk, _ writer: LogWriter) {
        self.desk = Mutex(desk)
        self.writer = Mutex(writer)
    }
}

extension Optional {
    /// Lets the body change the value where it is; nil if there is none.
    fileprivate mutating func change<Result>(_ body: (inout Wrapped) -> Result) -> Result? {
        guard var value = take() else { return nil }
        defer { self = value }
        return body(&value)
    }
}

// The writer thread.
extension CommitPipeline {
    /// What the writer thread does after a turn.
    private enum Next {
        case turn
        /// Until the bell rings.
        case sleep
        case end
    }

    private func write(_ stages: Stages) {
        while true {
            let next = stages.writer.withLock { $0.change { takeTurn(at: stages, with: &$0) } }
            if next == .sleep { writerBell.wait() }
            if next == .end { break }
        }
        stages.writer.withLock { writer in
            writer.change { takeLastTurn(with: &$0) }
            writer = nil
        }
        failAwaited()
    }

    /// Stores what waits; if nothing does, does a chore, for which nobody waits.
    private func takeTurn(at stages: Stages, with writer: inout LogWriter) -> Next {
        runErrands(with: &writer)
        // Whoever is answered may be back at once with the next command, so few are answered first, and
        // many by the helper: while the next batch is stored, or the writer stays free for what comes.
        let areMany = conveyor.withLock { $0.areMany }
        // Nor does it wait for a helper that is at it: the disk would be idle meanwhile. But a pair's
        // commit costs two nodes their processors, and whoever is being answered may share the next.
        if isPaired, !areMany { finish() }
        let isLeftToHelper = areMany || !finishIfFree()
        let gathered = closeBatch(at: stages)
        if isLeftToHelper { helperBell.ring() }
        if let gathered {
            store(gathered, with: &writer, stages)
            if writer.hasChores { writer.doChore() }
            if writer.isCheckpointDue(isStopping: false) { beginCheckpoint(with: &writer) }
            return .turn
        }
        let isStopping = queue.withLock { queue in
            queue.isWriterAsleep = true
            return queue.isStopping
        }
        // Once more, now that whoever leaves work here rings: the helper may have gathered meanwhile.
        if stages.desk.withLock({ $0.hasWork }) || queue.withLock({ !$0.submissions.isEmpty }) {
            return .turn
        }
        if isStopping { return .end }
        guard writer.hasChores else { return .sleep }
        writer.doChore()
        return .turn
    }

    private func takeLastTurn(with writer: inout LogWriter) {
        runErrands(with: &writer)
        dismissErrands()
        finish()
        let isAbandoned = isAbandoned.load(ordering: .acquiring)
        if !isAbandoned, writer.isCheckpointDue(isStopping: true) { storeCheckpoint(with: &writer) }
    }

    private func runErrands(with writer: inout LogWriter) {
        while let errand = errands.withLock({ $0?.first }) {
            var result: Result<Void, CommandFailure> = .success(())
            switch errand.work {
            case .drop(let base, let time):
                do throws(EventLogError) { try writer.carryOut(base, droppedAt: time) } catch {
                    result = .failure(.notStored(error.sentence))
                }
                if case .success = result { beginCheckpoint(with: &writer) }
            case .checkpoint(let position):
                // The writer does it by portions, as a chore, and comes back here.
                if writer.isCheckpointUnderWay { return }
                if !errand.isBegun, writer.isCheckpointBehind(position) {
                    errands.withLock { $0?[0].isBegun = true }
                    beginCheckpoint(with: &writer)
                    continue
                }
            }
            errands.withLock { _ = $0?.removeFirst() }
            errand.reply(result)
        }
    }

    /// Tells those who still wait, and whoever comes, that the writer does no more.
    private func dismissErrands() {
        let left = errands.withLock { errands in
            defer { errands = nil }
            return errands ?? []
        }
        for errand in left { errand.reply(.failure(whyStopped)) }
    }

    private func closeBatch(at stages: Stages) -> GatheredBatch? {
        var gathered = conveyor.withLock { $0.spare.popLast() ?? GatheredBatch() }
        let isClosed = stages.desk.withLock { desk in
            queue.withLock { desk.take(from: &$0.submissions) }
            desk.gather()
            return desk.close(exchangedFor: &gathered)
        }
        if isClosed { return gathered }
        conveyor.withLock { $0.spare.append(gathered) }
        return nil
    }

    private func store(_ gathered: GatheredBatch, with writer: inout LogWriter, _ stages: Stages) {
        if writer.isCheckpointBehind(gathered.archive) { storeCheckpoint(with: &writer) }
        guard !gathered.batch.isEmpty else { return passOn(gathered) }
        guard !isAbandoned.load(ordering: .acquiring) else {
            return takeBack(gathered, stages, to: writer.head, because: .notLeading)
        }
        guard atGate({ $0.gather(gathered.batch, vault: gathered.vault) }) ?? true else {
            takeBack(gathered, stages, to: writer.head, because: .notLeading)
            return
        }
        do throws(EventLogError) { try writer.store(gathered) } catch {
            isFailing.store(true, ordering: .relaxed)
            atGate { $0.storeFailed() }
            let isLost = isAbandoned.load(ordering: .acquiring)
            takeBack(
                gathered, stages, to: writer.head,
                because: isLost ? .outcomeUnknown : .notStored(error.sentence))
            return
        }
        isFailing.store(false, ordering: .relaxed)
        passOn(gathered)
        atGate { $0.stored(writer.head) }
    }

    /// Hands a batch that is durable here, or has nothing to store, to those who publish it.
    private func passOn(_ gathered: GatheredBatch) {
        conveyor.withLock { conveyor in
            guard partnership != nil else { return conveyor.durable.append(gathered) }
            conveyor.awaited.append(gathered)
            _ = conveyor.advance()
        }
    }

    /// Lets the partnership know something, if there is one.
    @discardableResult
    private func atGate<Result>(_ body: (any Partnership) -> Result) -> Result? {
        guard let partnership else { return nil }
        isWriterAtGate.store(true, ordering: .releasing)
        defer { isWriterAtGate.store(false, ordering: .releasing) }
        return body(partnership)
    }

    /// Fails a batch that was not stored, and everything that was decided knowing of it.
    private func takeBack(
        _ gathered: GatheredBatch, _ stages: Stages, to head: Head, because failure: CommandFailure
    ) {
        finish()
        let table = durableTable()
        let behind = stages.desk.withLock { $0.takeBack(to: table, after: head) }
        gathered.fail(with: failure)
        behind.fail(with: failure)
    }

    /// The table as of what is durable here: the acknowledged one, and what the partner is awaited for.
    ///
    /// On the writer thread, so that nothing is stored meanwhile.
    private func durableTable() -> VIMTable {
        finishing.withLock { _ in
            var table = acknowledged.withLock { $0 }
            let behind = conveyor.withLock { $0.durable + $0.awaited }
            for gathered in behind where !gathered.batch.isEmpty {
                CommitPipeline.fold(gathered, into: &table)
            }
            return table
        }
    }

    private static func fold(_ gathered: GatheredBatch, into table: inout VIMTable) {
        do throws(ProjectionFault) {
            try gathered.batch.withView { (batch) throws(ProjectionFault) in
                try table.apply(batch, upTo: .max)
            }
        } catch { preconditionFailure("the two tables parted: \(error.sentence)") }
    }

    private func beginCheckpoint(with writer: inout LogWriter) {
        finish()
        writer.beginCheckpoint(of: durableTable()) { [writerBell] in writerBell.ring() }
    }

    /// Callers wait for it: at the end, and when something must not go before it.
    private func storeCheckpoint(with writer: inout LogWriter) {
        finish()
        writer.storeCheckpoint(of: durableTable())
    }
}

// A caller's thread.
extension CommitPipeline {
    /// Stores what waits, and answers its callers; false if somebody else is at it.
    ///
    /// Spares a command two changes of threads. What else there is to do is left to the writer.
    private func storeHere() -> Bool {
        guard let stages = stages.withLock({ $0 }) else { return false }
        let isMoreToDo = stages.writer.withLockIfAvailable { writer in
            writer.change { writer in
                if let gathered = closeBatch(at: stages) { store(gathered, with: &writer, stages) }
                return writer.hasChores || writer.isCheckpointDue(isStopping: false)
                    || stages.desk.withLock { $0.hasWork }
            }
        }
        guard let isMoreToDo = isMoreToDo ?? nil else { return false }
        if !finishIfFree() { helperBell.ring() }
        if isMoreToDo { wakeWriter() }
        return true
    }
}

// The helper thread.
extension CommitPipeline {
    private func help(_ stages: Stages) {
        while !hasEnded.load(ordering: .acquiring) {
            helperBell.wait()
            finish()
            if isAbandoned.load(ordering: .acquiring) { failAwaited() }
            gatherEarly(stages)
        }
    }

    /// Gathers by small portions, between which the writer may close the batch.
    private func gatherEarly(_ stages: Stages) {
        var count = CommitPipeline.helpedCount
        while count == CommitPipeline.helpedCount {
            count = stages.desk.withLock { desk in
                queue.withLock { desk.take(from: &$0.submissions) }
                return desk.gather(atMost: CommitPipeline.helpedCount)
            }
        }
        wakeWriter()
    }

    /// Publishes what is acknowledged, and answers its callers; by whichever thread has time.
    private func finish() { finishing.withLock { _ in finishDurable() } }

    /// As ``finish()``, unless the other thread is at it; false then.
    private func finishIfFree() -> Bool {
        finishing.withLockIfAvailable { _ in finishDurable() } != nil
    }

    /// While `finishing` is held.
    private func finishDurable() {
        while var gathered = conveyor.withLock({ $0.durable.isEmpty ? nil : $0.durable.removeFirst() }) {
            if !gathered.batch.isEmpty {
                // As a replay folds them, so that what is shown is what is stored.
                acknowledged.withLock { CommitPipeline.fold(gathered, into: &$0) }
            }
            if !gathered.changedStreams.isEmpty { didChange(gathered.changedStreams) }
            for answer in gathered.answers { answer.reply(answer.result) }
            gathered.removeAll()
            conveyor.withLock { $0.spare.append(gathered) }
        }
    }
}
