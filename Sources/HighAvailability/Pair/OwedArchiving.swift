import Conductor
import Registry

/// What a node's log says is archived or dropped, and is not so here.
struct OwedArchiving: Sendable {
    /// Ends of archived ranges, ascending; some may lie within the archive.
    private var ends: [UInt64] = []
    /// In the order in which they were told; some may be carried out.
    private var drops: [ToldDrop] = []

    /// Whether there may be something to do, where so much is acknowledged.
    func isDue(acknowledged: UInt64) -> Bool {
        !ends.isEmpty || drops.contains { $0.position <= acknowledged }
    }

    /// Takes note of what events of the log say.
    mutating func take(_ events: [PlacedEvent]) {
        for placed in events {
            if let drop = ToldDrop(placed), !drops.contains(drop) { drops.append(drop) }
            guard case .logArchived(let archived) = placed.event, archived.lastPosition < placed.position,
                !ends.contains(archived.lastPosition)
            else { continue }
            ends.append(archived.lastPosition)
        }
        ends.sort()
        drops.sort { $0.position < $1.position }
    }

    /// Where the next segments are to end; nil if the archive, which ends there, lacks nothing.
    mutating func nextEnd(behind archivedEnd: UInt64) -> UInt64? {
        ends.removeAll { $0 <= archivedEnd }
        return ends.first
    }

    /// Nothing can be archived up to there.
    mutating func forget(_ end: UInt64) { ends.removeAll { $0 == end } }

    /// What is to be dropped: of what is told and acknowledged the last, which takes all before it along; nil
    /// if nothing is to be, behind what is dropped already.
    mutating func nextDrop(behind droppedEnd: UInt64, acknowledged: UInt64) -> ToldDrop? {
        drops.removeAll { $0.event.lastPosition <= droppedEnd }
        return drops.last { $0.position <= acknowledged }
    }

    /// It cannot be carried out here.
    mutating func forget(_ drop: ToldDrop) { drops.removeAll { $0 == drop } }
}
