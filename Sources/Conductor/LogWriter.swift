import EventLog
import Logging
import Projections

/// The second stage of the pipeline: brings sealed batches to the disk.
///
/// Touched by the writer thread alone.
struct LogWriter {
    private let log: EventLog
    private let logger: Logger
    /// Of the stored checkpoint.
    private var checkpointPosition: UInt64
    /// Of the last one that was begun: tried once per interval, also if it fails, since it is disposable.
    private var triedPosition: UInt64
    private let maker = CheckpointMaker()
    /// A checkpoint that goes into the file by portions.
    private var draft: CheckpointDraft?
    /// A drop takes the checkpoint with it, so that none shows what is gone.
    private var isCheckpointGone = false
    private var isFailing = false
    /// Whether the data file may hold batches that a segment holds: at the start nobody knows.
    private var hasLeftovers = true

    init(log: EventLog, logger: Logger) {
        self.log = log
        self.logger = logger
        checkpointPosition = (try? log.readCheckpoint())?.position ?? 0
        triedPosition = checkpointPosition
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
        case .drops:
            // One that is on its way shows what is gone, too.
            (isCheckpointGone, checkpointPosition, draft) = (true, 0, nil)
            maker.giveUp()
        case nil: break
        }
    }

    /// Whether there is something to do that waits for nobody, and for which nobody should wait long.
    var hasChores: Bool { hasLeftovers || draft != nil || maker.hasMade }

    /// Does a part of it, in a commit of its own: others go between.
    mutating func doChore() {
        draft = draft ?? maker.take()
        if draft != nil { advanceDraft() } else { removeLeftovers() }
    }

    private mutating func advanceDraft() {
        guard var next = draft.take() else { return }
        do throws(EventLogError) {
            let isDone = try log.advance(&next)
            if next.isStored { checkpointPosition = next.position }
            if !isDone { draft = next }
        } catch { warn(ofCheckpoint: error) }
    }

    private func warn(ofCheckpoint error: EventLogError) {
        logger.warning("no checkpoint could be stored", metadata: ["reason": "\(error.sentence)"])
    }

    private mutating func removeLeftovers() {
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
        let known = isStopping ? checkpointPosition : triedPosition
        let tail = log.head.position - min(known, log.head.position)
        return tail >= (isStopping ? 1 : Conductor.checkpointInterval)
    }

    /// Begins a checkpoint of the table as of the head, whose making and storing nobody has to wait for.
    ///
    /// - Parameter whenMade: called on another thread when there is a chore more.
    mutating func beginCheckpoint(of table: VIMTable, whenMade: @escaping @Sendable () -> Void) {
        let head = log.head
        (triedPosition, isCheckpointGone, draft) = (head.position, false, nil)
        do throws(EventLogError) {
            maker.begin(of: table, seal: head.seal, replacing: try log.checkpointFront(), whenMade: whenMade)
        } catch { warn(ofCheckpoint: error) }
    }

    /// Stores a checkpoint of the table as of the head at once, in one commit.
    mutating func storeCheckpoint(of table: VIMTable) {
        let head = log.head
        maker.giveUp()
        (triedPosition, isCheckpointGone, draft) = (head.position, false, nil)
        do throws(EventLogError) {
            try log.write(table.checkpoint(seal: head.seal))
            checkpointPosition = head.position
        } catch { warn(ofCheckpoint: error) }
    }
}
