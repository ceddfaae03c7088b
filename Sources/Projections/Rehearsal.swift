public import EventLog
public import Registry

/// Batches that a table could take in, found out without changing it.
///
/// It costs what the batches hold, not what the table does: only the VIMs that they change stand beside it.
public struct Rehearsal {
    private var position: UInt64
    private var streamCount: Int
    private var changed: [UInt32: VIM] = [:]
    /// The conductor's own events among them, but for reports.
    public private(set) var conductorEvents: [PlacedEvent] = []

    /// Nothing was taken in beyond what the table has.
    public init(on table: borrowing VIMTable) {
        position = table.position
        streamCount = table.streamCount
    }

    /// Takes in the next batch; the table must still be the one it began with.
    ///
    /// - Throws: ``ProjectionFault`` at the first event that ``VIMTable/apply(_:upTo:)`` would not take in.
    public mutating func take(
        _ batch: BatchView, on table: borrowing VIMTable
    ) throws(ProjectionFault) {
        var events = batch.events
        while true {
            let next: RecordedEvent?
            do throws(FormatFault) { next = try events.next() } catch {
                throw ProjectionFault(position: batch.firstPosition, error.sentence)
            }
            guard let event = next else { return }
            guard event.position == position + 1 else {
                throw ProjectionFault(position: event.position, "it follows position \(position)")
            }
            try take(event, on: table)
            position = event.position
        }
    }

    private mutating func take(
        _ event: RecordedEvent, on table: borrowing VIMTable
    ) throws(ProjectionFault) {
        let (envelope, stream) = (event.envelope, event.envelope.stream)
        let isReport = envelope.type == EventType.vimStatusReported.rawValue
        let placed: PlacedEvent?
        do throws(PayloadFault) {
            // Nearly all events: of them only their own bytes can be wrong, and that there is no such VIM.
            if isReport { _ = try VIMStatusReported(format: envelope.format, payload: event.payload) }
            placed = isReport ? nil : try PlacedEvent(event)
        } catch { throw ProjectionFault(position: event.position, error) }
        guard Int(stream) <= streamCount + 1 else {
            throw ProjectionFault(
                position: event.position, "stream \(stream) skips stream \(streamCount + 1)")
        }
        guard let placed else {
            guard Int(stream) > streamCount else { return }
            throw ProjectionFault(
                position: event.position, "a report in stream \(stream), which has no VIM")
        }
        guard stream > 0 else {
            try VIMTable.expectOutsideVIMs(placed)
            return conductorEvents.append(placed)
        }
        let before = changed[stream] ?? table.vim(ofStream: stream)
        changed[stream] = try VIMTable.outcome(of: placed, on: before)
        if before == nil { streamCount += 1 }
    }
}
