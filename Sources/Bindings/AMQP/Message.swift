/// Names a delivery on its channel and connection; acknowledged on another one it would mean another message.
package struct DeliveryTag: Hashable, Sendable {
    /// The broker's number, from 1, on its channel.
    package let number: UInt64
    /// Which connection of its session, from 1.
    package let connection: UInt64
    /// Which channel of the connection.
    package let channel: UInt16

    /// Names one; made by a connection, or by a test.
    package init(number: UInt64, connection: UInt64, channel: UInt16 = 1) {
        self.number = number
        self.connection = connection
        self.channel = channel
    }
}

/// A message that a consumer got.
package struct Delivery: Sendable {
    /// What to acknowledge.
    package var tag: DeliveryTag
    /// Whether somebody got it before and did not acknowledge it.
    package var isRedelivered: Bool
    /// Of what type the body says it is; empty if it does not say.
    package var contentType: String
    /// How the body's text is encoded; empty if it does not say.
    package var contentEncoding: String
    /// After how many milliseconds the sender no longer cares; nil if never.
    package var expirationMilliseconds: UInt64?
    /// The body; nil if it was larger than ``Connection/bodyByteMax``.
    package var body: [UInt8]?

    /// All parts at once.
    package init(
        tag: DeliveryTag, isRedelivered: Bool = false, contentType: String = "application/json",
        contentEncoding: String = "utf-8", expirationMilliseconds: UInt64? = nil, body: [UInt8]?
    ) {
        self.tag = tag
        self.isRedelivered = isRedelivered
        self.contentType = contentType
        self.contentEncoding = contentEncoding
        self.expirationMilliseconds = expirationMilliseconds
        self.body = body
    }
}

/// A message to publish.
package struct Publication: Hashable, Sendable {
    /// The exchange; empty is the default one, which knows every queue by its name.
    package var exchange: String
    /// The routing key.
    package var routingKey: String
    /// Whether the broker gives it back if no queue takes it.
    package var isMandatory: Bool
    /// Whether a durable queue keeps it over the broker's restart.
    package var isPersistent: Bool
    /// After how many milliseconds the broker may drop it; nil if never.
    package var expirationMilliseconds: UInt64?
    /// The body, JSON in UTF-8.
    package var body: [UInt8]

    /// All parts at once.
    package init(
        exchange: String, routingKey: String, isMandatory: Bool = false, isPersistent: Bool = false,
        expirationMilliseconds: UInt64? = nil, body: [UInt8]
    ) {
        self.exchange = exchange
        self.routingKey = routingKey
        self.isMandatory = isMandatory
        self.isPersistent = isPersistent
        self.expirationMilliseconds = expirationMilliseconds
        self.body = body
    }
}

/// A mandatory message that no queue took.
package struct ReturnedMessage: Sendable {
    /// Where it was to go.
    package var exchange: String
    /// Where it was to go.
    package var routingKey: String
    /// The broker's reason; 312 is NO_ROUTE.
    package var replyCode: UInt16
    /// Its body; nil if it was larger than ``Connection/bodyByteMax``.
    package var body: [UInt8]?

    /// All parts at once.
    package init(exchange: String, routingKey: String, replyCode: UInt16, body: [UInt8]?) {
        self.exchange = exchange
        self.routingKey = routingKey
        self.replyCode = replyCode
        self.body = body
    }
}
