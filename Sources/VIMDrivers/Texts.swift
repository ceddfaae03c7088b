import Encodings

/// Texts that came from a VIM, made fit for a reply or a log line.
enum Texts {
    /// So many characters of a foreign text are passed on: enough for any honest message.
    static let characterMax = 400

    /// Cuts a foreign text and takes out every secret that it may have echoed.
    static func safe(_ text: String, hiding credentials: [String: JSONValue]) -> String {
        // By scalars, not by characters: a mark set behind a secret must not hide it from us.
        var scalars = text.prefix(4 * characterMax).unicodeScalars
        for secret in secrets(in: credentials) {
            scalars.replace(secret.unicodeScalars, with: "***".unicodeScalars)
        }
        let safe = String(scalars)
        return safe.count > characterMax ? safe.prefix(characterMax) + "…" : safe
    }

    /// Values worth hiding: any text of `auth_cred` under a key that tells of a secret.
    private static func secrets(in credentials: [String: JSONValue]) -> [String] {
        credentials.compactMap { key, value in
            guard CredentialKeys.isSecret(key), let text = value.string, !text.isEmpty else { return nil }
            return text
        }
        .sorted { $0.count > $1.count }
    }
}
