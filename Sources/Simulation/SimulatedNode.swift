import PairProtocol

/// A node: its disk, which outlives a crash, and the process on it, which does not.
struct SimulatedNode: Sendable {
    // The disk.
    var identity: LogIdentity
    var log: [SimulatedBatch] = []
    var remembered: EtcdMemory?
    var hasBeenInPair = false
    /// What it took for acknowledged, and so may have carried out for good.
    var learned: UInt64 = 0
    var isDiskFull = false
    /// A device that failed under a commit: nothing more is stored until the next start, which finds the
    /// batch or does not.
    var hasDeviceFailed = false
    /// The next write will be the one.
    var isDeviceFailing = false
    var isSlow = false
    var doubtful: SimulatedBatch?

    // The process.
    /// Nil while it is down.
    var core: PairNode?
    /// Rises with each start and crash.
    var incarnation = 0
    var writes: [Write] = []
    var isWriting = false
    /// A write failed, and the node has not yet asked to settle.
    var isRefusing = false
    /// Leader: gathered and not yet durable.
    var memory: [SimulatedBatch] = []
    var wanted = WantedActions()
    var isServing = false
    /// A process that was stopped gets its inputs when it goes on.
    var isFrozen = false
    var held: [PairInput] = []

    // The clock.
    var clockOffset: Duration
    var clockPartsPerThousand: Int
    /// What people did to the time of day.
    var wallOffset: Duration = .zero

    enum Write: Sendable {
        case store(ShippedBatch)
        case begin(epoch: UInt64)
        case cut(Mark)
        case settle

        var isSettling: Bool { if case .settle = self { true } else { false } }
    }

    var end: Mark { log.last?.end ?? .none }

    /// Its batches, durable or not.
    func batch(after position: UInt64) -> SimulatedBatch? {
        if let end = log.last?.end.position, position < end {
            return log[index(of: position)]
        }
        return memory.first { $0.before == position }
    }

    /// Where the batch behind a position stands; the end of a batch is no other's.
    private func index(of position: UInt64) -> Int {
        var (low, high) = (0, log.count)
        while low < high {
            let middle = (low + high) / 2
            if log[middle].before < position { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func has(_ mark: Mark, at index: Int) -> Bool { index < log.count && log[index].end == mark }

    /// Ends of batches in a range, newest first: the last few, then ever wider apart.
    func marks(above low: UInt64, upTo high: UInt64) -> [Mark] {
        let inside = log.filter { $0.end.position > low && $0.end.position <= high }
        var marks: [Mark] = []
        var (back, step) = (0, 1)
        while back < inside.count, marks.count < 6 {
            marks.append(inside[inside.count - 1 - back].end)
            back += step
            step *= 2
        }
        return marks
    }

    /// The newest of some marks that the durable log has.
    func newestCommon(_ marks: [Mark], _ planted: PlantedBug?) -> Mark? {
        if planted == .cutByLastEpoch, let epoch = marks.first?.epoch {
            let limit = log.last { $0.end.epoch <= epoch }?.end.position ?? 0
            return marks.first { $0.position <= limit }
        }
        return marks.first { mark in log.contains { $0.end == mark } }
    }

    /// Loses what is not on the disk; the write in hand happens or does not.
    mutating func crash(keepingWrite: Bool) {
        if keepingWrite, isWriting, case .store(let batch) = writes.first, !isDiskFull, !hasDeviceFailed,
            batch.before == end.position
        {
            log.append(SimulatedBatch(batch))
        } else if keepingWrite, let doubtful, doubtful.before == end.position {
            log.append(doubtful)
        }
        core = nil
        incarnation += 1
        writes = []
        isWriting = false
        isRefusing = false
        memory = []
        isServing = false
        isFrozen = false
        held = []
        hasDeviceFailed = false
        doubtful = nil
    }

    /// Gives up what is not begun.
    mutating func abandonWrites() {
        let begun = isWriting ? 1 : 0
        writes = writes.prefix(begun) + writes.dropFirst(begun).filter(\.isSettling)
    }

    /// The durable state, and what was gathered behind it.
    mutating func foldWanted(_ contents: [Content]) {
        wanted = WantedActions()
        for batch in log { wanted.apply(contents[batch.content]) }
        for batch in memory { wanted.apply(contents[batch.content]) }
    }
}
