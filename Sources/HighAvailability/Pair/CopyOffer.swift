import Backups
import EventLog

/// Whether a node brings its peer a copy of its log rather than the events in it.
enum CopyOffer {
    /// With less in the data file the events are there sooner.
    static let byteMin = 64 << 20

    /// About how many bytes a copy of the log has; nil if its events are sent as well.
    ///
    /// What is archived would have to be decoded, and what was dropped cannot be sent at all.
    static func byteCount(of log: EventLog) -> UInt64? {
        guard log.head.position > 0 else { return nil }
        do {
            let isLong = log.usedByteCount >= byteMin
            let isPartlyCold = try !log.archivedSegments().isEmpty || log.droppedPart() != nil
            guard isLong || isPartlyCold else { return nil }
            return try StreamedCopy(of: log).byteCount()
        } catch {
            // A log that cannot be read is told of by those who need it.
            return nil
        }
    }
}
