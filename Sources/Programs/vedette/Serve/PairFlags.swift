import ArgumentParser
import EtcdClient
import Foundation
import HighAvailability
import PairWire

/// The options of `vedette serve` for one of a pair.
struct PairFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Be one of the two conductors of the pair of this name; wants --etcd and --peer.",
            valueName: "name"))
    var pair: String?
    @OptionGroup var etcd: EtcdFlags
    @Option(
        help: ArgumentHelp(
            "Where the other node listens for this one: its --pair-listen.", valueName: "host:port")
    )
    var peer: String?
    @Option(
        help: ArgumentHelp(
            "Where to listen for the other node (default: port 9891 of the host of --listen).",
            valueName: "host:port"))
    var pairListen: String?
    @Option(
        help: ArgumentHelp(
            "Where the other node reaches this one's API (default: what --listen says).",
            valueName: "host:port"))
    var advertise: String?
    @Option(
        help: ArgumentHelp(
            "Seconds without a sign of life after which a leader is replaced, 1 to 60 (default: 2).",
            valueName: "seconds"))
    var pairLease: Int?
    @Option(help: ArgumentHelp("This node's certificate for the other one, PEM.", valueName: "file"))
    var pairCertificate: String?
    @Option(help: ArgumentHelp("The key of that certificate, PEM.", valueName: "file"))
    var pairKey: String?
    @Option(
        help: ArgumentHelp("The authority that signed both nodes' certificates, PEM.", valueName: "file"))
    var pairCa: String?
}

/// How etcd is reached.
struct EtcdFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The URLs of etcd, separated by commas: http://10.0.0.1:2379,http://10.0.0.2:2379.",
            valueName: "URLs"))
    var etcd: String?
    @Option(help: ArgumentHelp("The authority that signed etcd's certificate, PEM.", valueName: "file"))
    var etcdCa: String?
    @Option(help: ArgumentHelp("A certificate to show to etcd, PEM.", valueName: "file"))
    var etcdCertificate: String?
    @Option(help: ArgumentHelp("The key of that certificate, PEM.", valueName: "file"))
    var etcdKey: String?
    @Option(help: ArgumentHelp("The user to be at etcd.", valueName: "name"))
    var etcdUser: String?
    @Option(help: ArgumentHelp("A file with that user's password.", valueName: "file"))
    var etcdPasswordFile: String?
}

extension PairFlags {
    /// What a configuration file may hold of these.
    static let keys =
        [
            "advertise", "pair", "pair-ca", "pair-certificate", "pair-key", "pair-lease", "pair-listen",
            "peer",
        ] + EtcdFlags.keys

    /// What the node must know of its pair; nil for a server alone.
    ///
    /// - Parameters:
    ///   - host: where the API listens.
    ///   - isInsecure: the operator allows clear text beyond this machine.
    func configuration(
        _ sources: SettingsSources, host: String, port: Int, isInsecure: Bool
    ) throws -> NodeConfiguration? {
        let etcd = try etcd.settings(sources)
        let peer = try peer ?? sources.text("peer")
        guard let name = try pair ?? sources.text("pair") else {
            if etcd != nil || peer != nil {
                throw Failure.usage("--etcd and --peer do nothing without --pair: name the pair")
            }
            return nil
        }
        guard !name.isEmpty, name.utf8.count <= 64,
            name.allSatisfy({ $0.isLetter || $0.isNumber || "-_.".contains($0) })
        else {
            throw Failure.usage("--pair: '\(name)' is no name: at most 64 letters, digits, '-', '_' and '.'")
        }
        guard let etcd else { throw Failure.usage("--pair wants --etcd: the URLs of etcd") }
        guard let peer else {
            throw Failure.usage("--pair wants --peer: where the other node listens, its --pair-listen")
        }
        let shown = host.contains(":") ? "[\(host)]" : host
        let listen = try pairListen ?? sources.text("pair-listen") ?? "\(shown):9891"
        let wire = PairConfiguration(
            listen: try PairFlags.address(listen, "--pair-listen"),
            peer: try PairFlags.address(peer, "--peer"),
            security: try security(sources, isInsecure))
        let advertised = try advertise ?? sources.text("advertise")
        guard advertised != nil || port > 0 else {
            throw Failure.usage("--listen: the other node must know the port, so with --pair it is not 0")
        }
        let address = advertised ?? "\(shown):\(port)"
        _ = try PairFlags.address(address, "--advertise")
        var configuration = NodeConfiguration(pair: name, address: address, etcd: etcd, wire: wire)
        if let lease = try pairLease ?? sources.count("pair-lease") {
            guard (1...60).contains(lease) else {
                throw Failure.usage("--pair-lease: \(lease) is not between 1 and 60 seconds")
            }
            configuration.lease = .seconds(lease)
        }
        return configuration
    }

    private func security(
        _ sources: SettingsSources, _ isInsecure: Bool
    ) throws -> PairConfiguration.Security {
        let files = [
            try pairCertificate ?? sources.text("pair-certificate"), try pairKey ?? sources.text("pair-key"),
            try pairCa ?? sources.text("pair-ca"),
        ].compactMap { $0 }
        switch files.count {
        case 0: return isInsecure ? .insecure : .loopback
        case 3: return .tls(PairTLSFiles(certificate: files[0], key: files[1], authority: files[2]))
        default:
            throw Failure.usage("--pair-certificate, --pair-key and --pair-ca go together: name all three")
        }
    }

    private static func address(_ text: String, _ flag: String) throws -> PairAddress {
        guard let address = PairAddress(text), address.port > 0 else {
            throw Failure.usage("\(flag): '\(text)' is not HOST:PORT, such as 10.0.0.2:9891")
        }
        return address
    }
}

extension EtcdFlags {
    static let keys = ["etcd", "etcd-ca", "etcd-certificate", "etcd-key", "etcd-password-file", "etcd-user"]

    /// How etcd is reached; nil if it is not named.
    func settings(_ sources: SettingsSources) throws -> EtcdSettings? {
        guard let text = try etcd ?? sources.text("etcd") else { return nil }
        var settings = EtcdSettings(
            endpoints: text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) })
        settings.authorities = try etcdCa ?? sources.text("etcd-ca")
        settings.certificate = try etcdCertificate ?? sources.text("etcd-certificate")
        settings.privateKey = try etcdKey ?? sources.text("etcd-key")
        let file = try etcdPasswordFile ?? sources.text("etcd-password-file")
        if let user = try etcdUser ?? sources.text("etcd-user") {
            guard let file else { throw Failure.usage("--etcd-user wants --etcd-password-file") }
            guard let password = try? String(contentsOfFile: file, encoding: .utf8) else {
                throw Failure.usage("--etcd-password-file \(file): there is no file that can be read")
            }
            settings.account = .init(user: user, password: password.trimmingCharacters(in: .newlines))
        }
        return settings
    }
}
