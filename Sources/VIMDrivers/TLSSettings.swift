import Encodings
import NIOSSL

/// How `auth_cred` wants TLS spoken.
enum TLSSettings {
    /// Reads `cert_verify` and `ssl_ca_cert`.
    ///
    /// Without a word to the contrary the certificate is verified.
    static func configuration(
        from credentials: [String: JSONValue]
    ) throws(VIMDriverError) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        if try !verifies(credentials["cert_verify"]) {
            configuration.certificateVerification = .none
        }
        if let text = certificateText(credentials["ssl_ca_cert"]) {
            configuration.trustRoots = .certificates(try certificates(in: text))
        }
        return configuration
    }

    /// `True` and `False` in any case, or booleans.
    static func verifies(_ value: JSONValue?) throws(VIMDriverError) -> Bool {
        switch value {
        case nil: return true
        case .bool(let verify): return verify
        case .string(let text) where text.lowercased() == "true": return true
        case .string(let text) where text.lowercased() == "false": return false
        default: throw .badCredentials("cert_verify must be True or False")
        }
    }

    /// The certificates' text; nil for the words that mean none.
    private static func certificateText(_ value: JSONValue?) -> String? {
        guard let text = value?.string else { return nil }
        return ["", "None", "NONE", "null", "NULL"].contains(text) ? nil : text
    }

    private static func certificates(in text: String) throws(VIMDriverError) -> [NIOSSLCertificate] {
        do {
            let found = try NIOSSLCertificate.fromPEMBytes(Array(repaired(text).utf8))
            guard !found.isEmpty else { throw NIOSSLError.failedToLoadCertificate }
            return found
        } catch {
            throw .badCredentials("ssl_ca_cert holds no certificate in PEM form")
        }
    }

    /// Undoes what configuration files do to PEM text: line breaks that became spaces.
    static func repaired(_ text: String) -> String {
        var lines: [String] = []
        var isInside = false
        var rest = Substring(text)
        while let dashes = rest.firstRange(of: "-----") {
            let body = rest[..<dashes.lowerBound]
            if isInside { lines += body.split(whereSeparator: \.isWhitespace).map(String.init) }
            guard let end = rest[dashes.upperBound...].firstRange(of: "-----") else { break }
            let label = rest[dashes.upperBound..<end.lowerBound]
            lines.append("-----\(label.split(whereSeparator: \.isWhitespace).joined(separator: " "))-----")
            isInside = label.hasPrefix("BEGIN")
            rest = rest[end.upperBound...]
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
