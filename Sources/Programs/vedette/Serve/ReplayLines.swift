import Logging
import Projections
import Synchronization

/// Says how far a long replay at the start is: as soon as it is known to be long, and at every tenth of it.
final class ReplayLines: Sendable {
    private let logger: Logger
    /// The tenth that was told last; nil before the first line.
    private let tenth = Mutex<UInt64?>(nil)

    init(logger: Logger) { self.logger = logger }

    func note(_ progress: Replay.Progress) {
        let now = progress.end == 0 ? 10 : 10 * progress.position / progress.end
        let isNew = tenth.withLock { last in
            // The end of a short replay needs no line.
            guard last.map({ now > $0 }) ?? (progress.position < progress.end) else { return false }
            last = now
            return true
        }
        guard isNew else { return }
        logger.info(
            "replaying the log",
            metadata: [
                "position": "\(progress.position)", "end": "\(progress.end)", "percent": "\(10 * now)",
            ])
    }
}
