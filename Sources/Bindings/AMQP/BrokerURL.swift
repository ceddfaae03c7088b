import Encodings

/// Where brokers are and how to log in, as OpenStack writes it:
/// `rabbit://user:password@host1:5672,user:password@host2:5672/vhost?ssl=1`.
///
/// `amqp://` is the same; `amqps://` means TLS. Reserved characters in a user, password or virtual host are
/// percent-encoded. A host without a user takes the one of the host before it.
package struct BrokerURL: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible {
    /// One broker of a cluster.
    package struct Host: Hashable, Sendable, CustomStringConvertible {
        /// A name or an address, an IPv6 one without brackets.
        package var name: String
        /// The TCP port.
        package var port: Int
        /// Who logs in.
        package var user: String
        /// Never shown.
        package var password: String

        /// `host:port`.
        package var description: String { name.contains(":") ? "[\(name)]:\(port)" : "\(name):\(port)" }
    }

    /// The brokers of a cluster, in the order to try them; never empty.
    package var hosts: [Host]
    /// The virtual host; `/` if the URL names none.
    package var virtualHost: String
    /// How to encrypt; nil for plain TCP.
    package var tls: BrokerTLS?
    /// Seconds between heartbeats; nil if the URL does not say.
    package var heartbeatSeconds: Int?

    /// Why a text is no broker's URL: one sentence, without the password.
    package struct Fault: Error, Hashable, Sendable {
        /// One sentence that says what to write.
        package let sentence: String
    }

    /// Reads a URL.
    package init(_ text: String) throws(Fault) {
        guard let schemeEnd = text.firstRange(of: "://") else {
            throw Fault(sentence: "a broker's URL begins with rabbit://, amqp:// or amqps://")
        }
        let scheme = text[..<schemeEnd.lowerBound].lowercased()
        guard ["rabbit", "amqp", "amqps"].contains(scheme) else {
            throw Fault(
                sentence: "'\(scheme.prefix(20))' is no broker's scheme; there are rabbit, amqp and amqps")
        }
        var rest = text[schemeEnd.upperBound...]
        var query: Substring = ""
        if let mark = rest.firstIndex(of: "?") {
            query = rest[rest.index(after: mark)...]
            rest = rest[..<mark]
        }
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        let path = rest[slash...].dropFirst()
        virtualHost = path.isEmpty ? "/" : PercentCoding.decoded(path)
        tls = scheme == "amqps" ? BrokerTLS() : nil
        hosts = []
        for option in query.split(separator: "&") { try take(option) }
        for part in rest[..<slash].split(separator: ",", omittingEmptySubsequences: false) {
            hosts.append(try BrokerURL.host(part, after: hosts.last, isTLS: tls != nil))
        }
        guard !virtualHost.utf8.contains(0), !hosts.contains(where: { $0.holdsZero }) else {
            throw Fault(sentence: "a broker's URL holds a zero byte")
        }
    }

    /// The URL with `***` for each password, fit for logs.
    package var description: String {
        let names = hosts.map { "\(PercentCoding.encoded($0.user)):***@\($0)" }.joined(separator: ",")
        let path = virtualHost == "/" ? "" : PercentCoding.encoded(virtualHost)
        return "\(tls == nil ? "amqp" : "amqps")://\(names)/\(path)"
    }

    /// The same: so that printing one by mistake tells nothing.
    package var debugDescription: String { description }

    private static func host(_ text: Substring, after last: Host?, isTLS: Bool) throws(Fault) -> Host {
        var name = text
        var (user, password) = last.map { ($0.user, $0.password) } ?? ("guest", "guest")
        if let at = text.lastIndex(of: "@") {
            let login = text[..<at]
            name = text[text.index(after: at)...]
            let colon = login.firstIndex(of: ":") ?? login.endIndex
            user = PercentCoding.decoded(login[..<colon])
            password = PercentCoding.decoded(login[colon...].dropFirst())
        }
        var port = isTLS ? 5671 : 5672
        // In [::1]:5672 the port follows the bracket.
        let bracket = name.lastIndex(of: "]") ?? name.startIndex
        if let colon = name[bracket...].lastIndex(of: ":") {
            let digits = name[name.index(after: colon)...]
            guard let number = Int(digits), (1...65_535).contains(number) else {
                throw Fault(sentence: "'\(digits.prefix(20))' in a broker's URL is no port")
            }
            port = number
            name = name[..<colon]
        }
        if name.hasPrefix("["), name.hasSuffix("]") { name = name.dropFirst().dropLast() }
        guard !name.isEmpty else { throw Fault(sentence: "a broker's URL names no host") }
        return Host(name: PercentCoding.decoded(name), port: port, user: user, password: password)
    }

    /// Takes one of the options that OpenStack or RabbitMQ write behind the question mark.
    private mutating func take(_ option: Substring) throws(Fault) {
        let equals = option.firstIndex(of: "=") ?? option.endIndex
        let name = option[..<equals]
        let value = PercentCoding.decoded(option[equals...].dropFirst())
        switch name {
        case "ssl":
            if try BrokerURL.flag(value, of: name) {
                tls = tls ?? BrokerTLS()
            } else {
                tls = nil
            }
        case "ssl_ca_file", "cacertfile": setTLS { $0.authorityFile = value }
        case "ssl_cert_file", "certfile": setTLS { $0.certificateFile = value }
        case "ssl_key_file", "keyfile": setTLS { $0.keyFile = value }
        case "verify":
            guard ["verify_peer", "verify_none"].contains(value) else {
                throw Fault(sentence: "verify in a broker's URL is verify_peer or verify_none")
            }
            setTLS { $0.verifiesBroker = value == "verify_peer" }
        case "heartbeat", "heartbeat_timeout_threshold":
            guard let seconds = Int(value), (1...3_600).contains(seconds) else {
                throw Fault(sentence: "\(name) in a broker's URL is a number of seconds from 1 to 3600")
            }
            heartbeatSeconds = seconds
        default:
            throw Fault(
                sentence: "'\(name.prefix(40))' in a broker's URL is not known; there are ssl, ssl_ca_file, "
                    + "ssl_cert_file, ssl_key_file, verify and heartbeat")
        }
    }

    /// An option of TLS asks for TLS.
    private mutating func setTLS(_ change: (inout BrokerTLS) -> Void) {
        var settings = tls ?? BrokerTLS()
        change(&settings)
        tls = settings
    }

    private static func flag(_ value: String, of name: Substring) throws(Fault) -> Bool {
        switch value.lowercased() {
        case "1", "true", "yes", "on": return true
        case "0", "false", "no", "off": return false
        default: throw Fault(sentence: "\(name) in a broker's URL is 1 or 0")
        }
    }
}

extension BrokerURL.Host {
    /// Texts go to C, which ends them at the first zero.
    fileprivate var holdsZero: Bool { [name, user, password].contains { $0.utf8.contains(0) } }
}

/// How a connection to a broker is encrypted.
package struct BrokerTLS: Hashable, Sendable {
    /// PEM file of the authorities trusted; nil means the system's.
    package var authorityFile: String?
    /// PEM file of our certificate, for brokers that want one.
    package var certificateFile: String?
    /// PEM file of its key.
    package var keyFile: String?
    /// Whether the broker's certificate must be good and name the host; true unless told otherwise.
    package var verifiesBroker = true

    /// TLS with the system's authorities and no certificate of our own.
    package init() {}
}
