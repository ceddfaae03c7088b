import Identity
import Registry
import Samples
import Testing

@Suite("The credential vault")
struct VaultTests {
    private let secret = JSONText(#"{"username":"nfv","password":"correct horse battery staple"}"#)

    @Test("Credentials come back, through a wrapped and unwrapped data key", arguments: ["{}", "", "😀"])
    func roundTrip(_ text: String) throws {
        let vault = CredentialVault(master: try master(1))
        let key = CredentialVault.DataKey()
        let ciphertext = vault.encrypt(JSONText(text), under: key, of: .sample(1))
        let unwrapped = try vault.unwrap(vault.wrap(key, of: .sample(1)), of: .sample(1))
        #expect(try vault.decrypt(ciphertext, under: unwrapped, of: .sample(1)) == JSONText(text))
    }

    @Test("Neither ciphertext nor wrapped key shows anything, and no two are alike")
    func opaque() throws {
        let vault = CredentialVault(master: try master(1))
        let key = CredentialVault.DataKey()
        let first = vault.encrypt(secret, under: key, of: .sample(1))
        let second = vault.encrypt(secret, under: key, of: .sample(1))
        #expect(first != second)
        #expect(first.count == secret.description.utf8.count + 1 + 12 + 16)
        #expect(!String(decoding: first, as: UTF8.self).contains("horse"))
        #expect(vault.wrap(key, of: .sample(1)) != vault.wrap(key, of: .sample(1)))
        #expect(vault.wrap(key, of: .sample(1)).count == 77)
    }

    @Test("A key that was wrapped before there were checksums still opens")
    func firstForm() throws {
        let vault = CredentialVault(master: try master(1))
        let key = CredentialVault.DataKey()
        let first = [1] + vault.wrap(key, of: .sample(1))[1..<69]
        try CredentialVault.check(first, of: .sample(1))
        let ciphertext = vault.encrypt(secret, under: key, of: .sample(1))
        #expect(
            try vault.decrypt(ciphertext, under: vault.unwrap(first, of: .sample(1)), of: .sample(1))
                == secret)
    }

    @Test("Another master key is told apart from damage")
    func otherMasterKey() throws {
        let key = CredentialVault.DataKey()
        let wrapped = CredentialVault(master: try master(1)).wrap(key, of: .sample(1))
        let other = CredentialVault(master: try master(2))
        #expect(throws: VaultFault.otherMasterKey) { try other.unwrap(wrapped, of: .sample(1)) }
    }

    @Test("What belongs to another VIM, or lies under another key, does not open")
    func otherVIM() throws {
        let vault = CredentialVault(master: try master(1))
        let key = CredentialVault.DataKey()
        let wrapped = vault.wrap(key, of: .sample(1))
        let ciphertext = vault.encrypt(secret, under: key, of: .sample(1))
        #expect(throws: VaultFault.notAuthentic) { try vault.unwrap(wrapped, of: .sample(2)) }
        #expect(throws: VaultFault.notAuthentic) { try vault.decrypt(ciphertext, under: key, of: .sample(2)) }
        #expect(throws: VaultFault.notAuthentic) {
            try vault.decrypt(ciphertext, under: CredentialVault.DataKey(), of: .sample(1))
        }
    }

    @Test("Any flipped bit, any missing byte and any byte too many is found")
    func damage() throws {
        let vault = CredentialVault(master: try master(1))
        let key = CredentialVault.DataKey()
        let wrapped = vault.wrap(key, of: .sample(1))
        let ciphertext = vault.encrypt(secret, under: key, of: .sample(1))
        for index in wrapped.indices {
            var broken = wrapped
            broken[index] ^= 1 << UInt8(index % 8)
            #expect(throws: VaultFault.self) { try vault.unwrap(broken, of: .sample(1)) }
            #expect(throws: VaultFault.malformed) {
                try vault.unwrap(Array(wrapped[..<index]), of: .sample(1))
            }
        }
        for index in ciphertext.indices {
            var broken = ciphertext
            broken[index] ^= 1 << UInt8(index % 8)
            #expect(throws: VaultFault.self) { try vault.decrypt(broken, under: key, of: .sample(1)) }
            #expect(throws: VaultFault.self) {
                try vault.decrypt(Array(ciphertext[..<index]), under: key, of: .sample(1))
            }
        }
        #expect(throws: VaultFault.malformed) { try vault.unwrap(wrapped + [0], of: .sample(1)) }
        #expect(throws: VaultFault.self) { try vault.decrypt(ciphertext + [0], under: key, of: .sample(1)) }
    }

    @Test("A wrapped key is no ciphertext and the other way round")
    func purposes() throws {
        let vault = CredentialVault(master: try master(1))
        let key = CredentialVault.DataKey()
        #expect(throws: VaultFault.self) {
            try vault.decrypt(vault.wrap(key, of: .sample(1)), under: key, of: .sample(1))
        }
        #expect(throws: VaultFault.self) {
            try vault.unwrap(vault.encrypt(secret, under: key, of: .sample(1)), of: .sample(1))
        }
    }

    private func master(_ byte: UInt8) throws -> MasterKey {
        try #require(MasterKey(bytes: [UInt8](repeating: byte, count: 32)))
    }
}
