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

    /// Walks the events in order; the body returns false to stop.
    ///
    /// False if it was stopped.
    ///
    /// - Throws: ``FormatFault`` if lengths do not add up; events before the fault were handed out.
    @inlinable
    @discardableResult
    public func forEachEvent<Failure: Error>(
        _ body: (RecordedEvent) throws(Failure) -> Bool
    ) throws(WalkError<Failure>) -> Bool {
        var offset = Format.headerByteCount
        var position = firstPosition
        for _ in 0..<header.eventCount {
            guard offset + Format.envelopeByteCount <= bytes.count else {
                throw .format(FormatFault("event \(position) ends beyond its batch"))
            }
            let envelope = Envelope(reading: bytes, at: offset)
            let payloadOffset = offset + Format.envelopeByteCount
            let end = payloadOffset + Int(envelope.payloadByteCount)
            guard end <= bytes.count else {
                throw .format(FormatFault("event \(position) ends beyond its batch"))
            }
            let payload = UnsafeRawBufferPointer(rebasing: bytes[payloadOffset..<end])
            do throws(Failure) {
                if try !body(RecordedEvent(position: position, envelope: envelope, payload: payload)) {
                    return false
                }
            } catch { throw .body(error) }
            offset = end
            position += 1
        }
        guard offset == bytes.count else {
            throw .format(FormatFault("batch \(firstPosition) has \(bytes.count - offset) bytes too many"))
        }
        return true
    }
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
