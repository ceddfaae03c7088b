import FoundationEssentials
package import Registry

/// What a probe takes from a VIM's credentials.
///
/// Holds secrets: never logged.
package struct VIMAccess: Sendable, CustomStringConvertible {
    /// How TLS is spoken.
    package var tls = TLSProfile()
    /// The value of the Authorization header; nil without credentials that a probe can use.
    var authorization: String?

    /// Says nothing of what it holds, so that printing one by mistake tells nothing.
    package var description: String { "access of a VIM" }

    init() {}

    /// Reads the JSON of `auth_cred`.
    ///
    /// What cannot be read counts as not given: a monitor probes as well as it can.
    package init(_ credentials: JSONText) {
        guard
            let fields = try? JSONDecoder().decode(Fields.self, from: Data(credentials.description.utf8))
        else { return }
        tls = TLSProfile(
            verifies: fields.verifies, authorities: TLSProfile.authorities(in: fields.authorities))
        if let token = fields.token, !token.isEmpty {
            authorization = VIMAccess.headerSafe("Bearer \(token)")
        } else if fields.tokenURL == nil, let user = fields.user, let password = fields.password {
            let pair = Data("\(user):\(password)".utf8).base64EncodedString()
            authorization = "Basic \(pair)"
        }
    }

    /// A token may come with a line break at its end; anything worse cannot be one.
    private static func headerSafe(_ value: String) -> String? {
        let trimmed = value.split(whereSeparator: \.isNewline).joined()
        return trimmed.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } ? trimmed : nil
    }

    private struct Fields: Decodable {
        var verifies = true
        var authorities: String?
        var token: String?
        var tokenURL: String?
        var user: String?
        var password: String?

        enum CodingKeys: String, CodingKey {
            case verifies = "cert_verify"
            case authorities = "ssl_ca_cert"
            case token = "bearer_token"
            case tokenURL = "oidc_token_url"
            case user = "username"
            case password
        }

        /// Each field for itself: one of a wrong type does not hide the others.
        init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: CodingKeys.self)
            func text(_ key: CodingKeys) -> String? { try? fields.decode(String.self, forKey: key) }
            authorities = text(.authorities)
            token = text(.token)
            tokenURL = text(.tokenURL).flatMap { $0.isEmpty ? nil : $0 }
            user = text(.user)
            password = text(.password)
            if let flag = try? fields.decode(Bool.self, forKey: .verifies) {
                verifies = flag
            } else {
                verifies = text(.verifies)?.lowercased() != "false"
            }
        }
    }
}
