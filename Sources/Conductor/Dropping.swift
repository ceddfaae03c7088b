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
    /// commit puts that state in its place, with the event that says so; only then files are removed. In a
    /// pair the event comes first, and when it is acknowledged the rest (``ToldDrop``).
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
            if pipeline.isPaired {
                let before = pipeline.read { $0.position }
                _ = try await pipeline.submit(.noteDropped(dropped))
                try await carryOut(dropped, by: base, toldBehind: before, on: log)
            } else {
                _ = try await pipeline.submit(.noteDropped(dropped), with: .archive(.drops(base)))
            }
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
                try makeBase(of: log, upTo: last, progress, unless: { isCancelled.isRaised })
            }
        }
        guard let base = try result.get() else {
            throw .notStored("the dropping was interrupted: nothing was dropped")
        }
        return base
    }

    /// The same on the calling thread; nil if it was given up.
    static func makeBase(
        of log: EventLog, upTo last: SegmentHeader, _ progress: @escaping (UInt64, UInt64) -> Void,
        unless isGivenUp: () -> Bool
    ) throws(CommandFailure) -> LogBase? {
        var table: VIMTable
        let firstSeal: Seal
        do throws(ReadError<ProjectionFault>) {
            table = try Replay(
                of: log, upTo: last.lastPosition, verifyingSeals: true,
                progress: { progress($0.position, $0.end) }, isCancelled: isGivenUp
            ).table
            do throws(EventLogError) { firstSeal = try log.firstSeal() } catch { throw .log(error) }
        } catch { throw failure(error) }
        guard table.position == last.lastPosition else { return nil }
        table.forgetHistory(upTo: last.lastPosition)
        return LogBase(state: table.checkpoint(seal: last.lastSeal), firstSeal: firstSeal)
    }

    /// The pair has the event that tells of a drop: what it says is done here.
    private func carryOut(
        _ dropped: LogDropped, by base: LogBase, toldBehind start: UInt64, on log: EventLog
    ) async throws(CommandFailure) {
        let last = pipeline.read { $0.lastPosition(inStream: 0) }
        let events = try stored { () throws(EventLogError) in
            try log.conductorEvents(from: last, behind: start)
        }
        guard let told = events.lazy.compactMap(ToldDrop.init).first(where: { $0.event == dropped }) else {
            preconditionFailure("an acknowledged event is not in the log")
        }
        try await pipeline.carryOut(.drop(base, at: told.time))
    }

    /// Carries out the last drop that the log tells of behind its archive, if it is not carried out yet: the
    /// conductor of an epoch does so once it serves, since all that it began with is acknowledged.
    ///
    /// - Returns: what was dropped; nil if nothing is to do.
    func carryOutTold(_ log: EventLog) async throws(CommandFailure) -> ToldDrop? {
        let last = pipeline.read { $0.lastPosition(inStream: 0) }
        let events = try stored { () throws(EventLogError) in
            let end = try log.droppedPart()?.lastPosition ?? 0
            return try log.conductorEvents(from: last, behind: try log.archivedEnd())
                .compactMap(ToldDrop.init).filter { $0.event.lastPosition > end }
        }
        guard let told = events.first else { return nil }
        let isCancelled = Flag()
        let result = await Archiver.lend(log, unless: isCancelled) { log in
            Result { () throws(CommandFailure) in try told.base(in: log, unless: { isCancelled.isRaised }) }
        }
        guard let base = try result.get() else { return nil }
        try await pipeline.carryOut(.drop(base, at: told.time))
        _ = try? log.removeDroppedFiles()
        return told
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
    /// - Throws: ``CommandFailure`` with one sentence; nothing was dropped then. In a pair the event that
    ///   tells of it may stand already, and is carried out later (``ToldDrop``).
    public func drop(
        upTo end: UInt64, actor: Actor,
        progress: @escaping @Sendable (UInt64, UInt64) -> Void = { _, _ in }
    ) async throws(CommandFailure) -> DropReport {
        guard let log = openLog else { throw .stopped }
        return try await archiver.drop(log, upTo: end, actor: actor, progress: progress)
    }

    /// Carries out what the log of a pair says is dropped, if the node was stopped before it could: to be
    /// called when the epoch is acknowledged, and all that it began with.
    public func carryOutToldDrop(logger: Logger) async {
        guard let log = openLog else { return }
        // What was being archived when this node began to lead is given up soon.
        while !log.beginArchiving() {
            do { try await Task.sleep(for: .milliseconds(200)) } catch { return }
            if pipeline.isOver { return }
        }
        defer { log.endArchiving() }
        do throws(CommandFailure) {
            guard let drop = try await archiver.carryOutTold(log) else { return }
            logger.notice(
                "dropped what the pair has dropped",
                metadata: ["dropped_end": "\(drop.event.lastPosition)", "told_at": "\(drop.position)"])
        } catch {
            guard !pipeline.isOver else { return }
            logger.warning(
                "this node does not drop what the pair has", metadata: ["reason": "\(error.sentence)"])
        }
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
