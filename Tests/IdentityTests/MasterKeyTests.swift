import Foundation
import Identity
import Registry
import Samples
import Testing

@Suite("The master key's file")
struct MasterKeyTests {
    @Test("It is made once, for its owner alone, and read from then on")
    func create() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/master.key"
            let before = umask(0)
            defer { umask(before) }
            let made = CredentialVault(master: try MasterKey(file: path, mayCreate: true))
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
            let text = try String(contentsOfFile: path, encoding: .utf8)
            #expect(text.count == 65 && text.hasSuffix("\n"))
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["master.key"])

            let key = CredentialVault.DataKey()
            let wrapped = made.wrap(key, of: .sample(1))
            for mayCreate in [true, false] {
                let read = CredentialVault(master: try MasterKey(file: path, mayCreate: mayCreate))
                _ = try read.unwrap(wrapped, of: .sample(1))
            }
            #expect(try String(contentsOfFile: path, encoding: .utf8) == text)
        }
    }

    @Test("Two made keys differ")
    func fresh() throws {
        try withTemporaryDirectory { directory in
            let texts = try ["a", "b"].map { name in
                _ = try MasterKey(file: directory + "/" + name, mayCreate: true)
                return try String(contentsOfFile: directory + "/" + name, encoding: .utf8)
            }
            #expect(texts[0] != texts[1])
        }
    }

    @Test("It is known by its bytes, in either case, with or without a line end")
    func known() throws {
        try withTemporaryDirectory { directory in
            let digits = (0..<32).map { String($0 + 0xA0, radix: 16) }.joined()
            let master = try #require(MasterKey(bytes: (0..<32).map { UInt8($0 + 0xA0) }))
            let wrapped = CredentialVault(master: master).wrap(CredentialVault.DataKey(), of: .sample(1))
            for text in [digits, digits + "\n", digits.uppercased() + "\n", " \(digits) \n"] {
                let path = try file(in: directory, text)
                let vault = CredentialVault(master: try MasterKey(file: path, mayCreate: false))
                _ = try vault.unwrap(wrapped, of: .sample(1))
            }
            #expect(MasterKey(bytes: [UInt8](repeating: 1, count: 31)) == nil)
            #expect(MasterKey(bytes: [UInt8](repeating: 1, count: 33)) == nil)
        }
    }

    @Test("Missing, it is not made anew if something was encrypted under it")
    func missing() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/master.key"
            let fault = #expect(throws: MasterKeyFault.self) { try MasterKey(file: path, mayCreate: false) }
            #expect(fault?.sentence.contains(path) == true)
            #expect(fault?.sentence.contains("missing") == true)
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }

    @Test("It is refused if others may read it", arguments: [0o640, 0o604, 0o660, 0o644, 0o610, 0o601])
    func permissions(_ mode: Int) throws {
        try withTemporaryDirectory { directory in
            let path = try file(in: directory, String(repeating: "a", count: 64))
            chmod(path, mode_t(mode))
            let fault = #expect(throws: MasterKeyFault.self) { try MasterKey(file: path, mayCreate: true) }
            #expect(fault?.sentence.contains("chmod 600") == true)
        }
    }

    @Test(
        "A file that holds no key is refused and left alone, and its text is not shown",
        arguments: [
            "", "\n", "abc", String(repeating: "a", count: 63), String(repeating: "a", count: 65),
            String(repeating: "g", count: 64), String(repeating: "+a", count: 32),
            String(repeating: "é", count: 32), String(repeating: "a", count: 300),
        ])
    func malformed(_ text: String) throws {
        try withTemporaryDirectory { directory in
            let path = try file(in: directory, text)
            let fault = #expect(throws: MasterKeyFault.self) { try MasterKey(file: path, mayCreate: true) }
            #expect(fault?.sentence.contains("64 hexadecimal digits") == true)
            #expect(try String(contentsOfFile: path, encoding: .utf8) == text)
        }
    }

    @Test("A place where no file can be made is named")
    func unwritable() throws {
        try withTemporaryDirectory { directory in
            let path = try file(in: directory, "x") + "/inner"
            let fault = #expect(throws: MasterKeyFault.self) { try MasterKey(file: path, mayCreate: true) }
            #expect(fault?.sentence.contains(path) == true)
            #expect(throws: MasterKeyFault.self) {
                try MasterKey(file: directory + "/none/master.key", mayCreate: true)
            }
            #expect(throws: MasterKeyFault.self) { try MasterKey(file: directory, mayCreate: true) }
        }
    }

    private func file(in directory: String, _ text: String) throws -> String {
        let path = directory + "/given.key"
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        chmod(path, 0o600)
        return path
    }
}
