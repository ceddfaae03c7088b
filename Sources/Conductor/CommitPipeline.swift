import EventLog
import Logging
import Projections
import Registry
import Synchronization
import Threads

/// One writer, one thread, one order: decides what waits, appends it in one commit, and resumes the callers.
///
/// While the disk syncs one batch, the next one gathers: throughput grows with load, and latency stays about
/// one sync. Nobody is answered before the batch with its events is durable.
final class CommitPipeline: Sendable {
    /// A command on its way, and who waits for it.
    struct Submission: Sendable {
        let command: Command
        /// Changes of the vault that belong to the command's events; left out if it is refused.
        let vault: [VaultChange]
        let reply: CommandReply
    }

    private struct Waiting: Sendable {
        var submissions: [Submission] = []
        var isStopping = false
    }

    private let waiting = Mutex(Waiting())
    private let bell = Doorbell()
    private let acknowledged: Mutex<VIMTable>
    private let isFailing = Atomic<Bool>(false)
    private let now: @Sendable () -> Timestamp
    private let didCommit: @Sendable ([PlacedEvent]) -> Void

    /// - Parameter didCommit: told of every durable batch, on the writer thread, before its callers are.
    init(
        table: VIMTable, now: @escaping @Sendable () -> Timestamp,
        didCommit: @escaping @Sendable ([PlacedEvent]) -> Void
    ) {
        acknowledged = Mutex(table)
        self.now = now
        self.didCommit = didCommit
    }

    /// Starts the writer thread, which owns the log's writing side until ``stop()``.
    func start(log: EventLog, epoch: UInt64, logger: Logger) -> DedicatedThread {
        DedicatedThread(name: "vedette-writer") { [self] in
            var writer = Writer(
                log: log, epoch: epoch, working: acknowledged.withLock { $0 }, logger: logger)
            var submissions: [Submission] = []
            while next(&submissions) {
                var rest = submissions[...]
                while !rest.isEmpty { commit(&rest, with: &writer) }
                writer.checkpointIfDue(isStopping: false)
            }
            writer.checkpointIfDue(isStopping: true)
        }
    }

    /// Takes a command and returns at once; replies on the writer thread when its events are durable.
    func submit(_ command: Command, vault: [VaultChange] = [], reply: @escaping CommandReply) {
        let submission = Submission(command: command, vault: vault, reply: reply)
        let (isStopping, isFirst) = waiting.withLock { waiting in
            let isFirst = waiting.submissions.isEmpty
            if !waiting.isStopping { waiting.submissions.append(submission) }
            return (waiting.isStopping, isFirst)
        }
        if isStopping {
            reply(.failure(.stopped))
        } else if isFirst {
            bell.ring()
        }
    }

    /// Resumes once the command's events are durable, or with the reason why not.
    func submit(_ command: Command, vault: [VaultChange] = []) async throws(CommandFailure) -> Outcome {
        let result = await withCheckedContinuation { continuation in
            submit(command, vault: vault) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }

    /// Lets nobody else in; what waits is still committed, then the writer thread ends.
    func stop() {
        waiting.withLock { $0.isStopping = true }
        bell.ring()
    }

    /// Reads the acknowledged state.
    ///
    /// The body runs under a lock that the writer needs: it must be quick.
    func read<Result>(_ body: (borrowing VIMTable) -> Result) -> Result {
        acknowledged.withLock { body($0) }
    }

    /// Whether the last commit failed.
    var isDiskFailing: Bool { isFailing.load(ordering: .relaxed) }

    /// Waits for submissions; false when there will be no more.
    ///
    /// The array handed in is taken in exchange, so that two arrays go to and fro and none grows anew.
    private func next(_ submissions: inout [Submission]) -> Bool {
        submissions.removeAll(keepingCapacity: true)
        while true {
            var taken = submissions
            submissions = []
            let isStopping = waiting.withLock { waiting in
                swap(&waiting.submissions, &taken)
                return waiting.isStopping
            }
            submissions = taken
            if !submissions.isEmpty { return true }
            if isStopping { return false }
            bell.wait()
        }
    }

    /// Commits as many of the submissions as one batch takes, and resumes their callers.
    private func commit(_ submissions: inout ArraySlice<Submission>, with writer: inout Writer) {
        writer.begin(at: now())
        var answers: [Result<Outcome, CommandFailure>] = []
        answers.reserveCapacity(submissions.count)
        var end = submissions.startIndex
        while end < submissions.endIndex, writer.batch.hasRoom {
            answers.append(writer.decideAndGather(submissions[end]))
            end += 1
        }
        let taken = submissions[..<end]
        submissions = submissions[end...]
        if !writer.batch.isEmpty {
            do throws(EventLogError) {
                try writer.commit()
                isFailing.store(false, ordering: .relaxed)
                acknowledged.withLock { writer.publish(to: &$0) }
                didCommit(writer.events)
            } catch {
                isFailing.store(true, ordering: .relaxed)
                let failure = CommandFailure.notStored(error.sentence)
                acknowledged.withLock { writer.takeBack(to: $0) }
                for submission in taken { submission.reply(.failure(failure)) }
                return
            }
        }
        for (submission, answer) in zip(taken, answers) { submission.reply(answer) }
    }
}

/// What the writer thread alone touches.
private struct Writer {
    private let log: EventLog
    private let epoch: UInt64
    private let logger: Logger
    /// Everything decided so far, also what is not yet durable.
    private var working: VIMTable
    private(set) var batch: BatchBuilder
    /// The events of the batch, for the acknowledged table.
    private(set) var events: [PlacedEvent] = []
    private var vault: [VaultChange] = []
    private var checkpointPosition: UInt64
    private var isFailing = false
    private var wasBackwards = false

    init(log: EventLog, epoch: UInt64, working: VIMTable, logger: Logger) {
        self.log = log
        self.epoch = epoch
        self.working = working
        self.logger = logger
        checkpointPosition = (try? log.readCheckpoint())?.position ?? 0
        batch = BatchBuilder(firstPosition: log.head.position + 1, time: log.head.time)
    }

    mutating func begin(at now: Timestamp) {
        let head = log.head
        let isBackwards = now.microseconds < head.time
        if isBackwards, !wasBackwards {
            let last = Timestamp(microseconds: head.time)
            logger.warning(
                "the clock went back: events follow the last one by a microsecond until it has caught up",
                metadata: ["clock": "\(now)", "last": "\(last)"])
        }
        wasBackwards = isBackwards
        // Later than the batch before, so that a report is seen to be a new one (`SilenceWatch`).
        batch.reset(firstPosition: head.position + 1, time: max(now.microseconds, head.time + 1))
        events.removeAll(keepingCapacity: true)
        vault.removeAll(keepingCapacity: true)
    }

    /// Decides a command on everything decided before it, and adds its events to the batch.
    mutating func decideAndGather(_ submission: CommitPipeline.Submission) -> Result<Outcome, CommandFailure>
    {
        let decision = decide(submission.command, on: working)
        if let refusal = oversize(decision) { return .failure(.refused(refusal)) }
        for addressed in decision.events { gather(addressed) }
        switch decision.answer {
        case .refused(let refusal):
            return .failure(.refused(refusal))
        case .vim(let id):
            vault.append(contentsOf: submission.vault)
            guard let vim = working.vim(id) else { preconditionFailure("a decided VIM is not in the table") }
            return .success(.vim(vim))
        case .reported(let answer): return .success(.reported(answer))
        case .noted: return .success(.noted)
        case .ignored: return .success(.ignored)
        }
    }

    private mutating func gather(_ addressed: Decision.Addressed) {
        let previous = working.lastPosition(inStream: addressed.stream)
        let position = addressed.event.withPayload { format, payload in
            batch.append(
                stream: addressed.stream, previousInStream: previous, type: addressed.event.type.rawValue,
                format: format, payload: payload)
        }
        let placed = PlacedEvent(
            position: position, time: Timestamp(microseconds: batch.time), stream: addressed.stream,
            event: addressed.event)
        do throws(ProjectionFault) { try working.apply(placed) } catch {
            preconditionFailure("decide let an event through that cannot follow: \(error.sentence)")
        }
        events.append(placed)
    }

    /// Only what users send can be too large; nearly every event is a report and skips the measuring.
    private func oversize(_ decision: Decision) -> Refusal? {
        for addressed in decision.events {
            if case .vimStatusReported = addressed.event { continue }
            let byteCount = addressed.event.withPayload { _, payload in payload.count }
            if byteCount > Limits.payloadByteMax {
                return .tooLarge(byteCount: byteCount, byteMax: Limits.payloadByteMax)
            }
        }
        return nil
    }

    mutating func commit() throws(EventLogError) {
        do throws(EventLogError) { _ = try log.append(&batch, epoch: epoch, vault: vault) } catch {
            if !isFailing { logger.error("nothing can be stored", metadata: ["reason": "\(error.sentence)"]) }
            isFailing = true
            throw error
        }
        if isFailing { logger.notice("storing works again") }
        isFailing = false
    }

    /// Lets the acknowledged table take in what has become durable.
    func publish(to table: inout VIMTable) {
        for event in events {
            do throws(ProjectionFault) { try table.apply(event) } catch {
                preconditionFailure("the two tables parted: \(error.sentence)")
            }
        }
    }

    /// Forgets what could not be stored.
    mutating func takeBack(to table: VIMTable) { working = table }

    /// Stores a checkpoint now and then, so that a restart replays only the tail.
    mutating func checkpointIfDue(isStopping: Bool) {
        let head = log.head
        let tail = head.position - min(checkpointPosition, head.position)
        guard tail >= (isStopping ? 1 : Conductor.checkpointInterval) else { return }
        // Tried once per interval, also if it fails: it is disposable.
        checkpointPosition = head.position
        do throws(EventLogError) { try log.write(working.checkpoint(seal: head.seal)) } catch {
            logger.warning("no checkpoint could be stored", metadata: ["reason": "\(error.sentence)"])
        }
    }
}
