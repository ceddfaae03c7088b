import EventLog
import Logging
import Projections
import Registry

/// The second stage of the pipeline: brings sealed batches to the disk.
///
/// Touched by the writer thread alone.
struct LogWriter {
    private let log: EventLog
    private let logger: Logger
    private var checkpointPosition: UInt64
    /// A drop takes the checkpoint with it, so that none shows what is gone.
    private var isCheckpointGone = false
    private var isFailing = false
    /// Whether the data file may hold batches that a segment holds: at the start nobody knows.
    private(set) var hasLeftovers = true

    init(log: EventLog, logger: Logger) {
        self.log = log
        self.logger = logger
        checkpointPosition = (try? log.readCheckpoint())?.position ?? 0
    }

    /// The last durable place.
    var head: Head { log.head }

    /// Returns once the batch is durable; after a failure nothing of it is stored.
    mutating func store(_ gathered: GatheredBatch) throws(EventLogError) {
        do throws(EventLogError) {
            _ = try log.append(sealed: gathered.batch, vault: gathered.vault, archive: gathered.archive)
        } catch {
            if !isFailing { logger.error("nothing can be stored", metadata: ["reason": "\(error.sentence)"]) }
            isFailing = true
            throw error
        }
        if isFailing { logger.notice("storing works again") }
        isFailing = false
        switch gathered.archive {
        case .enters: hasLeftovers = true
        case .drops: isCheckpointGone = true
        case nil: break
        }
    }

    /// Puts a base in the place of what it stands for, in a commit of its own.
    mutating func carryOut(_ base: LogBase, droppedAt time: Timestamp) throws(EventLogError) {
        try log.enter(base, droppedAt: time.microseconds)
        isCheckpointGone = true
    }

    /// Removes some of what is archived, in a commit of its own.
    mutating func removeLeftovers() {
        do throws(EventLogError) { hasLeftovers = try log.removeArchived() } catch {
            // They do no harm; after the next archiving, or at the next start, it is tried again.
            hasLeftovers = false
            logger.warning(
                "archived batches stay in the data file", metadata: ["reason": "\(error.sentence)"])
        }
    }

    /// Whether a restart would begin in what a segment holds: it must never need the archive.
    func isCheckpointBehind(_ change: ArchiveChange?) -> Bool {
        guard case .enters(let segment) = change else { return false }
        return checkpointPosition < segment.lastPosition
    }

    /// Whether enough was stored since the last checkpoint, so that a restart replays only a tail.
    func isCheckpointDue(isStopping: Bool) -> Bool {
        if isCheckpointGone { return true }
        let tail = log.head.position - min(checkpointPosition, log.head.position)
        return tail >= (isStopping ? 1 : Conductor.checkpointInterval)
    }

    /// Stores a checkpoint of the table as of the head.
    mutating func storeCheckpoint(of table: VIMTable) {
        let head = log.head
        // Tried once per interval, also if it fails: it is disposable.
        checkpointPosition = head.position
        isCheckpointGone = false
        do throws(EventLogError) { try log.write(table.checkpoint(seal: head.seal)) } catch {
            logger.warning("no checkpoint could be stored", metadata: ["reason": "\(error.sentence)"])
        }
    }
}
