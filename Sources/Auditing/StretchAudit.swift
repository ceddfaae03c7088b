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
    /// The last position of each stream that the stretch has events of.
    var lastPositions: [(stream: UInt32, position: UInt64)] = []
    var lastPosition: UInt64 = 0
    var lastSeal = StoredBatch.SealBytes.none
    var lastTime: UInt64 = 0
    var lastEpoch: UInt64 = 0
    var batchCount: UInt64 = 0
    var eventCount: UInt64 = 0
    var byteCount: UInt64 = 0
    /// The last event that says that something was dropped.
    var drop: NotedDrop?
    /// Why the stretch was not read to its end.
    var damage: Damage?
}

/// An event that says that something was dropped, and where it stands.
struct NotedDrop: Sendable {
    var position: UInt64
    var time: UInt64
    var event: LogDropped
}

/// Reads one stretch after another: every seal, and every event on its own and against its stream.
///
/// One per worker; keeps a table of the streams' last positions, so that a stretch allocates little.
struct StretchAudit {
    private(set) var stretch = Stretch()
    private var lastPositions: [UInt64] = []

    private static let envelopeByteCount = 32
    private static let reportType = EventType.vimStatusReported.rawValue

    /// Forgets the last stretch.
    mutating func begin(after sealBefore: StoredBatch.SealBytes) {
        for arrival in stretch.arrivals { lastPositions[Int(arrival.stream)] = 0 }
        stretch = Stretch()
        stretch.lastSeal = sealBefore
    }

    /// Takes the next batch in.
    ///
    /// - Parameter isSealed: whether it brings its seal; of a segment's batches seals may be known only where
    ///   it ends.
    mutating func take(_ batch: StoredBatch, isSealed: Bool = true) throws(Damage) {
        let before = stretch.lastSeal
        if stretch.opening == nil {
            stretch.opening = (batch.firstPosition, before, batch.time, batch.epoch)
        } else {
            guard batch.firstPosition == stretch.lastPosition + 1 else {
                throw Damage(
                    at: stretch.lastPosition + 1, "the next batch begins at position \(batch.firstPosition)")
            }
            try StretchAudit.checkOrder(
                of: batch.time, batch.epoch, after: stretch.lastTime, stretch.lastEpoch,
                at: batch.firstPosition)
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

    /// Ends the stretch.
    mutating func end(_ damage: Damage?) -> Stretch {
        stretch.lastPositions = stretch.arrivals.map { ($0.stream, lastPositions[Int($0.stream)]) }
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
        let bytes = batch.events
        var offset = 0
        var position = batch.firstPosition
        let end = batch.firstPosition + batch.eventCount
        while position < end {
            guard offset + StretchAudit.envelopeByteCount <= bytes.count else {
                throw Damage(at: position, "the event ends beyond its batch")
            }
            let time = bytes.number(at: offset, UInt64.self)
            let previous = bytes.number(at: offset + 8, UInt64.self)
            let stream = bytes.number(at: offset + 16, UInt32.self)
            let payloadByteCount = Int(bytes.number(at: offset + 20, UInt32.self))
            let kind = bytes.number(at: offset + 24, UInt64.self)
            let payloadOffset = offset + StretchAudit.envelopeByteCount
            offset = payloadOffset + payloadByteCount
            guard offset <= bytes.count else {
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
            let format = UInt8(truncatingIfNeeded: kind >> 16)
            let payload = UnsafeRawBufferPointer(rebasing: bytes[payloadOffset..<offset])
            if type == StretchAudit.reportType, format == 1, payload.count == 24, stream > 0 {
                // Action id 16, status 1, verdict 1, finding 2, round trip 4.
                let (status, verdict) = (payload[16], payload[17])
                guard status == 1 || status == 2, verdict == 1 || verdict == 2 else {
                    throw Damage(at: position, "a status report with status \(status), verdict \(verdict)")
                }
            } else {
                do throws(PayloadFault) {
                    let event = try Event(type: type, format: format, payload: payload)
                    if case .logDropped(let dropped) = event {
                        stretch.drop = NotedDrop(position: position, time: time, event: dropped)
                    }
                } catch { throw Damage(at: position, error.sentence) }
            }
            position += 1
        }
        guard offset == bytes.count else {
            throw Damage(at: batch.firstPosition, "the batch has \(bytes.count - offset) bytes too many")
        }
    }

    /// The chain of the stream: each event names the one before it.
    private mutating func follow(
        stream: UInt32, previous: UInt64, position: UInt64, type: UInt16
    ) throws(Damage) {
        let index = Int(stream)
        if index >= lastPositions.count {
            // Streams are numbered in the order of their first events.
            guard UInt64(stream) <= position else {
                throw Damage(at: position, "stream \(stream) cannot be: there were fewer events")
            }
            let count = max(index + 1, lastPositions.count * 2)
            lastPositions.append(contentsOf: repeatElement(0, count: count - lastPositions.count))
        }
        let last = lastPositions[index]
        if last == 0 {
            stretch.arrivals.append(
                Stretch.Arrival(stream: stream, position: position, previous: previous, type: type))
        } else if last != previous {
            throw Damage(
                at: position,
                "the event names \(previous) as the one before it in stream \(stream), which is \(last)")
        }
        lastPositions[index] = position
    }
}
