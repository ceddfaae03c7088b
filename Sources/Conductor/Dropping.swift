import EventLog
public import Logging
import Projections
public import Registry

/// What a dropping did.
public struct DropReport: Hashable, Codable, Sendable {
    /// How many segments were dropped.
    public var segmentCount = 0
    /// How many events they held.
    public var eventCount: UInt64 = 0
    /// How many bytes their files had.
    public var fileByteCount: UInt64 = 0
    /// The position up to which everything is gone now; 0 if nothing is.
    public var droppedEnd: UInt64 = 0
    /// Files that could not be removed; the next start tries again.
    public var leftFileCount = 0

    /// Nothing was done yet.
    public init() {}
}

extension Archiver {
    /// Destroys the segments that end at or before a position.
    ///
    /// First everything that goes is replayed, its seals verified, to the state that it led to; then one
    /// commit puts that state in its place, with the event that says so; only then files are removed.
    ///
    /// - Parameter progress: told the last position replayed, and the last one to replay, on another thread.
    func drop(
        _ log: EventLog, upTo end: UInt64, actor: Actor,
        progress: @escaping @Sendable (UInt64, UInt64) -> Void
    ) async throws(CommandFailure) -> DropReport {
        try begin(on: log)
        defer { log.endArchiving() }
        var report = DropReport()
        let segments = try stored { () throws(EventLogError) in try log.droppableSegments(upTo: end) }
        if let first = segments.first, let last = segments.last {
            let base = try await Archiver.base(of: log, upTo: last, progress)
            report.segmentCount = segments.count
            report.eventCount = last.lastPosition - first.firstPosition + 1
            report.fileByteCount = segments.reduce(0) { $0 + $1.fileByteCount }
            let dropped = LogDropped(
                firstPosition: first.firstPosition, lastPosition: last.lastPosition,
                segmentCount: UInt64(segments.count), fileByteCount: report.fileByteCount,
                lastSeal: last.lastSeal.bytes, firstSeal: base.firstSeal.bytes, baseDigest: base.digest,
                actor: actor)
            _ = try await pipeline.submit(.noteDropped(dropped), with: .archive(.drops(base)))
            // It is done whatever becomes of the files: nobody refers to them any more.
            report.leftFileCount = (try? log.removeDroppedFiles()) ?? segments.count
        }
        report.droppedEnd = try stored { () throws(EventLogError) in try log.droppedPart()?.lastPosition ?? 0
        }
        return report
    }

    /// What the segments up to one led to; refuses if they do not lead there.
    private static func base(
        of log: EventLog, upTo last: SegmentHeader, _ progress: @escaping @Sendable (UInt64, UInt64) -> Void
    ) async throws(CommandFailure) -> LogBase {
        let isCancelled = Flag()
        let result = await lend(log, unless: isCancelled) { log in
            Result { () throws(CommandFailure) in
                var table: VIMTable
                let firstSeal: Seal
                do throws(ReadError<ProjectionFault>) {
                    table = try Replay(
                        of: log, upTo: last.lastPosition, verifyingSeals: true,
                        progress: { progress($0.position, $0.end) }, isCancelled: { isCancelled.isRaised }
                    ).table
                    do throws(EventLogError) { firstSeal = try log.firstSeal() } catch { throw .log(error) }
                } catch { throw failure(error) }
                guard table.position == last.lastPosition else {
                    throw .notStored("the dropping was interrupted: nothing was dropped")
                }
                table.forgetHistory(upTo: last.lastPosition)
                return LogBase(state: table.checkpoint(seal: last.lastSeal), firstSeal: firstSeal)
            }
        }
        return try result.get()
    }

    private static func failure(_ error: ReadError<ProjectionFault>) -> CommandFailure {
        switch error {
        case .log(let error): .notStored(error.sentence)
        case .body(let fault): .notStored("position \(fault.position) cannot be replayed: \(fault.sentence)")
        }
    }
}

extension Conductor {
    /// Destroys archived events for good: the segments that end at or before a position.
    ///
    /// Their seals, and the state they led to, remain. Callers are served meanwhile.
    ///
    /// - Throws: ``CommandFailure`` with one sentence; nothing was dropped then.
    public func drop(
        upTo end: UInt64, actor: Actor,
        progress: @escaping @Sendable (UInt64, UInt64) -> Void = { _, _ in }
    ) async throws(CommandFailure) -> DropReport {
        guard let log = openLog else { throw .stopped }
        guard !pipeline.isPaired else {
            throw .notStored("events of a pair cannot be dropped yet: the other node would keep them")
        }
        return try await archiver.drop(log, upTo: end, actor: actor, progress: progress)
    }

    /// Does so in a log that nobody serves: as an epoch of its own, without the master key.
    ///
    /// - Throws: ``StartFault`` with one sentence that says what to do.
    public static func drop(
        directory: String, upTo end: UInt64, actor: Actor, options: Options, logger: Logger,
        progress: @escaping @Sendable (UInt64, UInt64) -> Void = { _, _ in }
    ) async throws(StartFault) -> DropReport {
        try await alone(
            directory: directory, options: options, logger: logger,
            isNeeded: { (log) throws(EventLogError) in !(try log.droppableSegments(upTo: end)).isEmpty },
            { (archiver, log) async throws(CommandFailure) in
                try await archiver.drop(log, upTo: end, actor: actor, progress: progress)
            }) ?? DropReport()
    }
}
