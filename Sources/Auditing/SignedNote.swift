import Crypto
import FoundationEssentials  // base64

/// A text with signatures, in the form of C2SP (https://c2sp.org/signed-note).
///
/// The text ends with a line end; after an empty line stand signature lines: an em dash, the key's name, and
/// base64 of the key's four hash bytes and the signature.
public struct SignedNote: Hashable, Sendable {
    /// One signature line.
    public struct Signature: Hashable, Sendable {
        /// The name of the key that made it.
        public var keyName: String
        /// The first four bytes of SHA-256(name ‖ newline ‖ type ‖ public key).
        public var keyHash: [UInt8]
        /// What follows the hash: 64 bytes for Ed25519.
        public var bytes: [UInt8]
    }

    /// What is signed, its last line end included.
    public var text: String
    /// Who signed; a note has at least one signature.
    public var signatures: [Signature]

    /// Signs a text that ends with a line end and has no empty line before its end.
    public init(signing text: String, with key: HeadSigningKey) {
        precondition(text.hasSuffix("\n"), "a note's text ends with a line end")
        self.text = text
        signatures = [
            Signature(keyName: key.verifier.name, keyHash: key.verifier.hash, bytes: key.sign(text))
        ]
    }

    /// Reads a note.
    ///
    /// - Throws: ``NoteFault`` if it is none.
    public init(_ note: String) throws(NoteFault) {
        // Bytes, since the form is defined on them: a line end never joins with what stands before it.
        let bytes = Array(note.utf8)
        let end: [UInt8] = [0x0A, 0x0A]
        guard bytes.last == 0x0A, !bytes.contains(where: { $0 < 0x20 && $0 != 0x0A }),
            let split = (0..<max(0, bytes.count - 1)).last(where: { Array(bytes[$0...$0 + 1]) == end })
        else { throw NoteFault("it is no signed note: a text, an empty line and signatures are expected") }
        text = String(decoding: bytes[...split], as: UTF8.self)
        signatures = []
        let lines = String(decoding: bytes[(split + 2)...], as: UTF8.self)
        for line in lines.split(separator: "\n", omittingEmptySubsequences: true) {
            let parts = line.split(separator: " ", omittingEmptySubsequences: false)
            guard parts.count == 3, parts[0] == "\u{2014}", !parts[1].isEmpty,
                let data = Data(base64Encoded: String(parts[2])), data.count > 4
            else { throw NoteFault("its line '\(line)' is no signature") }
            signatures.append(
                Signature(
                    keyName: String(parts[1]), keyHash: Array(data.prefix(4)), bytes: Array(data.dropFirst(4))
                )
            )
        }
        guard !signatures.isEmpty else { throw NoteFault("it has no signature") }
    }

    /// Whether a key's signature is among those of the note, and holds.
    ///
    /// - Throws: ``NoteFault`` if the key did not sign, or its signature does not hold.
    public func check(against key: HeadVerifierKey) throws(NoteFault) {
        let own = signatures.filter { $0.keyName == key.name && $0.keyHash == key.hash }
        guard !own.isEmpty else { throw NoteFault("it is not signed by the key '\(key.name)'") }
        guard own.allSatisfy({ key.accepts($0.bytes, of: text) }) else {
            throw NoteFault("the signature of '\(key.name)' does not hold: the note was changed")
        }
    }

    /// The note as it is stored and sent.
    public var note: String {
        text + "\n"
            + signatures.map { signature in
                let data = Data(signature.keyHash + signature.bytes)
                return "\u{2014} \(signature.keyName) \(data.base64EncodedString())\n"
            }.joined()
    }
}

/// What is wrong with a note or a key: one sentence.
public struct NoteFault: Error, Hashable, Sendable {
    /// One sentence that begins with "it" or names the part.
    public let sentence: String

    init(_ sentence: String) { self.sentence = sentence }
}
