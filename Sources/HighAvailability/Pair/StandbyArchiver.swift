import Conductor
import EventLog
import Logging
import Projections
import Registry
import Synchronization
import Threads

/// Archives and drops at a node that follows: what its log says is archived, and not one event more; and what
/// it says is dropped, once that is acknowledged.
///
/// So both logs of a pair have segments that end at the same places. Whatever takes its time is done on a
/// thread that lets all others go first: it writes a segment, or makes the state that stands for what is
/// dropped. The log thread enters it in a small commit, and then lets the next one be made. A node that
/// begins to lead gives up what is being made: then its conductor archives.
final class StandbyArchiver: Sendable {
    /// What was made, and is to be entered.
    enum Work: Sendable {
        case segment(SegmentHeader)
        case base(LogBase, of: ToldDrop)
    }

    private struct State: Sendable {
        var owed = OwedArchiving()
        /// The conductor's last event in the log, if it is not known what those up to there say.
        var unread: UInt64?
        /// The end of what is known to be acknowledged.
        var acknowledged: UInt64 = 0
        /// Rises when the log may have lost what it told.
        var generation = 0
        var isStopped = false
        /// Something may have become due while the thread was at work.
        var isMissed = false
        /// What failed is not tried again before.
        var pauseEnd: Duration = .zero
        /// The failure that was told last.
        var told: String?
        /// The thread that works, or has worked and is not joined yet.
        var thread: DedicatedThread?
    }

    private let log: EventLog
    private let logger: Logger
    private let state: Mutex<State>
    private let isGivenUp = Atomic<Bool>(false)

    /// What fails, such as on a full disk, is tried again after so long.
    private static let pause: Duration = .seconds(60)

    /// - Parameter last: the position of the conductor's last event in the log, which may owe something.
    init(of log: EventLog, after last: UInt64, logger: Logger) {
        (self.log, self.logger) = (log, logger)
        state = Mutex(State(unread: last))
    }

    /// Takes note of what was stored.
    func take(_ events: [PlacedEvent]) {
        guard !events.isEmpty else { return }
        state.withLock { $0.owed.take(events) }
    }

    /// Takes note of what is acknowledged.
    func learn(acknowledged position: UInt64) {
        state.withLock { $0.acknowledged = max($0.acknowledged, position) }
    }

    /// The log was cut, or written by a conductor: what it tells is asked anew.
    func lookAnew(after last: UInt64) {
        giveUp()
        state.withLock { state in
            state.generation += 1
            (state.owed, state.unread) = (OwedArchiving(), last)
        }
    }

    /// Makes the next thing that is owed, if any is and nobody else archives; returns at once.
    ///
    /// - Parameter made: told of it on another thread, and ``end()`` must follow; told of nothing if there is
    ///   nothing more, but was asked meanwhile.
    func begin(_ made: @escaping @Sendable (Work?, _ generation: Int) -> Void) {
        state.withLock { state in
            guard !state.isStopped, RunningNode.now >= state.pauseEnd,
                state.unread != nil || state.owed.isDue(acknowledged: state.acknowledged)
            else { return }
            state.isMissed = !log.beginArchiving()
            guard !state.isMissed else { return }
            isGivenUp.store(false, ordering: .relaxed)
            // The one before has ended, but for its last instructions.
            state.thread?.join()
            let generation = state.generation
            state.thread = DedicatedThread(name: "vedette-archive", yields: true) { [self] in
                do throws(EventLogError) {
                    if let work = try make(generation) { return made(work, generation) }
                } catch { fail(because: error.sentence) }
                log.endArchiving()
                if self.state.withLock({ $0.isMissed }) { made(nil, generation) }
            }
        }
    }

    /// What was made is entered, or will not be.
    func end() { log.endArchiving() }

    /// Whether the log still tells what it told then.
    func isCurrent(_ generation: Int) -> Bool { state.withLock { $0.generation == generation } }

    /// What is being made is not wanted now.
    func giveUp() { isGivenUp.store(true, ordering: .relaxed) }

    /// Something could not be done: it is told once, and tried again later.
    func fail(because sentence: String) {
        state.withLock { $0.pauseEnd = RunningNode.now + StandbyArchiver.pause }
        tell(sentence)
    }

    private func tell(_ sentence: String) {
        let isNews = state.withLock { state in
            defer { state.told = sentence }
            return state.told != sentence
        }
        guard isNews else { return }
        logger.warning(
            "this node does not archive or drop what the pair has", metadata: ["reason": "\(sentence)"])
    }

    /// Gives up; blocks until nothing is at work.
    func stop() {
        giveUp()
        let thread = state.withLock { state in
            state.isStopped = true
            return state.thread.take()
        }
        thread?.join()
    }

    private func make(_ generation: Int) throws(EventLogError) -> Work? {
        try look(generation)
        let archivedEnd = try log.archivedEnd()
        while let end = state.withLock({ $0.owed.nextEnd(behind: archivedEnd) }), !isGivenUpNow {
            if let segment = try log.writeSegment(upTo: end, progress: { _ in !self.isGivenUpNow }) {
                return .segment(segment)
            }
            if !isGivenUpNow { state.withLock { $0.owed.forget(end) } }
        }
        let droppedEnd = try log.droppedPart()?.lastPosition ?? 0
        while let drop = state.withLock({ state in
            state.owed.nextDrop(behind: droppedEnd, acknowledged: state.acknowledged)
        }), !isGivenUpNow {
            do throws(CommandFailure) {
                if let base = try drop.base(in: log, unless: { self.isGivenUpNow }) {
                    return .base(base, of: drop)
                }
            } catch {
                tell(error.sentence)
                state.withLock { $0.owed.forget(drop) }
            }
        }
        return nil
    }

    /// Asks the log what it owes, if that is not known.
    private func look(_ generation: Int) throws(EventLogError) {
        guard let unread = state.withLock({ $0.unread }) else { return }
        let events = try log.conductorEvents(from: unread, behind: try log.archivedEnd()) {
            self.isGivenUpNow
        }
        guard !isGivenUpNow else { return }
        state.withLock { state in
            guard state.generation == generation else { return }
            state.owed.take(events)
            state.unread = nil
        }
    }

    private var isGivenUpNow: Bool { isGivenUp.load(ordering: .relaxed) }
}

// The log thread's part.
extension RunningNode {
    /// Lets what is owed be made, unless this node leads.
    func archiveOwed() {
        guard !hasConductor else { return }
        archiver.begin { [self] work, generation in
            state.withLock { state in
                state.jobs.append(work.map { .enter($0, generation: generation) } ?? .lookAround)
                bell.ring()
            }
        }
    }

    /// Whether the log is a conductor's, or will be.
    var hasConductor: Bool { state.withLock { $0.conductor != nil || $0.beginning != nil } }

    /// Enters what was made.
    func enter(_ work: StandbyArchiver.Work, _ generation: Int, _ desk: inout LogDesk) {
        // A segment's file is in nobody's way.
        guard !hasConductor, archiver.isCurrent(generation) else { return archiver.end() }
        do throws(EventLogError) {
            try fold()
            if try isCheckpointAwaited(by: work, &desk) {
                desk.held = .enter(work, generation: generation)
                return
            }
            switch work {
            case .segment(let segment): try enter(segment, &desk)
            case .base(let base, let drop): try enter(base, of: drop, &desk)
            }
        } catch { archiver.fail(because: error.sentence) }
        archiver.end()
    }

    /// A restart must never need the archive: whether a checkpoint is on its way that has to go before.
    private func isCheckpointAwaited(
        by work: StandbyArchiver.Work, _ desk: inout LogDesk
    ) throws(EventLogError) -> Bool {
        guard case .segment(let segment) = work, desk.chores.checkpoints.storedPosition < segment.lastPosition
        else { return false }
        if desk.chores.checkpoints.triedPosition < segment.lastPosition { beginCheckpoint(&desk) }
        // One that failed is made at once, so that its fault ends the archiving.
        if !desk.chores.checkpoints.isUnderWay {
            try log.write(table.withLock { $0 }.checkpoint(seal: log.head.seal))
            desk.chores.checkpoints.lookAnew()
        }
        return desk.chores.checkpoints.isUnderWay
    }

    private func enter(_ segment: SegmentHeader, _ desk: inout LogDesk) throws(EventLogError) {
        try log.enter(segment)
        desk.chores.hasLeftovers = true
        logger.info(
            "archived what the pair has archived",
            metadata: [
                "events": "\(segment.eventCount)", "bytes": "\(segment.batchByteCount)",
                "archived_bytes": "\(segment.fileByteCount)", "archived_end": "\(segment.lastPosition)",
            ])
    }

    private func enter(
        _ base: LogBase, of drop: ToldDrop, _ desk: inout LogDesk
    ) throws(EventLogError) {
        try log.enter(base, droppedAt: drop.time.microseconds)
        desk.chores.checkpoints.lookAnew()
        beginCheckpoint(&desk)
        // It is done whatever becomes of the files: the next start tries again.
        _ = try? log.removeDroppedFiles()
        logger.notice(
            "dropped what the pair has dropped",
            metadata: ["dropped_end": "\(drop.event.lastPosition)", "told_at": "\(drop.position)"])
    }
}
