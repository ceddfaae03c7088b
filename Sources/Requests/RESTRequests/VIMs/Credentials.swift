import Encodings
import Registry
import VIMDrivers

/// What `auth_cred` becomes on its way in.
enum Credentials {
    /// Keys that belong to logging in through an OpenID Connect provider.
    private static let openIDKeys = ["oidc_token_url", "client_id", "client_secret"]

    /// What is stored: without the keys that the server fills itself.
    static func cleaned(_ given: [String: JSONValue]) -> [String: JSONValue] {
        given.filter { !CredentialKeys.copiedKeys.contains($0.key) }
    }

    /// The stored credentials with new ones put in.
    ///
    /// One way of logging in replaces another as a whole.
    static func merged(
        stored: [String: JSONValue], given: [String: JSONValue]
    ) -> [String: JSONValue] {
        var base = stored
        let given = withoutMasks(cleaned(given), stored: stored)
        let names = Set(given.keys)
        let givesOpenID = names.contains("oidc_token_url")
        if givesOpenID {
            base["bearer_token"] = nil
        } else if names.contains("bearer_token") {
            for key in openIDKeys + ["username", "password"] { base[key] = nil }
        } else if names.isSuperset(of: ["username", "password"]) {
            for key in openIDKeys + ["bearer_token"] { base[key] = nil }
        }
        return JSONValue.object(base).merged(with: .object(given)).object ?? [:]
    }

    /// Who sends back what a reply showed means to keep the secret, not to make `***` the password.
    private static func withoutMasks(
        _ given: [String: JSONValue], stored: [String: JSONValue]
    ) -> [String: JSONValue] {
        given.filter { key, value in
            !(value == .string(CredentialKeys.mask) && CredentialKeys.isSecret(key) && stored[key] != nil)
        }
    }

    /// Whether they hold a secret of their own and so need nothing of what was stored.
    static func areWhole(_ given: [String: JSONValue]) -> Bool {
        ["password", "bearer_token", "client_secret"].contains { key in
            guard let text = given[key]?.string else { return false }
            return !text.isEmpty && text != CredentialKeys.mask
        }
    }

    /// Both forms of one document: whole, and fit to be shown.
    static func plain(_ credentials: [String: JSONValue]) -> PlainCredentials {
        PlainCredentials(
            whole: JSONValue.object(credentials).text,
            masked: JSONValue.object(CredentialKeys.masked(credentials)).text)
    }

    /// Faults that need no VIM to be seen, so that a deferred check lets none of them pass either.
    static func check(_ credentials: [String: JSONValue]) throws(APIError) {
        do {
            try VIMContact(authURL: "", credentials: credentials, project: [:]).checkCredentials()
        } catch {
            throw APIError(error)
        }
    }
}
