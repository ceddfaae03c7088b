public import EventLog
public import Registry

/// A drop that a log of a pair tells of.
///
/// Nothing brings back what is dropped, and an event of a pair may be cut away before it is acknowledged. So
/// the event goes first, and each node carries it out by itself once it is known to be acknowledged.
public struct ToldDrop: Hashable, Sendable {
    /// Where it is told.
    public let position: UInt64
    /// When it was told.
    public let time: Timestamp
    /// What is dropped, and which state stands for it.
    public let event: LogDropped

    /// Nil if the event tells of something else.
    public init?(_ placed: PlacedEvent) {
        guard case .logDropped(let event) = placed.event else { return nil }
        (position, time, self.event) = (placed.position, placed.time, event)
    }

    /// What takes the place of what is dropped: made of this log's own events, and the one that is told.
    ///
    /// Reads all of them, on the calling thread; nil if it was given up.
    ///
    /// - Throws: ``CommandFailure`` with one sentence if it cannot be carried out here.
    public func base(
        in log: EventLog, unless isGivenUp: @escaping () -> Bool = { false }
    ) throws(CommandFailure) -> LogBase? {
        let last: SegmentHeader?
        do throws(EventLogError) {
            last = try log.archivedSegments().first { $0.lastPosition == event.lastPosition }
        } catch { throw .notStored(error.sentence) }
        guard let last, last.lastSeal.bytes == event.lastSeal else {
            throw .notStored(
                "no segment of this log ends at position \(event.lastPosition), up to which the pair dropped "
                    + "its events: here they stay until a later dropping")
        }
        let base = try Archiver.makeBase(of: log, upTo: last, { _, _ in }, unless: isGivenUp)
        guard let base else { return nil }
        guard base.digest == event.baseDigest, base.firstSeal.bytes == event.firstSeal else {
            throw .notStored(
                "what this log's events up to position \(event.lastPosition) lead to is not what the pair's "
                    + "leader put in their place: here they stay")
        }
        return base
    }
}
