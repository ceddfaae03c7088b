public import Encodings

/// What a driver must know of a VIM to talk to it.
public struct VIMContact: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible {
    /// Where its identity service or API server answers; `http` or `https`, no user information.
    public var authURL: String
    /// The whole `auth_cred`, secrets in clear.
    public var credentials: [String: JSONValue]
    /// `vim_project`.
    public var project: [String: JSONValue]

    /// All parts at once.
    public init(authURL: String, credentials: [String: JSONValue], project: [String: JSONValue]) {
        self.authURL = authURL
        self.credentials = credentials
        self.project = project
    }

    /// The URL alone: so that printing one by mistake tells no secret.
    public var description: String { authURL }
    /// The URL alone.
    public var debugDescription: String { authURL }
}

/// Why a VIM was not taken.
///
/// Texts hold no secret and are bounded.
public enum VIMDriverError: Error, Hashable, Sendable {
    /// The VIM could not be reached, or does not speak as such a VIM should.
    case connection(String)
    /// The VIM refused the credentials or the project.
    case unauthorized(String)
    /// `auth_cred` cannot be used; the VIM was not contacted.
    case badCredentials(String)

    /// The text for people.
    public var message: String {
        switch self {
        case .connection(let text), .unauthorized(let text), .badCredentials(let text): text
        }
    }
}

/// Talks to one kind of VIM.
public protocol VIMDriver: Sendable {
    /// Proves the credentials against the VIM and returns `placement_attr`: what can be deployed to.
    func placement(of contact: VIMContact) async throws(VIMDriverError) -> JSONValue
}

extension VIMContact {
    /// Finds what is wrong with `auth_cred` without contacting anybody: `cert_verify`, `ssl_ca_cert`.
    public func checkCredentials() throws(VIMDriverError) {
        _ = try TLSSettings.configuration(from: credentials)
        if let value = credentials["oidc_token_url"], value != .null {
            guard let url = value.string, VIMURL.isUsable(url) else {
                throw .badCredentials("oidc_token_url must be an http or https URL without user information")
            }
        }
    }
}

extension VIMContact {
    /// Whether the VIM would be asked the same, byte by byte.
    public func isSame(as other: VIMContact) -> Bool {
        authURL.utf8.elementsEqual(other.authURL.utf8)
            && JSONValue.object(credentials).encoded == JSONValue.object(other.credentials).encoded
            && JSONValue.object(project).encoded == JSONValue.object(other.project).encoded
    }
}
