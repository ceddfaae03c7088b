import Crypto
import FoundationEssentials  // base64
import Registry

/// The public half of a key that signs heads, in the form `name+hash+base64` of C2SP's signed notes.
public struct HeadVerifierKey: Hashable, Sendable, CustomStringConvertible {
    /// The key's name, usually a host's or service's: no spaces, no plus sign.
    public let name: String
    /// The 32 bytes of the Ed25519 public key.
    public let publicKey: [UInt8]

    static let ed25519: UInt8 = 1

    init(name: String, publicKey: [UInt8]) {
        self.name = name
        self.publicKey = publicKey
    }

    /// Reads `name+hash+base64`.
    public init(_ text: String) throws(NoteFault) {
        let parts = text.split(separator: "+", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let data = Data(base64Encoded: String(parts[2])), data.count == 33,
            data.first == HeadVerifierKey.ed25519
        else {
            throw NoteFault("it is no verifier key: name+hash+base64 is expected, as `audit key` prints it")
        }
        try HeadVerifierKey.check(name: String(parts[0]))
        self.init(name: String(parts[0]), publicKey: Array(data.dropFirst()))
        guard parts[1] == hashText else { throw NoteFault("the verifier key's hash does not fit the key") }
    }

    /// The first four bytes of SHA-256(name ‖ newline ‖ type ‖ public key).
    public var hash: [UInt8] {
        Array(
            SHA256.hash(data: Array(name.utf8) + [0x0A, HeadVerifierKey.ed25519] + publicKey).prefix(4))
    }

    var hashText: String { hash.hexadecimal }

    /// `name+hash+base64`.
    public var description: String {
        "\(name)+\(hashText)+\(Data([HeadVerifierKey.ed25519] + publicKey).base64EncodedString())"
    }

    /// Whether a signature of a text was made with the private half.
    func accepts(_ signature: [UInt8], of text: String) -> Bool {
        guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: publicKey) else { return false }
        return key.isValidSignature(Data(signature), for: Data(text.utf8))
    }

    static func check(name: String) throws(NoteFault) {
        let isFit = name.unicodeScalars.allSatisfy { scalar in
            scalar != "+" && !scalar.properties.isWhitespace && scalar.properties.generalCategory != .control
        }
        guard !name.isEmpty, isFit else {
            throw NoteFault("a key's name has no spaces and no '+': '\(name)'")
        }
    }
}

/// A key that signs heads, in the form `PRIVATE+KEY+name+hash+base64` of Go's notes, or an Ed25519 PEM.
public struct HeadSigningKey: Sendable {
    private let key: Curve25519.Signing.PrivateKey
    /// Its public half.
    public let verifier: HeadVerifierKey

    private static let front = "PRIVATE+KEY+"
    /// PKCS #8 of an Ed25519 key before its 32 bytes (RFC 8410, section 7).
    private static let pkcs8Front: [UInt8] = [
        0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
    ]

    /// Makes a fresh key.
    public init(name: String) throws(NoteFault) {
        try self.init(name: name, key: Curve25519.Signing.PrivateKey())
    }

    private init(name: String, key: Curve25519.Signing.PrivateKey) throws(NoteFault) {
        try HeadVerifierKey.check(name: name)
        self.key = key
        verifier = HeadVerifierKey(name: name, publicKey: Array(key.publicKey.rawRepresentation))
    }

    /// Reads a key file's text.
    ///
    /// - Parameter name: the key's name; needed for a PEM, which has none.
    public init(file text: String, name: String? = nil) throws(NoteFault) {
        let trimmed = String(text.drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
        if trimmed.hasPrefix("-----BEGIN PRIVATE KEY-----") {
            guard let name else { throw NoteFault("a PEM has no name: give one with --name") }
            let body = trimmed.split(whereSeparator: \.isNewline).filter { !$0.hasPrefix("-----") }.joined()
            guard let data = Data(base64Encoded: body), data.count == HeadSigningKey.pkcs8Front.count + 32,
                Array(data.prefix(16)) == HeadSigningKey.pkcs8Front,
                let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: data.dropFirst(16))
            else { throw NoteFault("the PEM holds no Ed25519 key (openssl genpkey -algorithm ed25519)") }
            try self.init(name: name, key: key)
            return
        }
        let parts = trimmed.dropFirst(HeadSigningKey.front.count)
            .split(separator: "+", maxSplits: 2, omittingEmptySubsequences: false)
        guard trimmed.hasPrefix(HeadSigningKey.front), parts.count == 3,
            let data = Data(base64Encoded: String(parts[2])), data.count == 33,
            data.first == HeadVerifierKey.ed25519,
            let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: data.dropFirst())
        else { throw NoteFault("it holds no signing key: make one with `vedette audit key`") }
        try self.init(name: String(parts[0]), key: key)
        guard parts[1] == verifier.hashText else { throw NoteFault("the signing key's hash does not fit it") }
        if let name, name != verifier.name {
            throw NoteFault("the key's name is '\(verifier.name)', not '\(name)'")
        }
    }

    /// The key as it is stored: one line.
    public var file: String {
        let data = Data([HeadVerifierKey.ed25519] + Array(key.rawRepresentation))
        return "\(HeadSigningKey.front)\(verifier.name)+\(verifier.hashText)+\(data.base64EncodedString())\n"
    }

    func sign(_ text: String) -> [UInt8] {
        guard let signature = try? key.signature(for: Data(text.utf8)) else {
            preconditionFailure("Ed25519 signing does not fail for a key that was made")
        }
        return Array(signature)
    }
}
