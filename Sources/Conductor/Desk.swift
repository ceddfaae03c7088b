import EventLog
import Logging
import Projections
import Registry

/// A command on its way, and who waits for it.
struct Submission: Sendable {
    let command: Command
    var enclosure: Enclosure?
    let reply: CommandReply
}

/// What is stored in the same commit as a command's events, unless it is refused.
///
/// Indirect, since reports have none, and are copied from array to array.
indirect enum Enclosure: Sendable {
    case vault([VaultChange])
    case archive(ArchiveChange)
}

/// The commands of one commit: decided, and answered once their events are durable.
struct GatheredBatch: Sendable {
    struct Answer: Sendable {
        let reply: CommandReply
        let result: Result<Outcome, CommandFailure>
    }

    var batch = BatchBuilder(firstPosition: 1, time: 0)
    /// The streams that the reconciler must look at.
    var changedStreams: Set<UInt32> = []
    var vault: [VaultChange] = []
    var archive: ArchiveChange?
    /// In the order in which the commands came.
    var answers: [Answer] = []

    /// Empties it and keeps the memory.
    mutating func removeAll() {
        changedStreams.removeAll()
        vault.removeAll()
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

    /// Whether something waits here: to be decided, or to be stored.
    var hasWork: Bool { next < arrivals.count || !open.answers.isEmpty }

    /// Decides so many of the commands taken over, as far as the open batch has room; returns how many.
    @discardableResult
    mutating func gather(atMost countMax: Int = .max) -> Int {
        let start = next
        while next < arrivals.count, next - start < countMax, open.batch.hasRoom || open.answers.isEmpty {
            if open.answers.isEmpty { begin() }
            // Nearly every command is a report: no decision is made up for it, and nothing copied.
            let result =
                if case .report(let report) = arrivals[next].command, report.status != .pending {
                    gather(report)
                } else { decideAndGather(arrivals[next]) }
            open.answers.append(.init(reply: arrivals[next].reply, result: result))
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

    /// Seals the open batch and exchanges it for an empty one; false if nothing was gathered.
    ///
    /// They are exchanged, not copied: whoever held a second reference would let arrays grow anew.
    mutating func close(exchangedFor other: inout GatheredBatch) -> Bool {
        guard !open.answers.isEmpty else { return false }
        swap(&open, &other)
        if !other.batch.isEmpty { tail = other.batch.seal(epoch: epoch, after: tail) }
        return true
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
        let decision = decide(submission.command, on: working)
        if let refusal = oversize(decision) { return .failure(.refused(refusal)) }
        for addressed in decision.events { gather(addressed) }
        switch decision.answer {
        case .refused(let refusal):
            return .failure(.refused(refusal))
        case .vim(let id):
            enclose(submission.enclosure)
            guard let vim = working.vim(id) else { preconditionFailure("a decided VIM is not in the table") }
            return .success(.vim(vim))
        case .reported(let answer): return .success(.reported(answer))
        case .noted:
            enclose(submission.enclosure)
            return .success(.noted)
        case .ignored: return .success(.ignored)
        }
    }

    private mutating func gather(_ report: StatusReport) -> Result<Outcome, CommandFailure> {
        let judgement = judge(report, by: working.monitorFacts(report.id))
        gather(.init(stream: judgement.stream, event: .vimStatusReported(judgement.reported)))
        return .success(.reported(judgement.answer))
    }

    private mutating func enclose(_ enclosure: Enclosure?) {
        switch enclosure {
        case .vault(let changes): open.vault += changes
        case .archive(let change): open.archive = change
        case nil: break
        }
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
        if ChangeFeed.concerns(addressed.event) { open.changedStreams.insert(addressed.stream) }
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
