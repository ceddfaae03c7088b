import AMQP
import ArgumentParser
import Foundation
import OsloMessaging

/// Where the broker and the conductor's topic are; the same for the server and for workers.
struct BrokerFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            The RabbitMQ over which monitor actions and workers reach the conductor: \
            rabbit://user:password@host:5672/vhost, as OpenStack's transport_url; several hosts with \
            commas; amqps:// for TLS. A server without it has nothing to do with RabbitMQ. Prefer \
            VEDETTE_RABBITMQ to the flag, which other users of the machine can see.
            """, valueName: "url"))
    var rabbitmq: String?
    @Option(help: ArgumentHelp("The conductor's exchange (default: tacker).", valueName: "name"))
    var rpcExchange: String?
    @Option(help: ArgumentHelp("The conductor's topic (default: TACKER_CONDUCTOR).", valueName: "name"))
    var rpcTopic: String?
    @Option(
        help: ArgumentHelp(
            "PEM file of the authorities that the broker's certificate must come from.", valueName: "file"))
    var amqpCaFile: String?
    @Option(help: ArgumentHelp("PEM file of a certificate to show the broker.", valueName: "file"))
    var amqpCertificateFile: String?
    @Option(help: ArgumentHelp("PEM file of that certificate's key.", valueName: "file"))
    var amqpKeyFile: String?
}

extension BrokerFlags {
    /// What a configuration file may hold of these.
    static let keys = [
        "amqp-ca-file", "amqp-certificate-file", "amqp-key-file", "rabbitmq", "rpc-exchange", "rpc-topic",
    ]

    /// Whether a flag was given that does nothing without a broker.
    var needsBroker: Bool {
        rpcExchange != nil || rpcTopic != nil || amqpCaFile != nil || amqpCertificateFile != nil
            || amqpKeyFile != nil
    }

    /// The brokers; nil if none is named.
    func url(_ sources: SettingsSources) throws -> BrokerURL? {
        guard let text = try rabbitmq ?? sources.text("rabbitmq") else { return nil }
        var url = try brokerURL(text)
        try addTLS(to: &url, sources)
        return url
    }

    /// The conductor's exchange and topic.
    func target(_ sources: SettingsSources) throws -> RPCTarget {
        RPCTarget(
            exchange: try name(rpcExchange ?? sources.text("rpc-exchange") ?? "tacker", "--rpc-exchange"),
            topic: try name(rpcTopic ?? sources.text("rpc-topic") ?? "TACKER_CONDUCTOR", "--rpc-topic"))
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
}
