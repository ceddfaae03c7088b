import AMQP
import Foundation
import Logging
import OsloMessaging
import Workflows

/// Everything `vedette worker` can be told, from flags, environment and file, checked.
struct WorkerSettings: Sendable {
    static let capacityMax = 1_000_000

    var url: BrokerURL
    var target: RPCTarget
    var capacity: Int
    var name: String
    var secret: WorkerSecret?
    var logLevel: Logger.Level

    /// What a configuration file may hold.
    static let keys =
        (BrokerFlags.keys + WorkerSecretFlags.keys + ["capacity", "log-level", "name"]).sorted()

    init(_ flags: WorkerCommand) async throws {
        let sources = try await SettingsSources(file: flags.configurationFile, keys: WorkerSettings.keys)
        guard let url = try flags.broker.url(sources) else {
            throw Failure.usage(
                "a worker needs the broker of its server: name it with --rabbitmq, or better VEDETTE_RABBITMQ"
            )
        }
        self.url = url
        target = try flags.broker.target(sources)
        capacity = try flags.capacity ?? sources.count("capacity") ?? 20_000
        guard (1...WorkerSettings.capacityMax).contains(capacity) else {
            throw Failure.usage(
                "--capacity: \(capacity) is not between 1 and \(WorkerSettings.capacityMax)")
        }
        name = try flags.name ?? sources.text("name") ?? ProcessInfo.processInfo.hostName
        guard !name.isEmpty, name.utf8.count <= 100, !name.utf8.contains(where: { $0 < 0x20 }) else {
            throw Failure.usage("--name: a name has between 1 and 100 bytes and no control characters")
        }
        secret = try flags.secret.secret(sources)
        let word = try flags.logLevel ?? sources.text("log-level") ?? "info"
        guard let level = Logger.Level(rawValue: word) else {
            let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw Failure.usage("--log-level: '\(word)' is not known; there are \(known)")
        }
        logLevel = level
    }
}
