public import EventLog

/// How a table came to be: from which checkpoint, and how far.
public struct Replay: Sendable {
    /// The table as of ``VIMTable/position``.
    public var table: VIMTable
    /// The checkpoint, or base, it began with; 0 if it began with the first event.
    public var checkpointPosition: UInt64
    /// How many events were replayed.
    public var eventCount: UInt64

    /// Progress of a long replay, told about every ``Replay/progressInterval`` events.
    public struct Progress: Sendable {
        /// The last position taken in.
        public var position: UInt64
        /// The last position to take in, as known when the replay began.
        public var end: UInt64
    }

    /// Events between two reports of progress.
    public static let progressInterval: UInt64 = 65_536

    /// Folds the log into a table; anew, if events that it still wanted were dropped meanwhile.
    ///
    /// - Parameters:
    ///   - checkpoint: where to begin, if it belongs to this log and has this version's schema; else the
    ///     first event, or the base that stands for what was dropped.
    ///   - end: the last position to take in; nil means all there is.
    ///   - verifyingSeals: recompute every seal on the way; replay then runs at the speed of SHA-256.
    ///   - isCancelled: asked now and then; the table then stands where it was left.
    /// - Throws: ``ReadError`` with the log's error, or the fault of an event that cannot be taken in.
    public init(
        of log: EventLog, from checkpoint: Checkpoint? = nil, upTo end: UInt64? = nil,
        verifyingSeals: Bool = false, progress: ((Progress) -> Void)? = nil,
        isCancelled: () -> Bool = { false }
    ) throws(ReadError<ProjectionFault>) {
        self = try log.undisturbedByDrops { () throws(ReadError<ProjectionFault>) in
            try Replay(
                onceOf: log, from: checkpoint, upTo: end, verifyingSeals: verifyingSeals, progress: progress,
                isCancelled: isCancelled)
        }
    }

    private init(
        onceOf log: EventLog, from checkpoint: Checkpoint?, upTo end: UInt64?, verifyingSeals: Bool,
        progress: ((Progress) -> Void)?, isCancelled: () -> Bool
    ) throws(ReadError<ProjectionFault>) {
        var table: VIMTable
        if let known = Replay.table(of: checkpoint, in: log, upTo: end) {
            table = known
        } else {
            table = try Replay.base(of: log, upTo: end)
        }
        checkpointPosition = table.position
        eventCount = 0
        let last: UInt64
        do throws(EventLogError) { last = min(end ?? .max, try log.refreshHead().position) } catch {
            throw .log(error)
        }
        var nextReport = table.position + Replay.progressInterval
        if table.position < last {
            try log.readBatches(from: table.position + 1, verifyingSeals: verifyingSeals) {
                (batch) throws(ProjectionFault) -> Bool in
                try table.apply(batch, upTo: last)
                if table.position >= nextReport {
                    nextReport = table.position + Replay.progressInterval
                    progress?(Progress(position: table.position, end: last))
                    if isCancelled() { return false }
                }
                return table.position < last
            }
        }
        progress?(Progress(position: table.position, end: last))
        eventCount = table.position - checkpointPosition
        self.table = table
    }

    /// What the log begins with: nothing, or the state that stands for what was dropped.
    private static func base(
        of log: EventLog, upTo end: UInt64?
    ) throws(ReadError<ProjectionFault>) -> VIMTable {
        let base: Checkpoint?
        do throws(EventLogError) {
            base = try log.readBase()
            if let base, let end, end < base.position, let part = try log.droppedPart() {
                throw EventLogError.dropped(path: log.path, upTo: part.lastPosition, time: part.time)
            }
        } catch { throw .log(error) }
        guard let base else { return VIMTable() }
        guard base.schema == VIMTable.schema,
            let table = VIMTable(encoded: base.rows, position: base.position)
        else {
            throw .body(
                ProjectionFault(
                    position: base.position, "the base, which stands for what was dropped, cannot be read"))
        }
        return table
    }

    /// The table a checkpoint holds; nil if it is of another history, another schema or a later position.
    public static func table(of checkpoint: Checkpoint?, in log: EventLog, upTo end: UInt64?) -> VIMTable? {
        guard let checkpoint, checkpoint.schema == VIMTable.schema, checkpoint.position <= end ?? .max,
            let head = try? log.head(at: checkpoint.position), head.position == checkpoint.position,
            head.seal == checkpoint.seal,
            let dropped = try? log.droppedPart()?.lastPosition ?? 0, checkpoint.position >= dropped
        else { return nil }
        return VIMTable(encoded: checkpoint.rows, position: checkpoint.position)
    }
}

extension VIMTable {
    /// The table as a checkpoint that belongs right behind the batch it ends with.
    public func checkpoint(seal: Seal) -> Checkpoint {
        Checkpoint(position: position, seal: seal, schema: VIMTable.schema, rows: encoded())
    }
}
