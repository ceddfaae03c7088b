import CRabbitMQ

/// Frames of AMQP 0-9-1 on their way to the socket, gathered so that many leave with one call of the kernel.
///
/// The C library writes every frame by itself, which is four calls for a reply and its acknowledgement. What
/// stands here is byte for byte what it would have written.
struct FrameBuffer {
    /// What names a routing key or an exchange is no longer: its length is one byte.
    static let nameByteMax = 255
    /// A frame's type, channel and length before it, and the mark behind it.
    private static let frameOverhead = 8
    private static let basicClass: UInt16 = 60
    private static let publishMethod: UInt16 = 40
    private static let acknowledgeMethod: UInt16 = 80

    /// What is to be written.
    private(set) var bytes: [UInt8] = []
    /// The longest frame that both sides have agreed on.
    private let frameByteMax: Int

    init(frameByteMax: Int) { self.frameByteMax = frameByteMax }

    /// Forgets what was written, and keeps the memory.
    mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    /// Forgets what stands behind the first so many bytes.
    private mutating func cut(to count: Int) { bytes.removeLast(bytes.count - count) }

    /// Adds a message: its method, its header, its body in as many frames as it takes.
    ///
    /// - Throws: if a name is too long for the protocol; nothing is added then.
    mutating func publish(_ publication: Publication, on channel: UInt16) throws(AMQPError) {
        let start = bytes.count
        do throws(AMQPError) {
            try frame(FrameType.method, channel) { frame throws(AMQPError) in
                frame.append(FrameBuffer.basicClass)
                frame.append(FrameBuffer.publishMethod)
                frame.append(0 as UInt16)
                try frame.append(name: publication.exchange)
                try frame.append(name: publication.routingKey)
                frame.bytes.append(publication.isMandatory ? 1 : 0)
            }
            try frame(FrameType.header, channel) { frame throws(AMQPError) in
                try frame.appendHeader(of: publication)
            }
        } catch {
            cut(to: start)
            throw error
        }
        var rest = publication.body[...]
        while !rest.isEmpty {
            let piece = rest.prefix(frameByteMax - FrameBuffer.frameOverhead)
            frame(FrameType.body, channel) { $0.bytes.append(contentsOf: piece) }
            rest = rest[piece.endIndex...]
        }
    }

    /// Adds an acknowledgement.
    mutating func acknowledge(_ number: UInt64, isMultiple: Bool, on channel: UInt16) {
        frame(FrameType.method, channel) { frame in
            frame.append(FrameBuffer.basicClass)
            frame.append(FrameBuffer.acknowledgeMethod)
            frame.append(number)
            frame.bytes.append(isMultiple ? 1 : 0)
        }
    }

    private mutating func appendHeader(of publication: Publication) throws(AMQPError) {
        append(FrameBuffer.basicClass)
        append(0 as UInt16)
        append(UInt64(publication.body.count))
        var flags =
            PropertyFlag.contentType | PropertyFlag.contentEncoding | PropertyFlag.deliveryMode
            | PropertyFlag.priority
        if publication.expirationMilliseconds != nil { flags |= PropertyFlag.expiration }
        append(UInt16(flags))
        try append(name: "application/json")
        try append(name: "utf-8")
        bytes.append(publication.isPersistent ? 2 : 1)
        bytes.append(0)
        if let expiration = publication.expirationMilliseconds { try append(name: String(expiration)) }
    }

    private mutating func frame<Failure: Error>(
        _ type: Int32, _ channel: UInt16, _ body: (inout FrameBuffer) throws(Failure) -> Void
    ) throws(Failure) {
        bytes.append(UInt8(type))
        append(channel)
        let place = bytes.count
        append(0 as UInt32)
        try body(&self)
        let byteCount = UInt32(bytes.count - place - 4)
        for index in 0..<4 { bytes[place + index] = UInt8(truncatingIfNeeded: byteCount >> (24 - 8 * index)) }
        bytes.append(0xCE)
    }

    private mutating func append<Number: FixedWidthInteger>(_ number: Number) {
        withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
    }

    private mutating func append(name: String) throws(AMQPError) {
        guard name.utf8.count <= FrameBuffer.nameByteMax else {
            let action = "naming \(name.prefix(40))…"
            throw AMQPError(.library(AMQP_STATUS_BAD_AMQP_DATA.rawValue), while: action)
        }
        bytes.append(UInt8(name.utf8.count))
        bytes.append(contentsOf: name.utf8)
    }
}
