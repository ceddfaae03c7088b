/// What a server listens to and a client calls.
package struct RPCTarget: Hashable, Sendable {
    /// The topic exchange; oslo.messaging's `control_exchange`.
    package var exchange: String
    /// The topic, which is also the name of the queue that all servers of it share.
    package var topic: String
    /// One server among those of the topic: the one that is meant, or the one that this is; nil for any.
    package var server: String?

    /// All parts at once.
    package init(exchange: String, topic: String, server: String? = nil) {
        self.exchange = exchange
        self.topic = topic
        self.server = server
    }

    /// The routing key of a message to it.
    package var routingKey: String { server.map { "\(topic).\($0)" } ?? topic }
    /// The exchange of a message to every server of the topic.
    package var fanoutExchange: String { "\(topic)_fanout" }
}
