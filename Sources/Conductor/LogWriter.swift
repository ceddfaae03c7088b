import EventLog
import Logging
import Projections
import Registry

/// The second stage of the pipeline: brings sealed batches to the disk.
///
/// Touched by one thread at a time, whichever takes a turn.
struct LogWriter {
    private let log: EventLog
    private let logger: Logger
    private var chores: LogChores
    /// A drop takes the checkpoint with it, so that none shows what is gone.
    private var isCheckpointGone = false
    private var isFailing = false

    init(log: EventLog, logger: Logger) {
        self.log = log
        self.logger = logger
        chores = LogChores(of: log, logger: logger)
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
        case .enters: chores.hasLeftovers = true
        case .drops: checkpointIsGone()
        case nil: break
        }
    }

    /// Puts a base in the place of what it stands for, in a commit of its own.
    mutating func carryOut(_ base: LogBase, droppedAt time: Timestamp) throws(EventLogError) {
        try log.enter(base, droppedAt: time.microseconds)
        checkpointIsGone()
    }

    private mutating func checkpointIsGone() {
        chores.checkpoints.lookAnew()
        isCheckpointGone = true
    }

    /// Whether there is something to do that nobody waits for.
    var hasChores: Bool { chores.areLeft }

    /// Does a part of it, in a commit of its own: callers' go between.
    mutating func doChore() { chores.doOne() }

    /// Whether a restart would begin in what a segment holds: it must never need the archive.
    func isCheckpointBehind(_ change: ArchiveChange?) -> Bool {
        guard case .enters(let segment) = change else { return false }
        return isCheckpointBehind(segment.lastPosition)
    }

    /// Whether the stored checkpoint shows less than what happened up to a position.
    func isCheckpointBehind(_ position: UInt64) -> Bool { chores.checkpoints.storedPosition < position }

    /// Whether a checkpoint was begun that is not stored yet.
    var isCheckpointUnderWay: Bool { chores.checkpoints.isUnderWay }

    /// Whether enough was stored since the last checkpoint, so that a restart replays only a tail.
    func isCheckpointDue(isStopping: Bool) -> Bool {
        if isCheckpointGone { return true }
        let known = isStopping ? chores.checkpoints.storedPosition : chores.checkpoints.triedPosition
        let tail = log.head.position - min(known, log.head.position)
        return tail >= (isStopping ? 1 : Conductor.checkpointInterval)
    }

    /// Begins a checkpoint of the table as of the head; nobody has to wait for it.
    ///
    /// - Parameter whenMade: called on another thread when there is a chore more.
    mutating func beginCheckpoint(of table: VIMTable, whenMade: @escaping @Sendable () -> Void) {
        isCheckpointGone = false
        chores.checkpoints.begin(of: table, whenMade: whenMade)
    }

    /// Stores a checkpoint of the table as of the head at once.
    mutating func storeCheckpoint(of table: VIMTable) {
        isCheckpointGone = false
        chores.checkpoints.store(table)
    }
}
