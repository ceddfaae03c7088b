import EventLog
import Registry

/// What the writer of a ``CommitPipeline`` does between two batches, and who waits for it.
struct Errand: Sendable {
    enum Work: Sendable {
        /// Puts a base in the place of what the pair has dropped.
        case drop(LogBase, at: Timestamp)
        /// Stores a checkpoint that shows what happened up to a position, beside the callers.
        case checkpoint(showing: UInt64)
    }

    let work: Work
    /// The checkpoint is under way, or was.
    var isBegun = false
    let reply: @Sendable (Result<Void, CommandFailure>) -> Void
}
