public import Encodings
public import Registry

/// Which keys of `auth_cred` hold secrets.
public enum CredentialKeys {
    /// A key that contains one of these words holds a secret, whatever stands around it.
    private static let secretWords: [[UInt8]] = [
        "password", "passphrase", "adminpass", "admin_pass", "new_pass", "pswd", "passwd", "token", "secret",
        "private_key", "privatekey", "encrypted_key", "auth_key", "authkey", "api_key", "apikey",
        "access_key", "accesskey", "fernetkey", "sslkey", "credential", "cookie",
        // Tacker shows this one, encrypted; nobody needs to see it.
        "ssl_ca_cert",
    ].map { Array($0.utf8) }

    /// Whether the value of such a key is never shown.
    public static func isSecret(_ key: String) -> Bool {
        // By bytes, not by characters: a mark set behind a letter must not hide the word.
        let lower = key.lowercased().utf8.map { $0 == UInt8(ascii: "-") ? UInt8(ascii: "_") : $0 }
        return !lower.elementsEqual("oidc_token_url".utf8)
            && secretWords.contains { contains($0, in: lower) }
    }

    /// The library's own search is made for any collection, and a list of VIMs asks for each key of each.
    private static func contains(_ word: [UInt8], in key: [UInt8]) -> Bool {
        guard word.count <= key.count else { return false }
        return (0...key.count - word.count).contains { start in
            word.indices.allSatisfy { key[start + $0] == word[$0] }
        }
    }

    /// What stands in the place of a secret.
    public static let mask = "***"

    /// `auth_cred` as it may be shown: every secret replaced, objects and lists within it likewise.
    public static func masked(_ credentials: [String: JSONValue]) -> [String: JSONValue] {
        var shown = credentials
        for (key, value) in credentials { shown[key] = isSecret(key) ? .string(mask) : masked(value) }
        return shown
    }

    /// Any value as it may be shown: secrets replaced in objects and lists within it.
    public static func masked(_ value: JSONValue) -> JSONValue {
        switch value {
        case .object(let members): .object(masked(members))
        case .array(let elements): .array(elements.map(masked))
        default: value
        }
    }

    /// Keys of the shown `auth_cred` that the server fills from other attributes, as Tacker does.
    public static func copied(
        type: VIMType, authURL: String, project: [String: JSONValue]
    ) -> [String: JSONValue] {
        var copies: [String: JSONValue] = ["auth_url": .string(authURL), "key_type": "fernet_key"]
        if type == .openstack {
            copies["project_id"] = project["id"] ?? .null
            copies["project_name"] = project["name"] ?? .null
            copies["project_domain_name"] = project["project_domain_name"] ?? .null
        }
        return copies
    }

    /// Keys that ``copied(type:authURL:project:)`` may fill: given by a user, they mean nothing.
    public static let copiedKeys = [
        "auth_url", "key_type", "secret_uuid", "project_id", "project_name", "project_domain_name",
    ]
}
