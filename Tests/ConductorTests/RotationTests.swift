import Conductor
import EventLog
import Foundation
import Identity
import Registry
import Samples
import Synchronization
import Testing

@Suite("Rotation of the master key")
struct RotationTests {
    @Test("All data keys open under the new key and none under the old one, which is overwritten")
    func rotated() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/master.key"
            var ids: [VIMID] = []
            try await withConductor(in: directory) { conductor in
                for number in 0..<30 {
                    ids.append(try await conductor.register(.sample("vim-\(number)"), actor: ada).id)
                }
                let old = try Data(contentsOf: URL(fileURLWithPath: path))
                let held = try #require(FileHandle(forReadingAtPath: path))
                let head = try #require(conductor.head)

                let report = try await conductor.rotateMasterKey(actor: ada)
                #expect(report.dataKeyCount == 30 && report.unopenedCount == 0)
                #expect(report.keyFile == path)
                // One event, and nothing else happened to the log.
                #expect(conductor.head?.position == head.position + 1)
                for id in ids {
                    #expect(
                        try await conductor.credentials(of: id) == PlainCredentials.sample(password).whole)
                }
                let new = try Data(contentsOf: URL(fileURLWithPath: path))
                #expect(new != old && new.count == 65)
                #expect(try held.readToEnd() == Data(repeating: 0, count: 65), "the old key's bytes stay")
                // What is registered afterwards is wrapped under the new key, too.
                ids.append(try await conductor.register(.sample("later"), actor: ada).id)
                try old.write(to: URL(fileURLWithPath: directory + "/old.key"))
                chmod(directory + "/old.key", 0o600)
            }
            // The old key is a foreign one from now on.
            let fault = await #expect(throws: StartFault.self) {
                try await withConductor(in: directory, { $0.masterKeyFile = directory + "/old.key" }) { _ in }
            }
            #expect(fault?.sentence.contains("another key") == true)
            try FileManager.default.removeItem(atPath: directory + "/old.key")
            try await withConductor(in: directory) { conductor in
                for id in ids { _ = try await conductor.credentials(of: id) }
            }
            let events = try StoredLog(directory).events
            let rotated = try #require(events.first { $0.event.type == .vaultRotated })
            #expect(rotated.event.actor == ada && rotated.stream == 0)
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: directory).allSatisfy {
                    !$0.contains("next") && !$0.contains("new")
                })
        }
    }

    @Test("Beside callers who register, change and deregister, no credentials are lost")
    func underLoad() async throws {
        try await withTemporaryDirectory { directory in
            let kept = Kept()
            try await withConductor(in: directory) { conductor in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for caller in 0..<8 {
                        group.addTask {
                            for number in 0..<20 {
                                let name = "vim-\(caller)-\(number)"
                                let vim = try await conductor.register(
                                    .sample(name, password: name), actor: ada)
                                var password = name
                                if number.isMultiple(of: 2) {
                                    password = "changed-\(name)"
                                    let credentials = PlainCredentials.sample(password)
                                    _ = try await conductor.update(
                                        vim.id, expectedVersion: nil,
                                        edit: .with { $0.credentials = credentials }, actor: ada)
                                }
                                if number.isMultiple(of: 5) {
                                    _ = try await conductor.deregister(vim.id, actor: ada)
                                } else {
                                    let text = try await conductor.credentials(of: vim.id).description
                                    #expect(text.contains("\"\(password)\""))
                                    kept.add(vim.id, password)
                                }
                            }
                        }
                    }
                    group.addTask {
                        for _ in 0..<25 {
                            _ = try await conductor.rotateMasterKey(actor: ada)
                        }
                    }
                    try await group.waitForAll()
                }
            }
            let passwords = kept.passwords
            #expect(passwords.count == 128)
            try await withConductor(in: directory) { conductor in
                for (id, password) in passwords {
                    let text = try await conductor.credentials(of: id).description
                    #expect(text.contains("\"\(password)\""))
                }
            }
            // Whoever left meanwhile did not come back with the keys that were wrapped anew.
            let log = try EventLog(directory: directory, access: .read)
            #expect(Set(try log.vaultEntries().map(\.key)) == Set(passwords.keys.map(\.value.bytes)))
        }
    }

    @Test("Of two rotations at once, one waits for nobody: it is refused, or comes after the other")
    func twice() async throws {
        try await withConductor { conductor in
            _ = try await conductor.register(.sample("a"), actor: ada)
            let outcomes = await withTaskGroup(of: Result<RotationReport, RotationFault>.self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        do throws(RotationFault) {
                            return .success(try await conductor.rotateMasterKey(actor: ada))
                        } catch { return .failure(error) }
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            for outcome in outcomes {
                guard case .failure(let fault) = outcome else { continue }
                #expect(fault.sentence.contains("another rotation"))
            }
            #expect(outcomes.contains { if case .success = $0 { true } else { false } })
            #expect(try await conductor.credentials(of: conductor.registeredVIMs()[0].id) != .empty)
        }
    }

    @Test(
        "An interrupted rotation is finished or undone at the next start",
        arguments: ["before the commit", "after the commit", "after the commit, without the old key"])
    func interrupted(moment: String) async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/master.key"
            let id = try await withConductor(in: directory) {
                try await $0.register(.sample("a"), actor: ada).id
            }
            let old = try Data(contentsOf: URL(fileURLWithPath: path))
            if moment == "before the commit" {
                try write(Data(String(repeating: "ab", count: 32).utf8), to: path + ".next")
            } else {
                try await withConductor(in: directory) { _ = try await $0.rotateMasterKey(actor: ada) }
                try FileManager.default.moveItem(atPath: path, toPath: path + ".next")
                if !moment.hasSuffix("without the old key") { try write(old, to: path) }
            }
            try await withConductor(in: directory) { conductor in
                let whole = try await conductor.credentials(of: id)
                #expect(whole == PlainCredentials.sample(password).whole)
            }
            #expect(!FileManager.default.fileExists(atPath: path + ".next"))
            let present = try Data(contentsOf: URL(fileURLWithPath: path))
            #expect((present == old) == (moment == "before the commit"))
        }
    }

    @Test("A key that cannot be stored, or is not what was meant, changes nothing and is told")
    func refused() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/master.key"
            let elsewhere = directory + "/elsewhere.key"
            try await withConductor(in: directory) { conductor in
                let id = try await conductor.register(.sample("a"), actor: ada).id
                let key = try Data(contentsOf: URL(fileURLWithPath: path))
                func expectFault(_ words: String, file: String? = nil) async throws {
                    let fault = await #expect(throws: RotationFault.self) {
                        try await conductor.rotateMasterKey(to: file, actor: ada)
                    }
                    #expect(fault?.sentence.contains(words) == true, "\(fault?.sentence ?? "")")
                }
                try await expectFault("no new master key file", file: elsewhere)
                try write(key, to: elsewhere)
                try await expectFault("holds the master key that is in use", file: elsewhere)
                chmod(elsewhere, 0o644)
                try await expectFault("can be read by other users", file: elsewhere)
                try write(Data("short".utf8), to: elsewhere)
                try await expectFault("holds no key", file: elsewhere)

                // The place of the next key is taken by something that is none.
                try FileManager.default.createDirectory(
                    atPath: path + ".next", withIntermediateDirectories: false)
                try await expectFault("master.key.next")
                try FileManager.default.removeItem(atPath: path + ".next")

                try write(Data(String(repeating: "cd", count: 32).utf8), to: path)
                try await expectFault("was exchanged since the start")
                try write(key, to: path)

                #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == key)
                #expect(try await conductor.credentials(of: id) == PlainCredentials.sample(password).whole)
                // And then it works, with a key from outside.
                try write(Data(String(repeating: "0e", count: 32).utf8), to: elsewhere)
                _ = try await conductor.rotateMasterKey(to: elsewhere, actor: ada)
                #expect(try Data(contentsOf: URL(fileURLWithPath: path)).starts(with: Data("0e0e".utf8)))
            }
        }
    }

    @Test("Where nobody is registered the key is exchanged all the same")
    func empty() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/master.key"
            try await withConductor(in: directory) { conductor in
                let old = try Data(contentsOf: URL(fileURLWithPath: path))
                #expect(try await conductor.rotateMasterKey(actor: ada).dataKeyCount == 0)
                #expect(try Data(contentsOf: URL(fileURLWithPath: path)) != old)
                let id = try await conductor.register(.sample("a"), actor: ada).id
                _ = try await conductor.credentials(of: id)
            }
            try await withConductor(in: directory) { #expect($0.registeredVIMs().count == 1) }
        }
    }

    @Test("What a deregistered VIM left in the file's free space, a rotation makes worthless")
    func shredded() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/master.key"
            try await withConductor(in: directory) { conductor in
                let id = try await conductor.register(.sample("a"), actor: ada).id
                _ = try await conductor.register(.sample("b"), actor: ada)
                let old = try Data(contentsOf: URL(fileURLWithPath: path))
                let log = try #require(conductor.head)
                _ = try await conductor.deregister(id, actor: ada)
                _ = try await conductor.rotateMasterKey(actor: ada)
                #expect(log.position > 0)
                // Neither the old key nor a way to it is left: what it wrapped stays shut for ever.
                for name in try FileManager.default.contentsOfDirectory(atPath: directory) {
                    let bytes = try Data(contentsOf: URL(fileURLWithPath: directory + "/" + name))
                    #expect(bytes.range(of: old.dropLast()) == nil, "\(name)")
                }
            }
        }
    }

    private func write(_ data: Data, to path: String) throws {
        try data.write(to: URL(fileURLWithPath: path))
        chmod(path, 0o600)
    }
}

/// The passwords of VIMs that were registered and stayed, from many tasks.
private final class Kept: Sendable {
    private let all = Mutex<[VIMID: String]>([:])

    var passwords: [VIMID: String] { all.withLock { $0 } }
    func add(_ id: VIMID, _ password: String) { all.withLock { $0[id] = password } }
}
