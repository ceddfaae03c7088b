import Backups
import EventLog

/// Whether a node brings its peer a copy of its log rather than the events in it.
enum CopyOffer {
    /// With less in the data file the events are there sooner.
    static let byteMin = 64 << 20

    /// Whether a peer that has nothing is brought a copy of the log.
    ///
    /// What is archived would have to be decoded, and what was dropped cannot be sent at all.
    static func isMade(of log: EventLog) -> Bool {
        guard log.head.position > 0 else { return false }
        if log.usedByteCount >= byteMin { return true }
        // A log that cannot be read is told of by those who need it.
        do { return try !log.archivedSegments().isEmpty || log.droppedPart() != nil } catch { return false }
    }
}
