import Foundation

/// What may be an `auth_url`.
public enum VIMURL {
    /// Why a text cannot be one.
    public enum Fault: Error, Hashable, Sendable {
        /// It is not an http or https URL with a host.
        case notHTTP
        /// It holds `user:password@`, which would be stored and shown in clear.
        case holdsCredentials
    }

    /// Looks at a text; nil if it is an http or https URL with a host and without user information.
    public static func fault(of text: String) -> Fault? {
        guard let parts = URLComponents(string: text, encodingInvalidCharacters: false),
            ["http", "https"].contains(parts.scheme?.lowercased()),
            let host = parts.host, !host.isEmpty, parts.query == nil, parts.fragment == nil,
            (1...65_535).contains(parts.port ?? 80)
        else {
            return text.contains("@") && text.contains("://") ? .holdsCredentials : .notHTTP
        }
        return parts.user == nil && parts.password == nil ? nil : .holdsCredentials
    }

    /// Whether ``fault(of:)`` finds nothing.
    public static func isUsable(_ text: String) -> Bool { fault(of: text) == nil }

    /// Where Keystone's version 3 answers: kept if the text ends so, else `/v3` is added after one slash.
    public static func keystone(_ text: String) -> String {
        if text.hasSuffix("v3") || text.hasSuffix("v3/") { return text }
        var base = Substring(text)
        while base.hasSuffix("/") { base.removeLast() }
        return base + "/v3"
    }
}
