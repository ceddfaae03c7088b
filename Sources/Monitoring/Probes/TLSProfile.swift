/// How a probe speaks TLS to a VIM: what contexts are cached by.
package struct TLSProfile: Hashable, Sendable {
    /// Whether the server's certificate is verified.
    package var verifies = true
    /// The authorities to trust, PEM; nil means the system's.
    package var authorities: String?

    package init(verifies: Bool = true, authorities: String? = nil) {
        self.verifies = verifies
        self.authorities = authorities
    }

    /// The certificates in `ssl_ca_cert`, as PEM with its line breaks restored.
    ///
    /// Configuration files turn them into spaces. Nil for the words by which Tacker's clients say that there
    /// are none.
    static func authorities(in text: String?) -> String? {
        guard let text else { return nil }
        let words = text.split(whereSeparator: \.isWhitespace)
        if words.isEmpty { return nil }
        if words.count == 1, ["none", "null"].contains(words[0].lowercased()) { return nil }
        // A label's own words ("BEGIN CERTIFICATE") were torn apart with the rest: put them together again.
        var lines: [String] = []
        var isInLabel = false
        for word in words {
            if isInLabel, let last = lines.popLast() {
                lines.append("\(last) \(word)")
            } else {
                lines.append(String(word))
            }
            if word.hasPrefix("-----") { isInLabel = true }
            if word.hasSuffix("-----") { isInLabel = false }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
