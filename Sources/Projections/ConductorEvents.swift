public import EventLog
public import Registry

extension EventLog {
    /// The conductor's own events but for reports, from one of them back to a position, newest first.
    ///
    /// They are a chain, so that all others are passed over.
    ///
    /// - Parameters:
    ///   - last: the position of the newest.
    ///   - start: events up to there are not wanted.
    public func conductorEvents(
        from last: UInt64, behind start: UInt64, unless isGivenUp: () -> Bool = { false }
    ) throws(EventLogError) -> [PlacedEvent] {
        var found: [PlacedEvent] = []
        var next = last
        while next > start, !isGivenUp() {
            var previous: UInt64 = 0
            do throws(ReadError<ProjectionFault>) {
                try readEvents(from: next) { (event) throws(ProjectionFault) -> Bool in
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
                case .body(let fault): throw fault.error(in: self)
                }
            }
            next = previous
        }
        return found
    }
}
