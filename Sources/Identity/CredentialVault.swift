import Crypto
import FoundationEssentials  // swift-crypto takes and gives Data
public import Registry

/// Encrypts credentials under a data key per VIM, and data keys under the master key (AES-256-GCM).
///
/// Data keys are stored outside the log; destroying one makes every copy of the VIM's credentials unreadable.
/// Each ciphertext is bound to its VIM: it does not open under another VIM's name.
public struct CredentialVault: Sendable {
    private let master: MasterKey

    /// A vault under a master key.
    public init(master: MasterKey) { self.master = master }

    /// A VIM's data key: in memory only for as long as it is used.
    public struct DataKey: Sendable {
        let key: SymmetricKey

        /// A fresh random key.
        public init() { key = SymmetricKey(size: .bits256) }

        init(key: SymmetricKey) { self.key = key }
    }

    /// Wraps a data key for storing: version 2, fingerprint of the master key 8, nonce 12, key 32, tag 16,
    /// checksum 8.
    ///
    /// The checksum, the first bytes of SHA-256(VIM id ‖ what stands before it), lets an auditor who has no
    /// master key find altered bytes. Version 1 is the same without it.
    public func wrap(_ dataKey: DataKey, of id: VIMID) -> [UInt8] {
        let plain = dataKey.key.withUnsafeBytes { Array($0) }
        let wrapped = [2] + master.fingerprint + seal(plain, under: master.key, purpose: "data key", id)
        return wrapped + CredentialVault.checksum(of: wrapped[...], id)
    }

    /// Unwraps a stored data key.
    public func unwrap(_ wrapped: [UInt8], of id: VIMID) throws(VaultFault) -> DataKey {
        try CredentialVault.check(wrapped, of: id)
        guard Array(wrapped[1..<9]) == master.fingerprint else { throw .otherMasterKey }
        let plain = try open(Array(wrapped[9..<69]), under: master.key, purpose: "data key", id)
        return DataKey(key: SymmetricKey(data: plain))
    }

    /// Checks a wrapped key without a master key: its form, and its checksum if it has one.
    public static func check(_ wrapped: [UInt8], of id: VIMID) throws(VaultFault) {
        switch (wrapped.first, wrapped.count) {
        case (1, 69): return
        case (2, 77):
            guard Array(wrapped[69...]) == checksum(of: wrapped[..<69], id) else { throw .notAuthentic }
        default: throw .malformed
        }
    }

    /// Which master key wrapped a data key, as ``MasterKey/fingerprintText``; nil if the bytes are none.
    public static func fingerprintText(of wrapped: [UInt8]) -> String? {
        guard wrapped.count >= 69 else { return nil }
        return wrapped[1..<9].hexadecimal
    }

    /// Which master keys wrapped some data keys, each as ``MasterKey/fingerprintText``.
    public static func fingerprintTexts(of wrapped: some Sequence<[UInt8]>) -> Set<String> {
        // As bytes first: of many data keys nearly all were wrapped by the same.
        var fingerprints: Set<ArraySlice<UInt8>> = []
        for wrapped in wrapped where wrapped.count >= 69 { fingerprints.insert(wrapped[1..<9]) }
        return Set(fingerprints.map(\.hexadecimal))
    }

    /// The master key in use, as ``MasterKey/fingerprintText``.
    public var fingerprintText: String { master.fingerprintText }

    private static func checksum(of wrapped: ArraySlice<UInt8>, _ id: VIMID) -> [UInt8] {
        Array(SHA256.hash(data: id.value.bytes + wrapped).prefix(8))
    }

    /// Encrypts a VIM's `auth_cred`: version 1, nonce 12, ciphertext, tag 16.
    public func encrypt(_ credentials: JSONText, under dataKey: DataKey, of id: VIMID) -> [UInt8] {
        [1] + seal(Array(credentials.description.utf8), under: dataKey.key, purpose: "credentials", id)
    }

    /// Decrypts a VIM's `auth_cred`.
    public func decrypt(_ ciphertext: [UInt8], under dataKey: DataKey, of id: VIMID) throws(VaultFault)
        -> JSONText
    {
        guard ciphertext.first == 1 else { throw .malformed }
        let plain = try open(Array(ciphertext[1...]), under: dataKey.key, purpose: "credentials", id)
        return JSONText(String(decoding: plain, as: UTF8.self))
    }

    private func seal(_ plain: [UInt8], under key: SymmetricKey, purpose: String, _ id: VIMID) -> [UInt8] {
        guard
            let box = try? AES.GCM.seal(plain, using: key, authenticating: bound(purpose, id)),
            let combined = box.combined
        else { preconditionFailure("AES-GCM sealing fails only for a wrong key size") }
        return Array(combined)
    }

    private func open(
        _ combined: [UInt8], under key: SymmetricKey, purpose: String, _ id: VIMID
    ) throws(VaultFault) -> [UInt8] {
        guard let box = try? AES.GCM.SealedBox(combined: combined) else { throw .malformed }
        guard let plain = try? AES.GCM.open(box, using: key, authenticating: bound(purpose, id)) else {
            throw .notAuthentic
        }
        return Array(plain)
    }

    private func bound(_ purpose: String, _ id: VIMID) -> [UInt8] {
        Array("vedette \(purpose) ".utf8) + id.value.bytes
    }
}

/// Why something stored in the vault does not open.
public enum VaultFault: Error, Hashable, Sendable {
    /// The bytes are not what the vault writes.
    case malformed
    /// Another master key wrapped it.
    case otherMasterKey
    /// The bytes were changed, or belong to another VIM.
    case notAuthentic

    /// One sentence.
    public var sentence: String {
        switch self {
        case .malformed: "the stored bytes are not what the vault writes"
        case .otherMasterKey: "it was wrapped under another master key: start with that key's file"
        case .notAuthentic: "the stored bytes were changed, or belong to another VIM"
        }
    }
}
