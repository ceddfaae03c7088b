import AMQP
import ArgumentParser
import Foundation
import OsloMessaging
import RPCRequests

/// The options of `vedette serve` for the RabbitMQ door.
struct RPCFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Answer monitor actions over RabbitMQ: rabbit://user:password@host:5672/vhost, as OpenStack's \
            transport_url; several hosts with commas; amqps:// for TLS. Without it nothing of RabbitMQ \
            starts. Prefer VEDETTE_RABBITMQ to the flag, which other users of the machine can see.
            """, valueName: "url"))
    var rabbitmq: String?
    @Option(help: ArgumentHelp("The exchange to listen at (default: tacker).", valueName: "name"))
    var rpcExchange: String?
    @Option(help: ArgumentHelp("The topic to listen to (default: TACKER_CONDUCTOR).", valueName: "name"))
    var rpcTopic: String?
    @Option(help: ArgumentHelp("Calls under way at once, 1 to 65535 (default: 512).", valueName: "count"))
    var rpcPrefetch: Int?
    @Flag(help: "Declare exchange and queues durable; for clients with amqp_durable_queues.")
    var amqpDurable = false
    @Flag(help: "Declare the queues as quorum queues; for clients with rabbit_quorum_queue.")
    var amqpQuorum = false
    @Option(
        help: ArgumentHelp(
            "PEM file of the authorities that the broker's certificate must come from.", valueName: "file"))
    var amqpCaFile: String?
    @Option(help: ArgumentHelp("PEM file of a certificate to show the broker.", valueName: "file"))
    var amqpCertificateFile: String?
    @Option(help: ArgumentHelp("PEM file of that certificate's key.", valueName: "file"))
    var amqpKeyFile: String?
    @Flag(help: "Take update_vim without action_id, as Tacker's last release sends it.")
    var acceptReportsWithoutAction = false
}

extension RPCFlags {
    /// What a configuration file may hold of these.
    static let keys = [
        "accept-reports-without-action", "amqp-ca-file", "amqp-certificate-file", "amqp-durable",
        "amqp-key-file", "amqp-quorum", "rabbitmq", "rpc-exchange", "rpc-prefetch", "rpc-topic",
    ]

    /// The door's configuration; nil without a broker.
    func configuration(_ sources: SettingsSources) throws -> RPCDoor.Configuration? {
        guard let text = try rabbitmq ?? sources.text("rabbitmq") else {
            try refuseOthers()
            return nil
        }
        var url = try brokerURL(text)
        try addTLS(to: &url, sources)
        let (isDurable, isQuorum) = (
            try amqpDurable || sources.flag("amqp-durable"), try amqpQuorum || sources.flag("amqp-quorum")
        )
        let target = RPCTarget(
            exchange: try name(rpcExchange ?? sources.text("rpc-exchange") ?? "tacker", "--rpc-exchange"),
            topic: try name(rpcTopic ?? sources.text("rpc-topic") ?? "TACKER_CONDUCTOR", "--rpc-topic"),
            server: ProcessInfo.processInfo.hostName)
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

    private func brokerURL(_ text: String) throws -> BrokerURL {
        do throws(BrokerURL.Fault) { return try BrokerURL(text) } catch {
            throw Failure.usage("--rabbitmq: \(error.sentence)")
        }
    }

    private func addTLS(to url: inout BrokerURL, _ sources: SettingsSources) throws {
        let authority = try amqpCaFile ?? sources.text("amqp-ca-file")
        let certificate = try amqpCertificateFile ?? sources.text("amqp-certificate-file")
        let key = try amqpKeyFile ?? sources.text("amqp-key-file")
        guard authority != nil || certificate != nil || key != nil else { return }
        guard var tls = url.tls else {
            throw Failure.usage(
                "--amqp-ca-file, --amqp-certificate-file and --amqp-key-file need a URL with TLS: amqps://, "
                    + "or ?ssl=1 at the end of rabbit://")
        }
        tls.authorityFile = authority ?? tls.authorityFile
        tls.certificateFile = certificate ?? tls.certificateFile
        tls.keyFile = key ?? tls.keyFile
        for file in [tls.authorityFile, tls.certificateFile, tls.keyFile].compactMap({ $0 })
        where !FileManager.default.isReadableFile(atPath: file) {
            throw Failure.usage("\(file): there is no file that can be read")
        }
        url.tls = tls
    }

    /// The names become names of queues, which AMQP holds in one byte's length.
    private func name(_ text: String, _ flag: String) throws -> String {
        guard !text.isEmpty, text.utf8.count <= 200, !text.utf8.contains(where: { $0 < 0x20 }) else {
            throw Failure.usage("\(flag): a name has between 1 and 200 bytes and no control characters")
        }
        return text
    }

    /// An option that does nothing is a mistake, most likely a forgotten broker.
    private func refuseOthers() throws {
        let given =
            rpcExchange != nil || rpcTopic != nil || rpcPrefetch != nil || amqpDurable || amqpQuorum
            || amqpCaFile != nil || amqpCertificateFile != nil || amqpKeyFile != nil
            || acceptReportsWithoutAction
        if given {
            throw Failure.usage("the options for RabbitMQ do nothing without --rabbitmq: name a broker")
        }
    }
}
