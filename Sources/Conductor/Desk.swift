import EventLog
import Logging
import Projections
import Registry

/// A command on its way, and who waits for it.
struct Submission: Sendable {
    let command: Command
    /// Changes of the vault that belong to the command's events; left out if it is refused.
    var vault: [VaultChange] = []
    /// What becomes of the archive in the commit of the command's events.
    var archive: ArchiveChange?
    let reply: CommandReply
}

/// The commands of one commit: decided, and answered once their events are durable.
struct GatheredBatch: Sendable {
    struct Answer: Sendable {
        let reply: CommandReply
        let result: Result<Outcome, CommandFailure>
    }

    var batch = BatchBuilder(firstPosition: 1, time: 0)
    /// The batch's events, for the acknowledged table.
    var events: [PlacedEvent] = []
    var vault: [VaultChange] = []
    var archive: ArchiveChange?
    /// In the order in which the commands came.
    var answers: [Answer] = []

    /// Empties it and keeps the memory.
    mutating func removeAll() {
        events.removeAll(keepingCapacity: true)
        vault.removeAll(keepingCapacity: true)
        archive = nil
        answers.removeAll(keepingCapacity: true)
    }

    /// Tells all its callers that it was not stored.
    func fail(with failure: CommandFailure) {
        for answer in answers { answer.reply(.failure(failure)) }
    }
}

/// The first stage of the pipeline: decides commands, gathers their events into the open batch, and seals it.
///
/// Runs ahead of the disk: a batch may be gathered and sealed while the one before it is being stored.
struct Desk: Sendable {
    private let epoch: UInt64
    private let now: @Sendable () -> Timestamp
    private let logger: Logger
    /// Everything decided so far, also what is not yet durable.
    private var working: VIMTable
    /// What the next sealed batch follows: durable, or on its way to the disk.
    private var tail: Head
    private var open = GatheredBatch()
    /// Taken from the queue; those before `next` are decided.
    private var arrivals: [Submission] = []
    private var next = 0
    private var wasBackwards = false

    init(
        epoch: UInt64, working: VIMTable, after head: Head, now: @escaping @Sendable () -> Timestamp,
        logger: Logger
    ) {
        self.epoch = epoch
        self.working = working
        tail = head
        self.now = now
        self.logger = logger
    }

    /// Takes over what waits in a queue, if everything taken before is decided.
    ///
    /// The queue gets an empty array in exchange, so that arrays go to and fro and none grows anew.
    mutating func take(from queue: inout [Submission]) {
        guard arrivals.isEmpty else { return }
        swap(&queue, &arrivals)
    }

    /// Decides so many of the commands taken over, as far as the open batch has room; returns how many.
    @discardableResult
    mutating func gather(atMost countMax: Int = .max) -> Int {
        let start = next
        while next < arrivals.count, next - start < countMax, open.batch.hasRoom || open.answers.isEmpty {
            if open.answers.isEmpty { begin() }
            let submission = arrivals[next]
            open.answers.append(.init(reply: submission.reply, result: decideAndGather(submission)))
            next += 1
        }
        defer {
            if next == arrivals.count {
                arrivals.removeAll(keepingCapacity: true)
                next = 0
            }
        }
        return next - start
    }

    /// Seals the open batch and hands it over; nil if nothing was gathered.
    ///
    /// - Parameter spare: becomes the next open batch.
    mutating func close(replacedBy spare: GatheredBatch) -> GatheredBatch? {
        guard !open.answers.isEmpty else { return nil }
        var closed = spare
        swap(&open, &closed)
        if !closed.batch.isEmpty { tail = closed.batch.seal(epoch: epoch, after: tail) }
        return closed
    }

    /// Forgets everything decided after a head, because a batch could not be stored, and hands over what was
    /// gathered behind that batch; positions and seals are used again.
    ///
    /// - Parameter table: the table as of the head.
    mutating func takeBack(to table: VIMTable, after head: Head) -> GatheredBatch {
        working = table
        tail = head
        var undone = GatheredBatch()
        swap(&open, &undone)
        return undone
    }

    private mutating func begin() {
        let now = now()
        let isBackwards = now.microseconds < tail.time
        if isBackwards, !wasBackwards {
            let last = Timestamp(microseconds: tail.time)
            logger.warning(
                "the clock went back: events follow the last one by a microsecond until it has caught up",
                metadata: ["clock": "\(now)", "last": "\(last)"])
        }
        wasBackwards = isBackwards
        // Later than the batch before, so that a report is seen to be a new one (`SilenceWatch`).
        open.batch.reset(firstPosition: tail.position + 1, time: max(now.microseconds, tail.time + 1))
    }

    /// Decides a command on everything decided before it, and adds its events to the batch.
    private mutating func decideAndGather(_ submission: Submission) -> Result<Outcome, CommandFailure> {
        if case .report(let report) = submission.command, report.status != .pending { return gather(report) }
        let decision = decide(submission.command, on: working)
        if let refusal = oversize(decision) { return .failure(.refused(refusal)) }
        for addressed in decision.events { gather(addressed) }
        switch decision.answer {
        case .refused(let refusal):
            return .failure(.refused(refusal))
        case .vim(let id):
            open.vault.append(contentsOf: submission.vault)
            guard let vim = working.vim(id) else { preconditionFailure("a decided VIM is not in the table") }
            return .success(.vim(vim))
        case .reported(let answer): return .success(.reported(answer))
        case .noted:
            open.vault.append(contentsOf: submission.vault)
            if let archive = submission.archive { open.archive = archive }
            return .success(.noted)
        case .ignored: return .success(.ignored)
        }
    }

    /// Nearly every command is a report: no decision is made up for it, and nothing allocated.
    private mutating func gather(_ report: StatusReport) -> Result<Outcome, CommandFailure> {
        let judgement = judge(report, by: working.monitorFacts(report.id))
        gather(.init(stream: judgement.stream, event: .vimStatusReported(judgement.reported)))
        return .success(.reported(judgement.answer))
    }

    private mutating func gather(_ addressed: Decision.Addressed) {
        let previous = working.lastPosition(inStream: addressed.stream)
        let position = addressed.event.withPayload { format, payload in
            open.batch.append(
                stream: addressed.stream, previousInStream: previous, type: addressed.event.type.rawValue,
                format: format, payload: payload)
        }
        let placed = PlacedEvent(
            position: position, time: Timestamp(microseconds: open.batch.time), stream: addressed.stream,
            event: addressed.event)
        do throws(ProjectionFault) { try working.apply(placed) } catch {
            preconditionFailure("decide let an event through that cannot follow: \(error.sentence)")
        }
        open.events.append(placed)
    }

    /// Only what users send can be too large.
    private func oversize(_ decision: Decision) -> Refusal? {
        for addressed in decision.events {
            let byteCount = addressed.event.withPayload { _, payload in payload.count }
            if byteCount > Limits.payloadByteMax {
                return .tooLarge(byteCount: byteCount, byteMax: Limits.payloadByteMax)
            }
        }
        return nil
    }
}
