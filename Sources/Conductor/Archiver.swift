import EventLog
public import Logging
import Projections
public import Registry
import Synchronization
import Threads

/// What an archiving did.
public struct ArchiveReport: Hashable, Codable, Sendable {
    /// How many segments were written.
    public var segmentCount = 0
    /// How many events moved.
    public var eventCount: UInt64 = 0
    /// How many bytes their batches had in the data file.
    public var batchByteCount: UInt64 = 0
    /// How many bytes the segments have.
    public var fileByteCount: UInt64 = 0
    /// The position up to which the log is archived now; 0 if it is not.
    public var archivedEnd: UInt64 = 0

    /// Nothing was done yet.
    public init() {}
}

/// Moves old batches into segments, beside the pipeline: only the small commit that switches over goes
/// through it.
final class Archiver: Sendable {
    let pipeline: CommitPipeline

    init(pipeline: CommitPipeline) { self.pipeline = pipeline }

    /// Archives every batch up to the last one before a time; in a pair, only what was acknowledged, and the
    /// last batch of that stays: whatever is cut from either log lies behind it.
    ///
    /// - Parameter progress: told the last position read, and the last one to read, on another thread.
    func archive(
        _ log: EventLog, before time: Timestamp, actor: Actor,
        progress: @escaping @Sendable (UInt64, UInt64) -> Void
    ) async throws(CommandFailure) -> ArchiveReport {
        try begin(on: log)
        defer { log.endArchiving() }
        var report = ArchiveReport()
        var end = try stored { () throws(EventLogError) in try log.lastHotPosition(before: time.microseconds)
        }
        if pipeline.isPaired { end = min(end, max(pipeline.read { $0.position }, 1) - 1) }
        let isCancelled = Flag()
        while let segment = try await Archiver.writeSegment(of: log, upTo: end, unless: isCancelled, progress)
        {
            // If this fails nobody refers to the file: the next archiving or start takes it away.
            try await note(segment, actor: actor)
            report.add(segment)
        }
        if isCancelled.isRaised {
            throw .notStored("the archiving was interrupted; what it moved before is archived")
        }
        report.archivedEnd = try stored { () throws(EventLogError) in try log.archivedEnd() }
        return report
    }

    /// Archives and drops one at a time.
    func begin(on log: EventLog) throws(CommandFailure) {
        guard log.beginArchiving() else {
            throw .notStored("another archiving is under way: wait until it is done")
        }
    }

    func stored<Result>(
        _ body: () throws(EventLogError) -> Result
    ) throws(CommandFailure) -> Result {
        do throws(EventLogError) { return try body() } catch { throw .notStored(error.sentence) }
    }

    /// When the first batch was committed that is not archived; nil if there is none.
    static func firstHotTime(_ log: EventLog) throws(CommandFailure) -> Timestamp? {
        do throws(EventLogError) { return try log.firstHotTime().map { Timestamp(microseconds: $0) } } catch {
            throw .notStored(error.sentence)
        }
    }

    private func note(_ segment: SegmentHeader, actor: Actor) async throws(CommandFailure) {
        let archived = LogArchived(
            firstPosition: segment.firstPosition, lastPosition: segment.lastPosition, file: segment.fileName,
            lastSeal: segment.lastSeal.bytes, batchByteCount: segment.batchByteCount,
            fileByteCount: segment.fileByteCount, actor: actor)
        // The writer would store one that is not there before the segment counts, and let its callers wait.
        try await pipeline.carryOut(.checkpoint(showing: segment.lastPosition))
        _ = try await pipeline.submit(.noteArchived(archived), with: .archive(.enters(segment)))
    }

    /// On a thread of its own: it computes and waits for the disk.
    private static func writeSegment(
        of log: EventLog, upTo end: UInt64, unless isCancelled: Flag,
        _ progress: @escaping @Sendable (UInt64, UInt64) -> Void
    ) async throws(CommandFailure) -> SegmentHeader? {
        let result = await lend(log, unless: isCancelled) { log in
            Result { () throws(EventLogError) in
                try log.writeSegment(upTo: end) {
                    progress($0, end)
                    return !isCancelled.isRaised
                }
            }
        }
        do throws(EventLogError) { return try result.get() } catch { throw .notStored(error.sentence) }
    }
}

extension Archiver {
    /// Hands the log to a body on a thread that yields; the thread has let go of it before this returns, so
    /// that whoever stops the conductor then may open the log anew.
    static func lend<Result: Sendable>(
        _ log: EventLog, unless isCancelled: Flag, _ body: @escaping @Sendable (EventLog) -> Result
    ) async -> Result {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let loan = Loan(log)
                DedicatedThread(name: "vedette-archive", yields: true) {
                    continuation.resume(returning: loan.use(body))
                }.detach()
            }
        } onCancel: {
            isCancelled.raise()
        }
    }
}

/// A log that is used once.
private final class Loan: Sendable {
    private let log: Mutex<EventLog?>

    init(_ log: EventLog) { self.log = Mutex(log) }

    /// Not inlined, so that nothing of the log is left when it returns.
    @inline(never)
    func use<Result>(_ body: (EventLog) -> Result) -> Result {
        guard let log = log.withLock({ $0.take() }) else { preconditionFailure("a loan is used once") }
        return body(log)
    }
}

/// Tells another thread to stop.
final class Flag: Sendable {
    private let value = Atomic<Bool>(false)

    var isRaised: Bool { value.load(ordering: .relaxed) }

    func raise() { value.store(true, ordering: .relaxed) }
}

extension ArchiveReport {
    fileprivate mutating func add(_ segment: SegmentHeader) {
        segmentCount += 1
        eventCount += segment.eventCount
        batchByteCount += segment.batchByteCount
        fileByteCount += segment.fileByteCount
    }
}

extension Conductor {
    /// Archives every batch before a time; callers are served meanwhile.
    ///
    /// - Parameter progress: told the last position read, and the last one to read, on another thread.
    /// - Throws: ``CommandFailure`` with one sentence; what was archived before stays archived.
    public func archive(
        before time: Timestamp, actor: Actor = Actor(),
        progress: @escaping @Sendable (UInt64, UInt64) -> Void = { _, _ in }
    ) async throws(CommandFailure) -> ArchiveReport {
        guard let log = openLog else { throw .stopped }
        return try await archiver.archive(log, before: time, actor: actor, progress: progress)
    }

    /// Archives a log that nobody serves: as an epoch of its own, without the master key.
    ///
    /// - Throws: ``StartFault`` with one sentence that says what to do.
    public static func archive(
        directory: String, before time: Timestamp, actor: Actor = Actor(), options: Options, logger: Logger,
        progress: @escaping @Sendable (UInt64, UInt64) -> Void = { _, _ in }
    ) async throws(StartFault) -> ArchiveReport {
        let report = try await alone(
            directory: directory, options: options, logger: logger,
            // Nobody begins an epoch for nothing.
            isNeeded: { (log) throws(EventLogError) in
                try log.lastHotPosition(before: time.microseconds) > log.archivedEnd()
            },
            { (archiver, log) async throws(CommandFailure) in
                try await archiver.archive(log, before: time, actor: actor, progress: progress)
            })
        if let report { return report }
        var nothing = ArchiveReport()
        nothing.archivedEnd = try archivedEnd(of: directory)
        return nothing
    }

    private static func archivedEnd(of directory: String) throws(StartFault) -> UInt64 {
        do throws(EventLogError) {
            return try EventLog(directory: directory, access: .read).archivedEnd()
        } catch { throw StartFault(error.sentence) }
    }

    /// Works on the archive of a log that nobody serves, as an epoch of its own; nil if that is not needed.
    static func alone<Report: Sendable>(
        directory: String, options: Options, logger: Logger,
        isNeeded: (EventLog) throws(EventLogError) -> Bool,
        _ body: (Archiver, EventLog) async throws(CommandFailure) -> Report
    ) async throws(StartFault) -> Report? {
        let log: EventLog
        do throws(EventLogError) {
            log = try EventLog(directory: directory, access: .write, mapByteCount: options.mapByteCount)
        } catch { throw StartFault(error.sentence) }
        try checkAlone(log)
        do throws(EventLogError) {
            guard try isNeeded(log) else { return nil }
        } catch { throw StartFault(error.sentence) }
        let replay = try replay(log, progress: options.progress)
        let pipeline = CommitPipeline(table: replay.table, now: options.now) { _ in }
        let epoch = log.head.epoch + 1
        let thread = pipeline.start(log: log, epoch: epoch, logger: logger)
        let result: Result<Report, CommandFailure>
        do throws(CommandFailure) {
            _ = try await pipeline.submit(.startEpoch(epochStarted(epoch, options)))
            result = .success(try await body(Archiver(pipeline: pipeline), log))
        } catch { result = .failure(error) }
        pipeline.stop()
        await join(thread)
        do throws(EventLogError) { while try log.removeArchived() {} } catch {
            throw StartFault(error.sentence)
        }
        do throws(CommandFailure) { return try result.get() } catch { throw StartFault(error.sentence) }
    }
}
