/// The version of an RPC interface, `major.minor`.
package struct RPCVersion: Hashable, Sendable, CustomStringConvertible {
    /// Callers and servers of different major versions do not understand each other.
    package var major: Int
    /// A server understands callers of its own and of every lesser minor version.
    package var minor: Int

    /// A version of its two numbers.
    package init(_ major: Int, _ minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// Reads `1.0`; nil if the text is no version.
    package init?(_ text: String) {
        guard let point = text.utf8.firstIndex(of: UInt8(ascii: ".")),
            let major = Int(text[..<point]), let minor = Int(text[text.utf8.index(after: point)...]),
            major >= 0, minor >= 0
        else { return nil }
        self.init(major, minor)
    }

    /// Whether a server of this version answers a caller that asks for another.
    package func serves(_ asked: RPCVersion) -> Bool { asked.major == major && asked.minor <= minor }

    /// The two numbers with a point between them.
    package var description: String { "\(major).\(minor)" }
}
