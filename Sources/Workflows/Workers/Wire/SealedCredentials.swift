import Crypto
import Encodings
import FoundationEssentials  // swift-crypto takes and gives Data

/// Credentials on their way to one worker, encrypted to the key that came with its call (HPKE, RFC 9180:
/// X25519, HKDF-SHA256, ChaCha20-Poly1305).
///
/// An answer passes through a queue of the broker in clear, where whoever may look into queues, traces or the
/// broker's memory would read it. With a ``WorkerSecret`` on both sides, it also proves the worker: who can
/// use the broker but does not know the secret can neither open an answer nor put its own key into a call.
struct SealedCredentials {
    private static var suite: HPKE.Ciphersuite { .Curve25519_SHA256_ChachaPoly }
    private static let purpose = Data("vedette worker credentials 1".utf8)
    fileprivate static let secretName = Data("vedette worker secret".utf8)

    private let encapsulatedKey: Data
    private let ciphertext: Data

    init(sealing plain: [UInt8], to key: [UInt8], under secret: WorkerSecret?) throws(WireFault) {
        do {
            let key = try Curve25519.KeyAgreement.PublicKey(rawRepresentation: key)
            var sender =
                if let secret {
                    try HPKE.Sender(
                        recipientKey: key, ciphersuite: SealedCredentials.suite,
                        info: SealedCredentials.purpose, presharedKey: secret.key,
                        presharedKeyIdentifier: SealedCredentials.secretName)
                } else {
                    try HPKE.Sender(
                        recipientKey: key, ciphersuite: SealedCredentials.suite,
                        info: SealedCredentials.purpose)
                }
            encapsulatedKey = sender.encapsulatedKey
            ciphertext = try sender.seal(Data(plain))
        } catch { throw WireFault("a public_key that is none") }
    }

    func opened(with key: WorkerKey) throws(WireFault) -> [UInt8] {
        do {
            var recipient =
                if let secret = key.secret {
                    try HPKE.Recipient(
                        privateKey: key.privateKey, ciphersuite: SealedCredentials.suite,
                        info: SealedCredentials.purpose, encapsulatedKey: encapsulatedKey,
                        presharedKey: secret.key, presharedKeyIdentifier: SealedCredentials.secretName)
                } else {
                    try HPKE.Recipient(
                        privateKey: key.privateKey, ciphersuite: SealedCredentials.suite,
                        info: SealedCredentials.purpose, encapsulatedKey: encapsulatedKey)
                }
            return Array(try recipient.open(ciphertext))
        } catch {
            throw WireFault(
                "credentials that do not open: worker and conductor need the same --worker-secret-file"
            )
        }
    }

    var json: JSONValue {
        [
            "key": .string(Base64.encoded(Array(encapsulatedKey))),
            "text": .string(Base64.encoded(Array(ciphertext))),
        ]
    }

    init(json: JSONValue?) throws(WireFault) {
        guard let key = json?["key"]?.string.flatMap({ Base64.decoded($0) }),
            let text = json?["text"]?.string.flatMap({ Base64.decoded($0) })
        else { throw WireFault("credentials that are not sealed") }
        encapsulatedKey = Data(key)
        ciphertext = Data(text)
    }
}

/// What one worker opens its answers with: made when it starts, never stored.
struct WorkerKey: Sendable {
    fileprivate let privateKey = Curve25519.KeyAgreement.PrivateKey()
    fileprivate let secret: WorkerSecret?

    init(secret: WorkerSecret?) { self.secret = secret }

    var publicKey: [UInt8] { Array(privateKey.publicKey.rawRepresentation) }
}

/// What workers and conductor share besides the broker's login, if the operator gave them anything.
public struct WorkerSecret: Sendable, CustomStringConvertible {
    /// Fewer random bytes could be guessed.
    public static let byteMin = 32

    fileprivate let key: SymmetricKey

    /// Takes the secret's bytes; nil if there are fewer than ``byteMin``.
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count >= WorkerSecret.byteMin else { return nil }
        key = SymmetricKey(data: Array(bytes))
    }

    /// Says nothing of what it holds.
    public var description: String { "worker secret" }
}

enum Base64 {
    static func encoded(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }
    static func decoded(_ text: String) -> [UInt8]? { Data(base64Encoded: text).map { Array($0) } }
}
