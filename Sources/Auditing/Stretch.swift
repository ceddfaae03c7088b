import Projections
import Registry

/// What one worker found in a stretch of the log: everything that is needed to join it to its neighbours.
struct Stretch: Sendable {
    /// The first event of a stream within the stretch.
    struct Arrival: Sendable {
        var stream: UInt32
        var position: UInt64
        var previous: UInt64
        var type: UInt16
    }

    /// Where the first batch begins and what stood before it; nil if no batch begins in the stretch.
    var opening: (position: UInt64, sealBefore: StoredBatch.SealBytes, time: UInt64, epoch: UInt64)?
    var arrivals: [Arrival] = []
    /// What its events make of the VIMs.
    var excerpt = Excerpt()
    var lastPosition: UInt64 = 0
    var lastSeal = StoredBatch.SealBytes.none
    var lastTime: UInt64 = 0
    var lastEpoch: UInt64 = 0
    var batchCount: UInt64 = 0
    var eventCount: UInt64 = 0
    var byteCount: UInt64 = 0
    /// The events that say that something was dropped.
    var drops: [NotedDrop] = []
    /// Why the stretch was not read to its end.
    var damage: Damage?
}

/// An event that says that something was dropped, and where it stands.
struct NotedDrop: Sendable {
    var position: UInt64
    var time: UInt64
    var event: LogDropped
}
