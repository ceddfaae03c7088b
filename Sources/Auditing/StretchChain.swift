import Projections
import Registry

/// Joins stretches in order: what each of them had to take for granted is checked here.
struct StretchChain {
    private(set) var position: UInt64 = 0
    private(set) var seal = StoredBatch.SealBytes.none
    private(set) var time: UInt64 = 0
    private(set) var epoch: UInt64 = 0
    private(set) var batchCount: UInt64 = 0
    private(set) var eventCount: UInt64 = 0
    private(set) var byteCount: UInt64 = 0
    /// The events that say that something was dropped.
    private(set) var drops: [NotedDrop] = []
    private var lastPositions: [UInt64] = [0]
    /// What the events make of the VIMs.
    private(set) var table = VIMTable()
    /// The same where the checkpoint stands; nil if no batch with its seal ends there.
    private(set) var tableAtCheckpoint: VIMTable?
    private let checkpoint: CheckpointPlace?

    /// Where a checkpoint says that it stands.
    struct CheckpointPlace: Sendable {
        var position: UInt64
        var seal: StoredBatch.SealBytes
    }

    /// A chain that begins with the first event, or goes on from what stands for those that were dropped.
    init(after base: StoredBase? = nil, comparing checkpoint: CheckpointPlace? = nil) {
        self.checkpoint = checkpoint
        if let base {
            (position, seal) = (base.position, base.seal)
            (time, epoch) = (base.lastTime, base.lastEpoch)
            (lastPositions, table) = (base.lastPositions, base.table)
        }
        keepTable()
    }

    private mutating func keepTable() {
        guard let checkpoint, checkpoint.position == position, checkpoint.seal == seal else { return }
        tableAtCheckpoint = table
    }

    /// Streams of VIMs, the conductor's own not counted.
    var streamCount: UInt64 { UInt64(lastPositions.count) - 1 }

    /// Takes the next stretch in, and throws the first damage of it.
    mutating func join(_ stretch: Stretch) throws(Damage) {
        if let opening = stretch.opening {
            guard opening.position == position + 1 else {
                throw Damage(at: position + 1, "the next batch begins at position \(opening.position)")
            }
            guard opening.sealBefore == seal else {
                throw Damage(
                    at: opening.position, "the seal before the batch is not the one that was checked")
            }
            if position > 0 {
                try StretchAudit.checkOrder(
                    of: opening.time, opening.epoch, after: time, epoch, at: opening.position)
            }
            for arrival in stretch.arrivals { try join(arrival) }
            for (stream, position) in stretch.excerpt.lastPositions {
                lastPositions[Int(stream)] = position
            }
            if stretch.batchCount > 0 {
                (position, seal) = (stretch.lastPosition, stretch.lastSeal)
                (time, epoch) = (stretch.lastTime, stretch.lastEpoch)
            }
            drops += stretch.drops
            batchCount += stretch.batchCount
            eventCount += stretch.eventCount
            byteCount += stretch.byteCount
        }
        if let damage = stretch.damage { throw damage }
        guard stretch.opening != nil else { return }
        do throws(ProjectionFault) { try table.apply(stretch.excerpt) } catch {
            throw Damage(at: error.position, error.sentence)
        }
        keepTable()
    }

    private mutating func join(_ arrival: Stretch.Arrival) throws(Damage) {
        let stream = Int(arrival.stream)
        if stream < lastPositions.count {
            guard lastPositions[stream] == arrival.previous else {
                throw Damage(
                    at: arrival.position,
                    "the event names \(arrival.previous) as the one before it in stream \(stream), which is "
                        + "\(lastPositions[stream])")
            }
            return
        }
        guard stream == lastPositions.count, arrival.previous == 0 else {
            throw Damage(
                at: arrival.position,
                "stream \(stream) begins where stream \(lastPositions.count) is the next to begin")
        }
        guard arrival.type == EventType.vimRegistered.rawValue else {
            throw Damage(at: arrival.position, "stream \(stream) does not begin with vim.registered")
        }
        lastPositions.append(0)
    }
}
