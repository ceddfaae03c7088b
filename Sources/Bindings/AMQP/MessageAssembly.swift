import CRabbitMQ

/// Puts a message together from its frames: method, header, as many pieces of body as it takes.
///
/// The broker never mixes the frames of two messages on one channel; we consume on one channel.
struct MessageAssembly {
    private enum Kind {
        case delivery(tag: UInt64, isRedelivered: Bool, channel: UInt16)
        case returned(exchange: String, routingKey: String, replyCode: UInt16)
    }

    private var kind: Kind?
    private var contentType = ""
    private var contentEncoding = ""
    private var expiration: UInt64?
    private var missingByteCount: UInt64 = 0
    private var isKept = true
    private var body: [UInt8] = []

    mutating func begin(_ deliver: amqp_basic_deliver_t, _ channel: UInt16) {
        kind = .delivery(
            tag: deliver.delivery_tag, isRedelivered: deliver.redelivered != 0, channel: channel)
    }

    mutating func begin(_ returned: amqp_basic_return_t) {
        kind = .returned(
            exchange: String(returned.exchange), routingKey: String(returned.routing_key),
            replyCode: returned.reply_code)
    }

    mutating func takeHeader(
        _ header: amqp_frame_t.__Unnamed_union_payload.__Unnamed_struct_properties, connection: UInt64
    ) -> Connection.Event? {
        missingByteCount = header.body_size
        isKept = header.body_size <= UInt64(Connection.bodyByteMax)
        body = []
        if isKept { body.reserveCapacity(Int(header.body_size)) }
        (contentType, contentEncoding, expiration) = ("", "", nil)
        if let decoded = header.decoded {
            let properties = decoded.assumingMemoryBound(to: amqp_basic_properties_t.self).pointee
            let flags = properties._flags
            if flags & PropertyFlag.contentType != 0 {
                contentType = String(properties.content_type, usually: "application/json")
            }
            if flags & PropertyFlag.contentEncoding != 0 {
                contentEncoding = String(properties.content_encoding, usually: "utf-8")
            }
            if flags & PropertyFlag.expiration != 0 { expiration = UInt64(String(properties.expiration)) }
        }
        return missingByteCount == 0 ? finish(connection) : nil
    }

    mutating func takeBody(_ piece: amqp_bytes_t, connection: UInt64) -> Connection.Event? {
        missingByteCount -= min(missingByteCount, UInt64(piece.len))
        if isKept { body.append(contentsOf: UnsafeRawBufferPointer(start: piece.bytes, count: piece.len)) }
        return missingByteCount == 0 ? finish(connection) : nil
    }

    private mutating func finish(_ connection: UInt64) -> Connection.Event? {
        defer {
            kind = nil
            body = []
        }
        switch kind {
        case .delivery(let number, let isRedelivered, let channel):
            return .delivery(
                Delivery(
                    tag: DeliveryTag(number: number, connection: connection, channel: channel),
                    isRedelivered: isRedelivered, contentType: contentType, contentEncoding: contentEncoding,
                    expirationMilliseconds: expiration, body: isKept ? body : nil))
        case .returned(let exchange, let routingKey, let replyCode):
            return .returned(
                ReturnedMessage(
                    exchange: exchange, routingKey: routingKey, replyCode: replyCode,
                    body: isKept ? body : nil))
        case nil: return nil
        }
    }
}
