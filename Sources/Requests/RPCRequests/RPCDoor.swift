package import AMQP
package import Logging
package import OsloMessaging
package import Projections
package import Registry

/// The door for monitor actions: `update_vim` over oslo.messaging.
///
/// Each method is a file of its own and an entry in ``interface(submitter:reader:configuration:)``. A call is
/// answered when its event is durable, and its delivery is acknowledged with the answer.
package struct RPCDoor: Sendable {
    /// The interface's version: 1.0 is `update_vim` with three arguments; 1.1 lets a report say why.
    package static let version = RPCVersion(1, 1)

    /// How the door is set up.
    package struct Configuration: Sendable {
        /// The brokers.
        package var url: BrokerURL
        /// What is listened to, and how it is declared.
        package var options: RPCServer.Options
        /// Whether reports without an action id are taken, as Tacker's last release sent them.
        package var acceptsReportsWithoutAction = false

        /// A door at a broker.
        package init(url: BrokerURL, options: RPCServer.Options) {
            self.url = url
            self.options = options
        }
    }

    private let server: RPCServer

    /// A door that opens with ``run()``.
    ///
    /// - Parameter others: methods of rooms that the door does not know, such as workers'.
    package init(
        _ configuration: Configuration, submitter: any CommandSubmitter, reader: any RegistryReader,
        others: [any RPCMethod] = [], logger: Logger
    ) {
        server = RPCServer(
            configuration.url, options: configuration.options,
            interface: RPCDoor.interface(
                submitter: submitter, reader: reader,
                acceptsReportsWithoutAction: configuration.acceptsReportsWithoutAction, others: others),
            logger: logger)
    }

    /// Answers until the task is cancelled, then lets the calls under way be answered.
    package func run() async { await server.run() }

    /// Whether reports can come in now: false while the broker cannot be reached, or takes no messages.
    package var canHear: Bool { server.canHear }

    /// What has been counted since the start.
    package var statistics: ServerCore.Statistics { server.statistics }

    /// Every method the conductor answers.
    package static func interface(
        submitter: any CommandSubmitter, reader: any RegistryReader, acceptsReportsWithoutAction: Bool,
        others: [any RPCMethod] = []
    ) -> RPCInterface {
        RPCInterface(
            version: version,
            methods: [
                UpdateVIMMethod(
                    submitter: submitter, reader: reader,
                    acceptsReportsWithoutAction: acceptsReportsWithoutAction)
            ] + others)
    }
}
