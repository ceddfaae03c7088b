import EventLog
import Projections
import Registry

/// What a node's log says is archived and its own archive lacks.
struct OwedArchiving: Sendable {
    /// Ends of archived ranges, ascending; some may lie within the archive.
    private var ends: [UInt64] = []

    var isEmpty: Bool { ends.isEmpty }

    /// Takes note of what events of the log say.
    mutating func take(_ events: [PlacedEvent]) {
        for placed in events {
            guard case .logArchived(let archived) = placed.event, archived.lastPosition < placed.position,
                !ends.contains(archived.lastPosition)
            else { continue }
            ends.append(archived.lastPosition)
        }
        ends.sort()
    }

    /// Where the next segments are to end; nil if the archive, which ends there, lacks nothing.
    mutating func nextEnd(behind archivedEnd: UInt64) -> UInt64? {
        ends.removeAll { $0 <= archivedEnd }
        return ends.first
    }

    /// Nothing can be archived up to there.
    mutating func forget(_ end: UInt64) { ends.removeAll { $0 == end } }

    /// The conductor's own events of a log, from one of them back to what is archived, newest first.
    ///
    /// They are a chain, so that all others are passed over.
    static func conductorEvents(
        in log: EventLog, backFrom last: UInt64, unless isGivenUp: () -> Bool
    ) throws(EventLogError) -> [PlacedEvent] {
        let archivedEnd = try log.archivedEnd()
        var found: [PlacedEvent] = []
        var next = last
        while next > archivedEnd, !isGivenUp() {
            var previous: UInt64 = 0
            do throws(ReadError<ProjectionFault>) {
                try log.readEvents(from: next) { (event) throws(ProjectionFault) -> Bool in
                    guard event.position == next, event.envelope.stream == 0 else { return false }
                    previous = event.envelope.previousInStream
                    guard event.envelope.type != EventType.vimStatusReported.rawValue else { return false }
                    do throws(PayloadFault) { found.append(try PlacedEvent(event)) } catch {
                        throw ProjectionFault(position: next, error)
                    }
                    return false
                }
            } catch {
                switch error {
                case .log(let error): throw error
                case .body(let fault): throw fault.error(in: log)
                }
            }
            next = previous
        }
        return found
    }
}
