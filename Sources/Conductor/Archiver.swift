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
    private let pipeline: CommitPipeline
    private let isAtWork = Atomic<Bool>(false)

    init(pipeline: CommitPipeline) { self.pipeline = pipeline }

    /// Archives every batch up to the last one before a time.
    ///
    /// - Parameter progress: told the last position read, and the last one to read, on another thread.
    func archive(
        _ log: EventLog, before time: Timestamp, actor: Actor,
        progress: @escaping @Sendable (UInt64, UInt64) -> Void
    ) async throws(CommandFailure) -> ArchiveReport {
        guard !isAtWork.exchange(true, ordering: .acquiring) else {
            throw .notStored("another archiving is under way: wait until it is done")
        }
        defer { isAtWork.store(false, ordering: .releasing) }
        var report = ArchiveReport()
        let end = try stored { () throws(EventLogError) in try log.lastPosition(before: time) }
        while let segment = try await Archiver.writeSegment(of: log, upTo: end, progress) {
            // If this fails nobody refers to the file: the next archiving or start takes it away.
            try await note(segment, actor: actor)
            report.add(segment)
        }
        report.archivedEnd = try stored { () throws(EventLogError) in try log.archivedEnd() }
        return report
    }

    private func stored<Result>(
        _ body: () throws(EventLogError) -> Result
    ) throws(CommandFailure) -> Result {
        do throws(EventLogError) { return try body() } catch { throw .notStored(error.sentence) }
    }

    private func note(_ segment: SegmentHeader, actor: Actor) async throws(CommandFailure) {
        let archived = LogArchived(
            firstPosition: segment.firstPosition, lastPosition: segment.lastPosition, file: segment.fileName,
            lastSeal: segment.lastSeal.bytes, batchByteCount: segment.batchByteCount,
            fileByteCount: segment.fileByteCount, actor: actor)
        _ = try await pipeline.submit(.noteArchived(archived), segment: segment)
    }

    /// On a thread of its own: it computes and waits for the disk.
    private static func writeSegment(
        of log: EventLog, upTo end: UInt64, _ progress: @escaping @Sendable (UInt64, UInt64) -> Void
    ) async throws(CommandFailure) -> SegmentHeader? {
        let result: Result<SegmentHeader?, EventLogError> = await withCheckedContinuation { continuation in
            DedicatedThread(name: "vedette-archive") {
                continuation.resume(
                    returning: Result { () throws(EventLogError) in
                        try log.writeSegment(upTo: end) { progress($0, end) }
                    })
            }.detach()
        }
        do throws(EventLogError) { return try result.get() } catch { throw .notStored(error.sentence) }
    }
}

extension EventLog {
    /// The position of the last event that was committed before a time; 0 if there is none.
    fileprivate func lastPosition(before time: Timestamp) throws(EventLogError) -> UInt64 {
        time.microseconds == 0 ? 0 : try head(atTime: time.microseconds - 1).position
    }
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
        let log: EventLog
        do throws(EventLogError) {
            log = try EventLog(directory: directory, access: .write, mapByteCount: options.mapByteCount)
        } catch { throw StartFault(error.sentence) }
        do throws(EventLogError) {
            // Nobody begins an epoch for nothing.
            guard try log.lastPosition(before: time) > log.archivedEnd() else {
                var report = ArchiveReport()
                report.archivedEnd = try log.archivedEnd()
                return report
            }
        } catch { throw StartFault(error.sentence) }
        let replay = try replay(log, progress: options.progress)
        let pipeline = CommitPipeline(table: replay.table, now: options.now) { _ in }
        let epoch = log.head.epoch + 1
        let thread = pipeline.start(log: log, epoch: epoch, logger: logger)
        let result: Result<ArchiveReport, CommandFailure>
        do throws(CommandFailure) {
            _ = try await pipeline.submit(.startEpoch(epochStarted(epoch, options)))
            result = .success(
                try await Archiver(pipeline: pipeline).archive(
                    log, before: time, actor: actor, progress: progress))
        } catch { result = .failure(error) }
        pipeline.stop()
        await join(thread)
        do throws(EventLogError) { while try log.removeArchived() {} } catch {
            throw StartFault(error.sentence)
        }
        do throws(CommandFailure) { return try result.get() } catch { throw StartFault(error.sentence) }
    }
}
