import AMQP

/// What an oslo.messaging server declares at the broker, in the way that oslo.messaging 14 and 18 do.
package struct Topology: Sendable {
    /// How long what is declared lives.
    package enum Durability: Sendable {
        /// Until the broker stops; oslo.messaging's default.
        case transient
        /// Over the broker's restart; `amqp_durable_queues`.
        case durable
        /// On several brokers; `rabbit_quorum_queue`.
        case quorum
    }

    /// So long does the broker keep a queue of one process that nobody uses: oslo.messaging's half an hour.
    static let unusedMilliseconds: Int64 = 1_800_000

    /// What is listened to.
    package var target: RPCTarget
    /// How long it lives.
    package var durability: Durability

    /// Pairs the two.
    package init(target: RPCTarget, durability: Durability) {
        self.target = target
        self.durability = durability
    }

    /// Declares everything for a server and begins to consume.
    ///
    /// What is there already with other properties is used as it is: declaring it so again would fail in the
    /// same way at every server that is told otherwise.
    /// - Parameters:
    ///   - fanoutID: 32 hexadecimal digits that name this server's own queue.
    ///   - conflict: told what was found with other properties, in the broker's words.
    /// - Returns: the consumers' tags.
    func declare(
        on connection: Connection, prefetch: UInt16, fanoutID: String, conflict: (String) -> Void
    ) throws(AMQPError) -> [String] {
        try connection.setPrefetch(prefetch)
        try declareExchange(on: connection, conflict: conflict)
        var queues = [target.topic]
        if let server = target.server { queues.append("\(target.topic).\(server)") }
        for queue in queues {
            try tolerating(conflict) { () throws(AMQPError) in
                try connection.declareQueue(
                    queue, isDurable: durability != .transient,
                    arguments: durability == .quorum ? [("x-queue-type", .text("quorum"))] : [])
            }
            try connection.bind(queue: queue, to: target.exchange, key: queue)
        }
        let fanout = "\(target.fanoutExchange)_\(fanoutID)"
        try tolerating(conflict) { () throws(AMQPError) in
            try connection.declareExchange(
                target.fanoutExchange, type: "fanout", isDurable: false, isAutoDelete: true)
        }
        try connection.declareQueue(
            fanout, isDurable: false, arguments: [("x-expires", .number(Topology.unusedMilliseconds))])
        try connection.bind(queue: fanout, to: target.fanoutExchange, key: target.topic)
        queues.append(fanout)
        for queue in queues { try connection.consume(queue, tag: queue) }
        return queues
    }

    /// Declares the topic's exchange, which whoever comes first must do, client or server.
    func declareExchange(on connection: Connection, conflict: (String) -> Void) throws(AMQPError) {
        try tolerating(conflict) { () throws(AMQPError) in
            try connection.declareExchange(
                target.exchange, type: "topic", isDurable: durability != .transient, isAutoDelete: false)
        }
    }

    private func tolerating(
        _ conflict: (String) -> Void, _ declare: () throws(AMQPError) -> Void
    ) throws(AMQPError) {
        do throws(AMQPError) { try declare() } catch {
            guard error.isInequivalent else { throw error }
            conflict(error.description)
        }
    }
}
