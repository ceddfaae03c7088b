/// Gathers the events of one commit, as the bytes that will be stored.
///
/// Reused from batch to batch, so that a status report costs no allocation.
public struct BatchBuilder: Sendable {
    /// The value so far, and behind it room that costs nothing to write to.
    private var bytes: [UInt8]
    /// Bytes of the batch's value so far.
    public private(set) var byteCount = Format.headerByteCount
    /// How many events it holds.
    public private(set) var eventCount = 0
    /// The position its first event will have.
    public private(set) var firstPosition: UInt64
    /// When its events happen, in microseconds since 1970.
    public private(set) var time: UInt64
    /// Nil until it is sealed.
    private(set) var sealing: Sealing?

    /// An empty batch that begins at a position, at a time.
    public init(firstPosition: UInt64, time: UInt64) {
        bytes = [UInt8](repeating: 0, count: Format.headerByteCount)
        self.firstPosition = firstPosition
        self.time = time
    }

    /// Empties it for the next commit and keeps the memory.
    public mutating func reset(firstPosition: UInt64, time: UInt64) {
        byteCount = Format.headerByteCount
        eventCount = 0
        sealing = nil
        self.firstPosition = firstPosition
        self.time = time
    }

    /// Whether nothing was added.
    public var isEmpty: Bool { eventCount == 0 }
    /// The position of the event added next.
    public var nextPosition: UInt64 { firstPosition + UInt64(eventCount) }
    /// Whether one more event of any allowed size may be added.
    public var hasRoom: Bool { eventCount < Limits.batchEventMax && byteCount < Limits.batchByteMax }

    /// Adds an event and returns its position; its payload is at most ``Limits/payloadByteMax`` bytes.
    @discardableResult
    public mutating func append(
        stream: UInt32, previousInStream: UInt64, type: UInt16, format: UInt8, payload: UnsafeRawBufferPointer
    ) -> UInt64 {
        precondition(
            payload.count <= Limits.payloadByteMax, "an event of \(payload.count) bytes was let through")
        precondition(sealing == nil, "a sealed batch takes no more events")
        let position = nextPosition
        precondition(previousInStream < position, "a stream's chain points backwards")
        let envelope = Envelope(
            time: time, previousInStream: previousInStream, stream: stream,
            payloadByteCount: UInt32(payload.count), type: type, format: format)
        let start = byteCount
        byteCount += Format.envelopeByteCount + payload.count
        if byteCount > bytes.count { bytes += repeatElement(0, count: max(byteCount, 1 << 12)) }
        bytes.withUnsafeMutableBytes { bytes in
            let event = UnsafeMutableRawBufferPointer(rebasing: bytes[start..<byteCount])
            envelope.write(to: event)
            UnsafeMutableRawBufferPointer(rebasing: event[Format.envelopeByteCount...])
                .copyMemory(from: payload)
        }
        eventCount += 1
        return position
    }

    /// Seals the batch behind a head and returns the head it will make once it is durable.
    ///
    /// `before` need not be durable yet, so that a batch may be sealed while the one before it is on its way
    /// to the disk; it must be by the time this one is appended.
    @discardableResult
    public mutating func seal(epoch: UInt64, after before: Head) -> Head {
        precondition(!isEmpty, "a batch has at least one event")
        precondition(firstPosition == before.position + 1, "positions are gapless")
        precondition(time >= before.time, "time never decreases in the log")
        precondition(epoch >= before.epoch, "the epoch never falls")
        var header = BatchHeader(
            eventCount: UInt32(eventCount), eventByteCount: UInt32(byteCount - Format.headerByteCount),
            epoch: epoch, time: time, seal: .none)
        bytes.withUnsafeMutableBytes { buffer in
            header.write(to: buffer)
            header.seal = Seal(
                closing: UnsafeRawBufferPointer(rebasing: buffer[..<byteCount]), after: before.seal)
            header.write(to: buffer)
        }
        let head = Head(position: nextPosition - 1, seal: header.seal, time: time, epoch: epoch)
        sealing = Sealing(before: before, after: head)
        return head
    }

    /// Where a sealed batch stands in the chain.
    struct Sealing: Sendable {
        var before: Head
        var after: Head
    }

    /// Hands the sealed batch to the body as readers will find it.
    public func withView<Result, Failure: Error>(
        _ body: (BatchView) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try withBytes { (bytes) throws(Failure) in
            let batch: BatchView
            do throws(FormatFault) {
                batch = try BatchView(firstPosition: firstPosition, bytes: bytes)
            } catch { preconditionFailure("a batch was sealed that cannot be read: \(error.sentence)") }
            return try body(batch)
        }
    }

    /// Hands the batch's value to the body.
    func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // withUnsafeBytes rethrows untyped, hence the detour through Result.
        let result = bytes.withUnsafeBytes { bytes in
            Swift.Result { () throws(Failure) in
                try body(UnsafeRawBufferPointer(rebasing: bytes[..<byteCount]))
            }
        }
        return try result.get()
    }
}
