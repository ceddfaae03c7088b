/// What a link has to know.
public struct PairConfiguration: Hashable, Sendable {
    /// Where this node listens for its peer.
    public var listen: PairAddress
    /// Where the peer listens.
    public var peer: PairAddress
    /// Who may listen and speak in between.
    public var security: Security
    /// When more bytes than these wait for the peer the link is dropped.
    public var waitingByteMax = WireLimits.waitingByteMax

    /// How a link is protected.
    public enum Security: Hashable, Sendable {
        /// Mutual TLS 1.3.
        case tls(PairTLSFiles)
        /// Clear text, and only between two addresses of this machine.
        case loopback
        /// Clear text: whoever reaches the port can be the peer, and whoever is in between reads everything.
        case insecure
    }

    /// All parts at once.
    public init(listen: PairAddress, peer: PairAddress, security: Security) {
        self.listen = listen
        self.peer = peer
        self.security = security
    }

    func check() throws(PairConfigurationError) {
        if security == .loopback, !listen.isLoopback || !peer.isLoopback {
            throw PairConfigurationError(
                "the pair's addresses \(listen) and \(peer) are not both on this machine's loopback: name a "
                    + "certificate, its key and their authority, or allow the link to be insecure")
        }
    }
}

/// The PEM files of mutual TLS; read when a ``PairLink`` is made.
public struct PairTLSFiles: Hashable, Sendable {
    /// This node's certificate, followed by those between it and the authority, if any.
    public var certificate: String
    /// Its private key.
    public var key: String
    /// The authority that must have signed the peer's certificate.
    ///
    /// Make one for the pair alone: whoever has a certificate of it can be the peer, since names in
    /// certificates are not looked at.
    public var authority: String

    /// All parts at once.
    public init(certificate: String, key: String, authority: String) {
        self.certificate = certificate
        self.key = key
        self.authority = authority
    }
}

/// Why a link cannot be made or cannot listen, in one sentence.
public struct PairConfigurationError: Error, Hashable, CustomStringConvertible {
    /// One sentence.
    public let description: String

    init(_ description: String) { self.description = description }
}

extension PairGreeting {
    /// What could not be put on the wire.
    func check() throws(PairConfigurationError) {
        let texts = [
            ("the pair's name", pairName), ("the program's version", programVersion),
            ("the host's name", hostName),
        ]
        for (what, text) in texts
        where text.isEmpty || text.utf8.count > WireLimits.textByteMax || !text.isPrintable {
            throw PairConfigurationError(
                "\(what) must have 1 to \(WireLimits.textByteMax) bytes and no control characters")
        }
        guard enclosure.count <= WireLimits.enclosureByteMax else {
            throw PairConfigurationError(
                "a greeting encloses \(enclosure.count) bytes; \(WireLimits.enclosureByteMax) are the most")
        }
    }
}
