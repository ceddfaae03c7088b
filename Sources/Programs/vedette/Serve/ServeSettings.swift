import Conductor
import Foundation
import HighAvailability
import Logging
import RESTRequests
import RPCRequests
import Registry
import Workflows

/// Everything `vedette serve` can be told, from flags, environment and file, checked.
struct ServeSettings: Sendable {
    var directory: String
    var host: String
    var port: Int
    var legacyStatusCodes: Bool
    var registrationCheck: RESTConfiguration.RegistrationCheck
    var masterKeyFile: String?
    var replacesMasterKey: Bool
    var monitor: MonitorSettings
    var reportInterval: Duration
    var logLevel: Logger.Level
    /// Where heads are signed and published; nil if they are not.
    var publishing: HeadPublishing?
    /// What is archived without being asked; nil if nothing is.
    var archiving: ArchivePolicy?
    /// The door for monitor actions on RabbitMQ; nil if there is none.
    var rpc: RPCDoor.Configuration?
    /// Where monitor actions run.
    var workflows: WorkflowsChoice
    /// Where Mistral is; nil if it is not named.
    var mistral: MistralSettings?
    /// What a node must know of its pair; nil for a server alone.
    var pair: NodeConfiguration?
    /// What workers must know to open credentials.
    var workerSecret: WorkerSecret?

    /// What a configuration file may hold.
    static let keys =
        ([
            "archive-after", "auth", "data-directory", "head-file", "head-interval", "head-key", "insecure",
            "legacy-status-codes",
            "listen", "log-level", "master-key-file",
            "monitor-failure-threshold", "monitor-interval", "monitor-probe", "monitor-success-threshold",
            "monitor-timeout", "registration-check", "replace-master-key", "report-interval",
        ] + RPCFlags.keys + WorkflowsFlags.keys + PairFlags.keys).sorted()

    init(_ flags: Serve) async throws {
        let sources = try await SettingsSources(file: flags.configurationFile, keys: ServeSettings.keys)
        directory =
            try flags.directory.dataDirectory ?? sources.text("data-directory") ?? DataDirectory.standard
        (host, port) = try ServeSettings.address(
            try flags.listen ?? sources.text("listen") ?? "127.0.0.1:9890")
        let auth = try flags.auth ?? sources.text("auth") ?? "none"
        guard auth == "none" else {
            throw Failure.usage("--auth: '\(auth)' is not known; 'none' is the only mode yet")
        }
        let insecure = try flags.insecure || sources.flag("insecure")
        guard insecure || ServeSettings.isLoopback(host) else {
            throw Failure.usage(
                "--listen \(host): without authentication this server listens on loopback only; name "
                    + "127.0.0.1, or add --insecure if all who can reach it may register and delete VIMs"
            )
        }
        legacyStatusCodes = try flags.legacyStatusCodes || sources.flag("legacy-status-codes")
        registrationCheck =
            try ServeSettings.choice(
                try flags.registrationCheck ?? sources.text("registration-check"), "--registration-check")
            ?? .required
        masterKeyFile = try flags.masterKeyFile ?? sources.text("master-key-file")
        replacesMasterKey = try flags.replaceMasterKey || sources.flag("replace-master-key")
        monitor = MonitorSettings(
            probe: try ServeSettings.choice(
                try flags.monitorProbe ?? sources.text("monitor-probe"), "--monitor-probe"),
            intervalMilliseconds: try ServeSettings.milliseconds(
                try flags.monitorInterval ?? sources.number("monitor-interval"), "--monitor-interval"),
            timeoutMilliseconds: try ServeSettings.milliseconds(
                try flags.monitorTimeout ?? sources.number("monitor-timeout"), "--monitor-timeout"),
            failureThreshold: try ServeSettings.count(
                try flags.monitorFailureThreshold ?? sources.count("monitor-failure-threshold"),
                "--monitor-failure-threshold"),
            successThreshold: try ServeSettings.count(
                try flags.monitorSuccessThreshold ?? sources.count("monitor-success-threshold"),
                "--monitor-success-threshold"))
        if let fault = monitor.fault { throw Failure.usage("monitor defaults: \(fault)") }
        let interval = try flags.reportInterval ?? sources.number("report-interval") ?? 60
        guard interval >= 1, interval <= 60 else {
            throw Failure.usage("--report-interval: \(interval) is not between 1 and 60 seconds")
        }
        reportInterval = .milliseconds(Int64(interval * 1_000))
        publishing = try ServeSettings.publishing(flags, sources)
        archiving = try ServeSettings.archiving(
            try flags.archiveAfter ?? sources.text("archive-after") ?? "30d")
        rpc = try flags.rpc.configuration(sources)
        mistral = try flags.workflows.mistral.settings(sources)
        workflows = try flags.workflows.choice(
            sources, hasBroker: rpc != nil, hasMistral: mistral != nil)
        pair = try flags.pair.configuration(
            sources, host: host, port: port, isInsecure: insecure)
        workerSecret = try flags.workflows.secret.secret(sources)
        logLevel =
            try ServeSettings.choice(try flags.logLevel ?? sources.text("log-level"), "--log-level") ?? .info
    }

    private static func publishing(_ flags: Serve, _ sources: SettingsSources) throws -> HeadPublishing? {
        let file = try flags.headFile ?? sources.text("head-file")
        let minutes = try flags.headInterval ?? sources.number("head-interval")
        guard let path = try flags.headKey ?? sources.text("head-key") else {
            if file != nil || minutes != nil {
                throw Failure.usage("--head-file and --head-interval need a --head-key to sign with")
            }
            return nil
        }
        let interval = minutes ?? 5
        guard interval >= 0.01, interval <= 10_000 else {
            throw Failure.usage("--head-interval: \(interval) is no number of minutes")
        }
        return HeadPublishing(
            key: try HeadFiles.signingKey(path, name: nil), file: file,
            interval: .milliseconds(Int64(interval * 60_000)))
    }

    private static func archiving(_ text: String) throws -> ArchivePolicy? {
        if text == "never" { return nil }
        guard let age = Moment.age(text), age >= .seconds(1) else {
            throw Failure.usage("--archive-after: '\(text)' is no age: write 12h, 30d, or never")
        }
        return ArchivePolicy(age: age)
    }

    private static func address(_ text: String) throws -> (String, Int) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65_535).contains(port), colon != text.startIndex
        else {
            throw Failure.usage("--listen: '\(text)' is not HOST:PORT, such as 127.0.0.1:9890 or [::1]:9890")
        }
        let host = text[..<colon].trimmingCharacters(in: ["[", "]"])
        return (host, port)
    }

    private static func isLoopback(_ host: String) -> Bool {
        if host == "localhost" || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false).compactMap { UInt8($0) }
        return parts.count == 4 && parts[0] == 127 && host.filter({ $0 == "." }).count == 3
    }

    private static func choice<Choice: RawRepresentable & CaseIterable>(
        _ word: String?, _ flag: String
    ) throws -> Choice? where Choice.RawValue == String {
        guard let word else { return nil }
        guard let choice = Choice(rawValue: word) else {
            let known = Choice.allCases.map(\.rawValue).joined(separator: ", ")
            throw Failure.usage("\(flag): '\(word)' is not known; there are \(known)")
        }
        return choice
    }

    private static func milliseconds(_ seconds: Double?, _ flag: String) throws -> UInt32? {
        guard let seconds else { return nil }
        guard seconds > 0, seconds <= 1_000_000 else {
            throw Failure.usage("\(flag): \(seconds) is no number of seconds")
        }
        return UInt32((seconds * 1_000).rounded())
    }

    private static func count(_ count: Int?, _ flag: String) throws -> UInt32? {
        guard let count else { return nil }
        guard let exact = UInt32(exactly: count) else { throw Failure.usage("\(flag): \(count) is no count") }
        return exact
    }
}
