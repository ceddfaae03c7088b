import ArgumentParser
import Foundation
import OsloMessaging
import RPCRequests

/// The options of `vedette serve` for the RabbitMQ door.
struct RPCFlags: ParsableArguments {
    @OptionGroup var broker: BrokerFlags
    @Option(help: ArgumentHelp("Calls under way at once, 1 to 65535 (default: 512).", valueName: "count"))
    var rpcPrefetch: Int?
    @Flag(help: "Declare exchange and queues durable; for clients with amqp_durable_queues.")
    var amqpDurable = false
    @Flag(help: "Declare the queues as quorum queues; for clients with rabbit_quorum_queue.")
    var amqpQuorum = false
    @Flag(help: "Take update_vim without action_id, as Tacker's last release sends it.")
    var acceptReportsWithoutAction = false
}

extension RPCFlags {
    /// What a configuration file may hold of these.
    static let keys =
        BrokerFlags.keys + [
            "accept-reports-without-action", "amqp-durable", "amqp-quorum", "rpc-prefetch",
        ]

    /// The door's configuration; nil without a broker.
    func configuration(_ sources: SettingsSources) throws -> RPCDoor.Configuration? {
        guard let url = try broker.url(sources) else {
            try refuseOthers()
            return nil
        }
        let (isDurable, isQuorum) = (
            try amqpDurable || sources.flag("amqp-durable"), try amqpQuorum || sources.flag("amqp-quorum")
        )
        var target = try broker.target(sources)
        target.server = ProcessInfo.processInfo.hostName
        var options = RPCServer.Options(
            topology: Topology(
                target: target, durability: isQuorum ? .quorum : isDurable ? .durable : .transient))
        if let count = try rpcPrefetch ?? sources.count("rpc-prefetch") {
            guard let exact = UInt16(exactly: count), exact > 0 else {
                throw Failure.usage("--rpc-prefetch: \(count) is not between 1 and 65535")
            }
            options.prefetch = exact
        }
        var configuration = RPCDoor.Configuration(url: url, options: options)
        configuration.acceptsReportsWithoutAction =
            try acceptReportsWithoutAction || sources.flag("accept-reports-without-action")
        return configuration
    }

    /// An option that does nothing is a mistake, most likely a forgotten broker.
    private func refuseOthers() throws {
        let given =
            broker.needsBroker || rpcPrefetch != nil || amqpDurable || amqpQuorum
            || acceptReportsWithoutAction
        if given {
            throw Failure.usage("the options for RabbitMQ do nothing without --rabbitmq: name a broker")
        }
    }
}
