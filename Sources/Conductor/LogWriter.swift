import EventLog
import Logging
import Projections

/// The second stage of the pipeline: brings sealed batches to the disk.
///
/// Touched by the writer thread alone.
struct LogWriter {
    private let log: EventLog
    private let logger: Logger
    private var checkpointPosition: UInt64
    private var isFailing = false

    init(log: EventLog, logger: Logger) {
        self.log = log
        self.logger = logger
        checkpointPosition = (try? log.readCheckpoint())?.position ?? 0
    }

    /// The last durable place.
    var head: Head { log.head }

    /// Returns once the batch is durable; after a failure nothing of it is stored.
    mutating func store(_ gathered: GatheredBatch) throws(EventLogError) {
        do throws(EventLogError) { _ = try log.append(sealed: gathered.batch, vault: gathered.vault) } catch {
            if !isFailing { logger.error("nothing can be stored", metadata: ["reason": "\(error.sentence)"]) }
            isFailing = true
            throw error
        }
        if isFailing { logger.notice("storing works again") }
        isFailing = false
    }

    /// Whether enough was stored since the last checkpoint, so that a restart replays only a tail.
    func isCheckpointDue(isStopping: Bool) -> Bool {
        let tail = log.head.position - min(checkpointPosition, log.head.position)
        return tail >= (isStopping ? 1 : Conductor.checkpointInterval)
    }

    /// Stores a checkpoint of the table as of the head.
    mutating func storeCheckpoint(of table: VIMTable) {
        let head = log.head
        // Tried once per interval, also if it fails: it is disposable.
        checkpointPosition = head.position
        do throws(EventLogError) { try log.write(table.checkpoint(seal: head.seal)) } catch {
            logger.warning("no checkpoint could be stored", metadata: ["reason": "\(error.sentence)"])
        }
    }
}
