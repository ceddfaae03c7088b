/// Gathers the events of one commit, as the bytes that will be stored.
///
/// Reused from batch to batch, so that a status report costs no allocation.
public struct BatchBuilder: Sendable {
    private var bytes: [UInt8]
    /// How many events it holds.
    public private(set) var eventCount = 0
    /// The position its first event will have.
    public private(set) var firstPosition: UInt64
    /// When its events happen, in microseconds since 1970.
    public private(set) var time: UInt64

    /// An empty batch that begins at a position, at a time.
    public init(firstPosition: UInt64, time: UInt64) {
        bytes = [UInt8](repeating: 0, count: Format.headerByteCount)
        self.firstPosition = firstPosition
        self.time = time
    }

    /// Empties it for the next commit and keeps the memory.
    public mutating func reset(firstPosition: UInt64, time: UInt64) {
        bytes.removeSubrange(Format.headerByteCount...)
        eventCount = 0
        self.firstPosition = firstPosition
        self.time = time
    }

    /// Whether nothing was added.
    public var isEmpty: Bool { eventCount == 0 }
    /// Bytes of the batch's value so far.
    public var byteCount: Int { bytes.count }
    /// The position of the event added next.
    public var nextPosition: UInt64 { firstPosition + UInt64(eventCount) }
    /// Whether one more event of any allowed size may be added.
    public var hasRoom: Bool { eventCount < Limits.batchEventMax && bytes.count < Limits.batchByteMax }

    /// Adds an event and returns its position; its payload is at most ``Limits/payloadByteMax`` bytes.
    @discardableResult
    public mutating func append(
        stream: UInt32, previousInStream: UInt64, type: UInt16, format: UInt8, payload: UnsafeRawBufferPointer
    ) -> UInt64 {
        precondition(
            payload.count <= Limits.payloadByteMax, "an event of \(payload.count) bytes was let through")
        let position = nextPosition
        precondition(previousInStream < position, "a stream's chain points backwards")
        let envelope = Envelope(
            time: time, previousInStream: previousInStream, stream: stream,
            payloadByteCount: UInt32(payload.count), type: type, format: format)
        withUnsafeTemporaryAllocation(byteCount: Format.envelopeByteCount, alignment: 8) { buffer in
            envelope.write(to: buffer)
            bytes.append(contentsOf: buffer)
        }
        bytes.append(contentsOf: payload)
        eventCount += 1
        return position
    }

    /// Closes the batch after the seal before it, and hands its final bytes to the body.
    mutating func close<Result, Failure: Error>(
        epoch: UInt64, after previous: Seal,
        _ body: (UnsafeRawBufferPointer, Seal) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        precondition(!isEmpty, "a batch has at least one event")
        var header = BatchHeader(
            eventCount: UInt32(eventCount), eventByteCount: UInt32(bytes.count - Format.headerByteCount),
            epoch: epoch, time: time, seal: .none)
        let result = bytes.withUnsafeMutableBytes { buffer in
            header.write(to: buffer)
            header.seal = Seal(closing: UnsafeRawBufferPointer(buffer), after: previous)
            header.write(to: buffer)
            return Swift.Result { () throws(Failure) in try body(UnsafeRawBufferPointer(buffer), header.seal)
            }
        }
        return try result.get()
    }
}
