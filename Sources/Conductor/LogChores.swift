public import EventLog
public import Logging

/// What the writer of a log does between the commits that somebody waits for: it writes checkpoints by
/// portions, and removes from the data file what is archived.
///
/// Touched by the writer alone.
public struct LogChores: Sendable {
    private let log: EventLog
    private let logger: Logger
    /// The checkpoints.
    public var checkpoints: CheckpointWriter
    /// Whether the data file may hold batches that a segment holds: at the start nobody knows.
    public var hasLeftovers = true

    /// For a log that is open for writing.
    public init(of log: EventLog, logger: Logger) {
        self.log = log
        self.logger = logger
        checkpoints = CheckpointWriter(of: log, logger: logger)
    }

    /// Whether there is something to do.
    public var areLeft: Bool { hasLeftovers || checkpoints.hasWork }

    /// Does a part of it, in a commit of its own.
    public mutating func doOne() {
        if checkpoints.hasWork { checkpoints.work() } else { removeLeftovers() }
    }

    private mutating func removeLeftovers() {
        do throws(EventLogError) { hasLeftovers = try log.removeArchived() } catch {
            // They do no harm; after the next archiving, or at the next start, it is tried again.
            hasLeftovers = false
            logger.warning(
                "archived batches stay in the data file", metadata: ["reason": "\(error.sentence)"])
        }
    }
}
