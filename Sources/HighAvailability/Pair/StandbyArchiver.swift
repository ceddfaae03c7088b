import EventLog
import Logging
import Registry
import Synchronization
import Threads

/// Archives at a node that follows: what its log says is archived, and not one event more.
///
/// So both logs of a pair have segments that end at the same places. Each segment is written on a thread that
/// lets all others go first; the log thread enters it, and then lets the next one be written. A node that
/// begins to lead gives up what is being written: then its conductor archives.
final class StandbyArchiver: Sendable {
    private struct State: Sendable {
        var owed = OwedArchiving()
        /// The conductor's last event as of the start: what those up to there say is not known yet.
        var unread: UInt64?
        var isStopped = false
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

    /// Writes the next segment that is owed, if any is and nobody else archives; returns at once.
    ///
    /// - Parameter written: told of the segment, on another thread; ``end()`` must follow.
    func begin(_ written: @escaping @Sendable (SegmentHeader) -> Void) {
        state.withLock { state in
            guard !state.isStopped, state.unread != nil || !state.owed.isEmpty,
                RunningNode.now >= state.pauseEnd, log.beginArchiving()
            else { return }
            isGivenUp.store(false, ordering: .relaxed)
            // The one before has ended, but for its last instructions.
            state.thread?.join()
            state.thread = DedicatedThread(name: "vedette-archive", yields: true) { [self] in
                do throws(EventLogError) {
                    if let segment = try write() { return written(segment) }
                } catch { fail(because: error) }
                log.endArchiving()
            }
        }
    }

    /// The segment was entered, or will not be.
    func end() { log.endArchiving() }

    /// What is being written is not wanted now.
    func giveUp() { isGivenUp.store(true, ordering: .relaxed) }

    /// Something could not be done: it is told once, and tried again later.
    func fail(because error: EventLogError) {
        let isNews = state.withLock { state in
            defer { state.told = error.sentence }
            state.pauseEnd = RunningNode.now + StandbyArchiver.pause
            return state.told != error.sentence
        }
        guard isNews else { return }
        logger.warning(
            "what the pair has archived could not be archived here",
            metadata: ["reason": "\(error.sentence)"])
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

    private func write() throws(EventLogError) -> SegmentHeader? {
        if let unread = state.withLock({ $0.unread }) {
            let events = try OwedArchiving.conductorEvents(in: log, backFrom: unread) { self.isGivenUpNow }
            guard !isGivenUpNow else { return nil }
            state.withLock { state in
                state.owed.take(events)
                state.unread = nil
            }
        }
        let archivedEnd = try log.archivedEnd()
        while let end = state.withLock({ $0.owed.nextEnd(behind: archivedEnd) }), !isGivenUpNow {
            if let segment = try log.writeSegment(upTo: end, progress: { _ in !self.isGivenUpNow }) {
                return segment
            }
            if !isGivenUpNow { state.withLock { $0.owed.forget(end) } }
        }
        return nil
    }

    private var isGivenUpNow: Bool { isGivenUp.load(ordering: .relaxed) }
}

// The log thread's part.
extension RunningNode {
    /// Lets what is owed be archived, unless this node leads.
    func archiveOwed() {
        guard !hasConductor else { return }
        archiver.begin { [self] segment in
            state.withLock { state in
                state.jobs.append(.enter(segment))
                bell.ring()
            }
        }
    }

    /// Whether the log is a conductor's, or will be.
    var hasConductor: Bool { state.withLock { $0.conductor != nil || $0.beginning != nil } }

    /// Enters a segment; what it holds leaves the data file by and by.
    func enter(_ segment: SegmentHeader, _ desk: inout LogDesk) {
        defer { archiver.end() }
        // Its file is in nobody's way.
        guard !hasConductor else { return }
        do throws(EventLogError) {
            try fold()
            // A restart must never need the archive.
            if try log.checkpointPosition() < segment.lastPosition { storeCheckpoint(&desk) }
            try log.enter(segment)
        } catch { return archiver.fail(because: error) }
        desk.hasLeftovers = true
        logger.info(
            "archived what the pair has archived",
            metadata: [
                "events": "\(segment.eventCount)", "bytes": "\(segment.batchByteCount)",
                "archived_bytes": "\(segment.fileByteCount)", "archived_end": "\(segment.lastPosition)",
            ])
    }

    /// Removes some of what is archived from the data file, in a commit of its own.
    func removeLeftovers(_ desk: inout LogDesk) {
        do throws(EventLogError) { desk.hasLeftovers = try log.removeArchived() } catch {
            // They do no harm; after the next archiving, or at the next start, it is tried again.
            desk.hasLeftovers = false
            logger.warning(
                "archived batches stay in the data file", metadata: ["reason": "\(error.sentence)"])
        }
    }
}
