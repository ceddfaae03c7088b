/// A stored batch, pointing into the file.
///
/// Valid only inside the closure it was handed to.
public struct BatchView {
    /// The position of its first event.
    public let firstPosition: UInt64
    /// Its front.
    public let header: BatchHeader
    /// The whole value, header included.
    public let bytes: UnsafeRawBufferPointer

    /// Checks the front of a batch's value.
    public init(firstPosition: UInt64, bytes: UnsafeRawBufferPointer) throws(FormatFault) {
        self.firstPosition = firstPosition
        self.bytes = bytes
        header = try BatchHeader(reading: bytes)
        guard firstPosition > 0, firstPosition <= UInt64.max - UInt64(header.eventCount) else {
            throw FormatFault("no batch can begin at position \(firstPosition)")
        }
    }

    /// The position of its last event.
    public var lastPosition: UInt64 { firstPosition + UInt64(header.eventCount) - 1 }

    /// The seal its bytes deserve after the seal before it; compare it with the header's.
    public func computedSeal(after previous: Seal) -> Seal { Seal(closing: bytes, after: previous) }

    /// The events in order, one call after the other.
    @inlinable
    public var events: BatchEvents { BatchEvents(self) }

    /// Walks the events in order; the body returns false to stop.
    ///
    /// False if it was stopped.
    ///
    /// - Throws: ``FormatFault`` if lengths do not add up; events before the fault were handed out.
    @inlinable
    @inline(__always)  // a call through a closure would cost more than an event's decoding
    @discardableResult
    public func forEachEvent<Failure: Error>(
        _ body: (RecordedEvent) throws(Failure) -> Bool
    ) throws(WalkError<Failure>) -> Bool {
        var events = events
        while true {
            let next: RecordedEvent?
            do throws(FormatFault) { next = try events.next() } catch { throw .format(error) }
            guard let event = next else { return true }
            do throws(Failure) { if try !body(event) { return false } } catch { throw .body(error) }
        }
    }
}

/// The events of one batch, taken one after the other.
///
/// Valid only as long as the batch is. A loop over it needs no closure, which is what makes replay fast.
public struct BatchEvents {
    @usableFromInline let bytes: UnsafeRawBufferPointer
    @usableFromInline let end: UInt64
    @usableFromInline var position: UInt64
    @usableFromInline var offset = Format.headerByteCount

    @inlinable
    init(_ batch: BatchView) {
        bytes = batch.bytes
        position = batch.firstPosition
        end = batch.firstPosition + UInt64(batch.header.eventCount)
    }

    /// The next event; nil after the last.
    ///
    /// - Throws: ``FormatFault`` if lengths do not add up.
    @inlinable
    @inline(__always)
    public mutating func next() throws(FormatFault) -> RecordedEvent? {
        guard position < end else {
            guard offset == bytes.count else { throw excess }
            return nil
        }
        let payloadOffset = offset + Format.envelopeByteCount
        guard payloadOffset <= bytes.count else { throw shortage }
        let envelope = Envelope(reading: bytes, at: offset)
        let next = payloadOffset + Int(envelope.payloadByteCount)
        guard next <= bytes.count else { throw shortage }
        defer {
            offset = next
            position += 1
        }
        return RecordedEvent(
            position: position, envelope: envelope,
            payload: UnsafeRawBufferPointer(rebasing: bytes[payloadOffset..<next]))
    }

    @usableFromInline
    var shortage: FormatFault { FormatFault("event \(position) ends beyond its batch") }

    @usableFromInline
    var excess: FormatFault { FormatFault("the batch has \(bytes.count - offset) bytes too many") }
}

/// An event as it lies in the log.
///
/// Valid only inside the closure it was handed to.
public struct RecordedEvent {
    /// Its gapless place in the log, from 1.
    public let position: UInt64
    /// Its fixed front.
    public let envelope: Envelope
    /// Its payload, pointing into the file.
    public let payload: UnsafeRawBufferPointer

    /// All parts at once.
    @inlinable
    public init(position: UInt64, envelope: Envelope, payload: UnsafeRawBufferPointer) {
        self.position = position
        self.envelope = envelope
        self.payload = payload
    }
}

/// Why a walk ended early.
public enum WalkError<Failure: Error>: Error {
    /// The bytes are not a batch.
    case format(FormatFault)
    /// The body threw.
    case body(Failure)
}
