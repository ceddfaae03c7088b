import Projections
import Registry

/// Reads one stretch after another: every seal, and every event on its own and against its stream.
///
/// One per worker; keeps a table of where the streams stand, so that a stretch allocates little.
struct StretchAudit {
    private(set) var stretch = Stretch()
    /// Where a stretch must end, so that the state there can be looked at.
    private let cut: UInt64?
    /// What lies before the cut, if the stretch goes on behind it.
    private var beforeCut: Stretch?
    private var streams: [StreamPlace] = []

    /// A stream within the stretch.
    private struct StreamPlace {
        /// Its last event; 0 if it has none here.
        var last: UInt64 = 0
        /// Its last accepted report, if only more reports followed: the time and the payload's last 8 bytes.
        var time: UInt64 = 0
        var claim: UInt64 = 0
    }

    /// Where a walk through a batch has come to.
    private struct Place {
        var position: UInt64
        var offset = 0
    }

    private static let envelopeByteCount = 32
    private static let reportType = EventType.vimStatusReported.rawValue
    private static let reportByteCount = 24
    /// The last 8 bytes of a report's envelope: its type 2, format 1, and what is reserved.
    private static let reportKind = UInt64(reportType) | 1 << 16

    /// - Parameter cut: a position behind which another stretch begins.
    init(cut: UInt64? = nil) { self.cut = cut }

    /// Forgets the last stretch.
    mutating func begin(after sealBefore: StoredBatch.SealBytes) {
        beforeCut = nil
        goOn(after: sealBefore)
    }

    private mutating func goOn(after sealBefore: StoredBatch.SealBytes) {
        for arrival in stretch.arrivals { streams[Int(arrival.stream)] = StreamPlace() }
        stretch = Stretch()
        stretch.lastSeal = sealBefore
    }

    /// Takes the next batch in.
    ///
    /// - Parameter isSealed: whether it brings its seal; of a segment's batches seals may be known only where
    ///   it ends.
    mutating func take(_ batch: StoredBatch, isSealed: Bool = true) throws(Damage) {
        let before = stretch.lastSeal
        if stretch.opening != nil {
            guard batch.firstPosition == stretch.lastPosition + 1 else {
                throw Damage(
                    at: stretch.lastPosition + 1, "the next batch begins at position \(batch.firstPosition)")
            }
            try StretchAudit.checkOrder(
                of: batch.time, batch.epoch, after: stretch.lastTime, stretch.lastEpoch,
                at: batch.firstPosition)
            if stretch.lastPosition == cut {
                beforeCut = finished(nil)
                goOn(after: before)
            }
        }
        if stretch.opening == nil {
            stretch.opening = (batch.firstPosition, before, batch.time, batch.epoch)
        }
        let seal = batch.computedSeal(after: before)
        guard seal == batch.seal || !isSealed else {
            throw Damage(at: batch.firstPosition, "the batch does not match its seal")
        }
        try checkEvents(of: batch)
        stretch.lastPosition = batch.lastPosition
        stretch.lastSeal = seal
        stretch.lastTime = batch.time
        stretch.lastEpoch = batch.epoch
        stretch.batchCount += 1
        stretch.eventCount += batch.eventCount
        stretch.byteCount += UInt64(batch.bytes.count)
    }

    /// Ends the stretch; two are returned if the cut lies within it.
    mutating func end(_ damage: Damage?) -> [Stretch] {
        let last = finished(damage)
        return beforeCut.map { [$0, last] } ?? [last]
    }

    private func finished(_ damage: Damage?) -> Stretch {
        var stretch = stretch
        for arrival in stretch.arrivals {
            let place = streams[Int(arrival.stream)]
            if place.claim != 0 { stretch.excerpt.add(StretchAudit.report(in: arrival.stream, place)) }
            stretch.excerpt.end(arrival.stream, at: place.last)
        }
        stretch.excerpt.lastPosition = stretch.lastPosition
        stretch.damage = damage
        return stretch
    }

    static func checkOrder(
        of time: UInt64, _ epoch: UInt64, after lastTime: UInt64, _ lastEpoch: UInt64, at position: UInt64
    ) throws(Damage) {
        guard time > lastTime else {
            throw Damage(
                at: position, "the batch's time \(time) is not later than the one before, \(lastTime)")
        }
        guard epoch >= lastEpoch else {
            throw Damage(at: position, "epoch \(epoch) follows epoch \(lastEpoch)")
        }
    }

    private mutating func checkEvents(of batch: StoredBatch) throws(Damage) {
        let end = batch.firstPosition + batch.eventCount
        var place = Place(position: batch.firstPosition)
        while true {
            passReports(of: batch, &place)
            guard place.position < end else { break }
            try checkEvent(of: batch, &place)
        }
        guard place.offset == batch.events.count else {
            throw Damage(
                at: batch.firstPosition, "the batch has \(batch.events.count - place.offset) bytes too many")
        }
    }

    /// Walks over reports that are all right and say what their VIM's last one said, nearly all of a log:
    /// a loop without a call.
    ///
    /// Stops before anything else, which ``checkEvent(of:_:)`` looks at.
    private mutating func passReports(of batch: StoredBatch, _ place: inout Place) {
        let bytes = batch.events
        let end = batch.firstPosition + batch.eventCount
        let eventByteCount = StretchAudit.envelopeByteCount + StretchAudit.reportByteCount
        var (position, offset) = (place.position, place.offset)
        streams.withUnsafeMutableBufferPointer { streams in
            while position < end, offset + eventByteCount <= bytes.count {
                let previous = bytes.number(at: offset + 8, UInt64.self)
                let streamAndByteCount = bytes.number(at: offset + 16, UInt64.self)
                let stream = Int(UInt32(truncatingIfNeeded: streamAndByteCount))
                let claim = bytes.number(at: offset + 48, UInt64.self)
                guard bytes.number(at: offset, UInt64.self) == batch.time,
                    streamAndByteCount >> 32 == UInt64(StretchAudit.reportByteCount),
                    bytes.number(at: offset + 24, UInt64.self) == StretchAudit.reportKind,
                    stream < streams.count, previous != 0, streams[stream].last == previous,
                    // The same status, and accepted: nothing else is kept, and nothing is 0.
                    claim & 0xFFFF != 0, (claim ^ streams[stream].claim) & 0xFFFF == 0
                else { break }
                streams[stream] = StreamPlace(last: position, time: batch.time, claim: claim)
                position += 1
                offset += eventByteCount
            }
        }
        place = Place(position: position, offset: offset)
    }

    /// Checks the next event, whatever it is.
    private mutating func checkEvent(of batch: StoredBatch, _ place: inout Place) throws(Damage) {
        let (bytes, offset, position) = (batch.events, place.offset, place.position)
        let payloadOffset = offset + StretchAudit.envelopeByteCount
        guard payloadOffset <= bytes.count else {
            throw Damage(at: position, "the event ends beyond its batch")
        }
        let time = bytes.number(at: offset, UInt64.self)
        let previous = bytes.number(at: offset + 8, UInt64.self)
        let stream = bytes.number(at: offset + 16, UInt32.self)
        let kind = bytes.number(at: offset + 24, UInt64.self)
        let end = payloadOffset + Int(bytes.number(at: offset + 20, UInt32.self))
        guard end <= bytes.count else {
            throw Damage(at: position, "the event's payload ends beyond its batch")
        }
        guard time == batch.time else {
            throw Damage(at: position, "the event's time \(time) is not its batch's, \(batch.time)")
        }
        // Type 2, format 1, and five bytes that nothing uses yet.
        guard kind >> 24 == 0 else {
            throw Damage(at: position, "reserved bytes of the event's envelope are not zero")
        }
        let type = UInt16(truncatingIfNeeded: kind)
        try follow(stream: stream, previous: previous, position: position, type: type)
        let payload = UnsafeRawBufferPointer(rebasing: bytes[payloadOffset..<end])
        if kind == StretchAudit.reportKind, payload.count == StretchAudit.reportByteCount, stream > 0 {
            // Action id 16, status 1, verdict 1, finding 2, round trip 4.
            let (status, verdict) = (payload[16], payload[17])
            guard status == 1 || status == 2, verdict == 1 || verdict == 2 else {
                throw Damage(at: position, "a status report with status \(status), verdict \(verdict)")
            }
            fold(payload.number(at: 16, UInt64.self), stream: stream, position: position, time: time)
        } else {
            let event: Event
            do throws(PayloadFault) {
                event = try Event(type: type, format: UInt8(truncatingIfNeeded: kind >> 16), payload: payload)
            } catch { throw Damage(at: position, error.sentence) }
            fold(event, payload, stream: stream, position: position, time: time)
        }
        place = Place(position: position + 1, offset: end)
    }

    /// The chain of the stream: each event names the one before it.
    private mutating func follow(
        stream: UInt32, previous: UInt64, position: UInt64, type: UInt16
    ) throws(Damage) {
        let index = Int(stream)
        if index >= streams.count {
            // Streams are numbered in the order of their first events.
            guard UInt64(stream) <= position else {
                throw Damage(at: position, "stream \(stream) cannot be: there were fewer events")
            }
            let count = max(index + 1, streams.count * 2)
            streams.append(contentsOf: repeatElement(StreamPlace(), count: count - streams.count))
        }
        let last = streams[index].last
        if last == 0 {
            stretch.arrivals.append(
                Stretch.Arrival(stream: stream, position: position, previous: previous, type: type))
        } else if last != previous {
            throw Damage(
                at: position,
                "the event names \(previous) as the one before it in stream \(stream), which is \(last)")
        }
        streams[index].last = position
    }

    /// A report's last 8 bytes; what it says matters if it was accepted.
    private mutating func fold(_ claim: UInt64, stream: UInt32, position: UInt64, time: UInt64) {
        guard claim >> 8 & 0xFF == 1 else { return }
        let isNews = (claim ^ streams[Int(stream)].claim) & 0xFF != 0
        streams[Int(stream)].time = time
        streams[Int(stream)].claim = claim
        if isNews { stretch.excerpt.add(StretchAudit.report(in: stream, streams[Int(stream)])) }
    }

    private mutating func fold(
        _ event: Event, _ payload: UnsafeRawBufferPointer, stream: UInt32, position: UInt64, time: UInt64
    ) {
        if case .vimStatusReported = event {
            if stream > 0 {
                fold(payload.number(at: 16, UInt64.self), stream: stream, position: position, time: time)
            }
            return
        }
        if case .logDropped(let dropped) = event {
            stretch.drops.append(NotedDrop(position: position, time: time, event: dropped))
        }
        let place = streams[Int(stream)]
        if place.claim != 0 {
            stretch.excerpt.add(StretchAudit.report(in: stream, place))
            streams[Int(stream)].claim = 0
        }
        stretch.excerpt.add(
            PlacedEvent(
                position: position, time: Timestamp(microseconds: time), stream: stream, event: event))
    }

    private static func report(in stream: UInt32, _ place: StreamPlace) -> Excerpt.Report {
        Excerpt.Report(
            stream: stream, position: place.last, time: Timestamp(microseconds: place.time),
            status: place.claim & 0xFF == 1 ? .reachable : .unreachable,
            finding: ProbeFinding(
                packed: UInt16(truncatingIfNeeded: place.claim >> 16),
                roundTripMicroseconds: UInt32(truncatingIfNeeded: place.claim >> 32)))
    }
}
