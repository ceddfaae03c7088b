import Conductor
import EventLog
import Foundation
import Projections
import Registry
import Samples
import Testing

@Suite("Credentials")
struct SecretTests {
    @Test("They open for the registrar and the wanted action, and stand in clear in no file")
    func hidden() async throws {
        try await withTemporaryDirectory { directory in
            try await withConductor(in: directory) { conductor in
                let vim = try await conductor.register(.sample("a"), actor: ada)
                #expect(
                    try await conductor.credentials(of: vim.id) == PlainCredentials.sample(password).whole)
                #expect(await conductor.credentials(of: vim.id, for: vim.actionID) != nil)
                #expect(await conductor.credentials(of: vim.id, for: .sample(1)) == nil)
                #expect(await conductor.credentials(of: .sample(1), for: vim.actionID) == nil)
                #expect(!"\(vim)".contains(password))

                let changed = try await conductor.update(
                    vim.id, expectedVersion: nil,
                    edit: .with { $0.credentials = .sample("second-\(password)") }, actor: ada)
                #expect(changed.actionID != vim.actionID)
                #expect(
                    try await conductor.credentials(of: vim.id)
                        == PlainCredentials.sample("second-\(password)").whole)
                #expect(await conductor.credentials(of: vim.id, for: vim.actionID) == nil)
                try expectHidden(in: directory)
            }
            try expectHidden(in: directory)
            // They open after a restart, too.
            try await withConductor(in: directory) { conductor in
                let vim = try #require(conductor.registeredVIMs().first)
                #expect(
                    try await conductor.credentials(of: vim.id).description.contains("second-\(password)"))
            }
        }
    }

    @Test("Deregistered, the data key is gone, from the pages that were given back as well")
    func shredded() async throws {
        try await withTemporaryDirectory { directory in
            let vim = try await withConductor(in: directory) {
                try await $0.register(.sample("a"), actor: ada)
            }
            let wrapped = try #require(try vaultValue(of: vim.id, in: directory))
            try await withConductor(in: directory) { conductor in
                _ = try await conductor.deregister(vim.id, actor: ada)
                await #expect(throws: CommandFailure.refused(.vimNotFound(vim.id))) {
                    try await conductor.credentials(of: vim.id)
                }
                #expect(await conductor.credentials(of: vim.id, for: vim.actionID) == nil)
                for number in 0..<20 {
                    _ = try await conductor.register(.sample("later-\(number)"), actor: ada)
                }
            }
            #expect(try vaultValue(of: vim.id, in: directory) == nil)
            for (path, bytes) in try files(in: directory) {
                #expect(bytes.range(of: Data(wrapped)) == nil, "\(path)")
            }
            #expect(try StoredLog(directory).events(of: vim.id).last == .vimCredentialsShredded)
        }
    }

    @Test("A refused registration leaves no data key behind")
    func refused() async throws {
        try await withTemporaryDirectory { directory in
            try await withConductor(in: directory) { conductor in
                _ = try await conductor.register(.sample("a"), actor: ada)
                await #expect(throws: CommandFailure.self) {
                    try await conductor.register(.sample("a", password: "other"), actor: ada)
                }
                await #expect(throws: CommandFailure.self) {
                    try await conductor.update(
                        .sample(5), expectedVersion: nil, edit: .with { $0.credentials = .sample("x") },
                        actor: ada)
                }
            }
            #expect(try vaultValue(of: .sample(5), in: directory) == nil)
        }
    }

    @Test("A log that holds something starts under its own master key only, unless told to begin anew")
    func masterKey() async throws {
        try await withTemporaryDirectory { directory in
            let vim = try await withConductor(in: directory) {
                _ = try await $0.register(.sample("stays lost"), actor: ada)
                return try await $0.register(.sample("a"), actor: ada)
            }
            let path = directory + "/master.key"
            let whole = try Data(contentsOf: URL(fileURLWithPath: path))
            try FileManager.default.removeItem(atPath: path)
            let fault = await #expect(throws: StartFault.self) {
                try await withConductor(in: directory) { _ in }
            }
            #expect(fault?.sentence.contains("master.key") == true)
            #expect(!FileManager.default.fileExists(atPath: path))

            try Data(String(repeating: "ab", count: 32).utf8).write(to: URL(fileURLWithPath: path))
            chmod(path, 0o600)
            // Another key would only overwrite what the right one opens.
            let other = await #expect(throws: StartFault.self) {
                try await withConductor(in: directory) { _ in }
            }
            #expect(other?.sentence.contains("another key") == true)
            try await withConductor(in: directory, { $0.replacesMasterKey = true }) { conductor in
                let failure = await #expect(throws: CommandFailure.self) {
                    try await conductor.credentials(of: vim.id)
                }
                #expect(failure?.sentence.contains("another master key") == true)
                // New credentials begin anew under the key at hand.
                _ = try await conductor.update(
                    vim.id, expectedVersion: nil, edit: .with { $0.credentials = .sample("fresh") },
                    actor: ada)
                #expect(try await conductor.credentials(of: vim.id) == PlainCredentials.sample("fresh").whole)
            }
            // From now on the new key is one of ours, although it does not open everything.
            try await withConductor(in: directory) { #expect($0.registeredVIMs().count == 2) }
            #expect(whole.count == 65)
        }
    }

    @Test("The master key may lie elsewhere")
    func elsewhere() async throws {
        try await withTemporaryDirectory { directory in
            let file = directory + "/keys"
            try await withConductor(in: directory + "/data", { $0.masterKeyFile = file }) { conductor in
                let vim = try await conductor.register(.sample("a"), actor: ada)
                _ = try await conductor.credentials(of: vim.id)
            }
            #expect(FileManager.default.fileExists(atPath: file))
            #expect(!FileManager.default.fileExists(atPath: directory + "/data/master.key"))
        }
    }

    private func expectHidden(in directory: String) throws {
        let found = try files(in: directory)
        #expect(
            found.map(\.path).sorted() == ["events.lmdb", "events.lmdb-lock", "master.key", "writer.lock"])
        for (path, bytes) in found {
            #expect(bytes.range(of: Data(password.utf8)) == nil, "\(path) holds the password in clear")
            #expect(
                bytes.range(of: Data(Data(password.utf8).base64EncodedData().dropLast(4))) == nil, "\(path)")
        }
    }

    private func files(in directory: String) throws -> [(path: String, bytes: Data)] {
        try FileManager.default.contentsOfDirectory(atPath: directory).map {
            ($0, try Data(contentsOf: URL(fileURLWithPath: directory + "/" + $0)))
        }
    }

    private func vaultValue(of id: VIMID, in directory: String) throws -> [UInt8]? {
        try EventLog(directory: directory, access: .read).vaultValue(for: id.value.bytes)
    }
}
