/// What of an `auth_url` a probe needs.
package struct ProbeTarget: Hashable, Sendable {
    /// Whether TLS is spoken.
    package var isSecure: Bool
    /// A name or an address; an IPv6 address without its brackets.
    package var host: String
    /// The port, given or implied by the scheme.
    package var port: UInt16
    /// The path, starting with a slash.
    package var path: String

    /// Reads an http or https URL; nil for anything else.
    ///
    /// Nil also for one that could smuggle something into a request (spaces, control characters). User
    /// information, query and fragment are left out.
    package init?(_ text: some StringProtocol) {
        guard let scheme = text.firstRange(of: "://") else { return nil }
        switch text[..<scheme.lowerBound].lowercased() {
        case "http": isSecure = false
        case "https": isSecure = true
        default: return nil
        }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        let rest = text[scheme.upperBound...]
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let path = rest[authority.endIndex...].prefix { $0 != "?" && $0 != "#" }
        self.path = path.isEmpty ? "/" : String(path)
        let address = authority.split(separator: "@", omittingEmptySubsequences: false).last ?? authority
        guard let (host, port) = ProbeTarget.split(String(address)) else { return nil }
        self.host = host
        self.port = port ?? (isSecure ? 443 : 80)
    }

    /// `host:port` as it stands in a Host header and in texts for people.
    package var hostAndPort: String { "\(bracketedHost):\(port)" }

    /// The Host header: the port only if it is not the scheme's own.
    var hostHeader: String { port == (isSecure ? 443 : 80) ? bracketedHost : hostAndPort }

    /// What tells endpoints apart: `host:port` in lower case, or the text itself if it is no usable URL.
    package static func endpoint(of authURL: String) -> String {
        ProbeTarget(authURL).map { $0.hostAndPort.lowercased() } ?? authURL
    }

    private var bracketedHost: String { host.contains(":") ? "[\(host)]" : host }

    private static func split(_ address: String) -> (host: String, port: UInt16?)? {
        let host: Substring
        let rest: Substring
        if address.hasPrefix("[") {
            guard let end = address.firstIndex(of: "]") else { return nil }
            host = address[address.index(after: address.startIndex)..<end]
            rest = address[address.index(after: end)...]
            guard host.contains(":") else { return nil }
        } else {
            host = address.prefix { $0 != ":" }
            rest = address[host.endIndex...]
        }
        guard !host.isEmpty, !host.contains("[") else { return nil }
        if rest.isEmpty || rest == ":" { return (String(host), nil) }
        guard rest.hasPrefix(":"), let port = UInt16(rest.dropFirst()), port > 0 else { return nil }
        return (String(host), port)
    }
}
