import AMQP

/// The queue that tickets wait in, named after the conductor's topic: both sides declare it.
enum TicketQueue {
    static func name(topic: String) -> String { "\(topic)_monitor_actions" }

    /// Durable, since brokers are about to refuse queues that are shared and not durable; nothing rests on
    /// it, for tickets are written again when nobody takes them.
    static func declare(_ name: String, on connection: Connection) throws(AMQPError) {
        do throws(AMQPError) {
            try connection.declareQueue(name, isDurable: true)
        } catch {
            // Made by an operator in another way (a quorum queue, a length limit): used as it is.
            guard error.isInequivalent else { throw error }
        }
    }
}
