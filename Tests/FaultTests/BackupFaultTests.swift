// Starts: the server under load, `vedette backup` beside it, `vedette restore`; kills both at random moments,
// and fills the disk under them (a tmpfs; needs root).
//
// 1. Whatever was acknowledged before a backup began is in it, and is there after a restore elsewhere.
// 2. A killed backup leaves no backup; the next one to the same place works.
// 3. After a killed restore the next start serves the old log or the restored one, whole.
import Foundation
import Harness
import Synchronization
import Testing

@Suite("Backup and restore of a server, disturbed", .serialized)
struct BackupFaultTests {
    static let backupRounds = 8
    static let restoreRounds = 14
    private let options = ["--registration-check", "deferred"]

    @Test("A backup beside a busy server holds everything acknowledged before, and killed ones leave nothing")
    func underLoad() async throws {
        let seed = ProcessInfo.processInfo.environment["SEED"].flatMap(UInt64.init) ?? .random(in: 0...(.max))
        var random = Seeded(state: seed)
        try await withTemporaryDirectory { directory in
            let data = directory + "/data"
            let (target, elsewhere) = (directory + "/backup", directory + "/elsewhere")
            let registered = Registered()
            try await withServer(dataDirectory: data, arguments: options) { server in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for caller in 0..<6 { group.addTask { await registered.load(server, caller) } }
                    try await eventually("there is something to back up") { registered.ids.count > 100 }
                    let archive = try await server.vedette("archive", "--before", "0s")
                    #expect(archive.exitCode == 0, "\(archive.errorOutput)")
                    for _ in 0..<BackupFaultTests.backupRounds {
                        try await killBackup(of: data, to: target, &random)
                        #expect(!FileManager.default.fileExists(atPath: target))
                    }
                    let before = registered.ids
                    let backup = try await server.vedette("backup", target, "--json")
                    registered.stop()
                    #expect(backup.exitCode == 0, "\(backup.errorOutput)")
                    #expect(try JSON(text: backup.output)["files"].integer ?? 0 >= 2)
                    let refused = try await server.vedette("restore", target)
                    #expect(refused.exitCode == 1 && refused.errorOutput.contains("already used by process"))
                    try await group.waitForAll()

                    let restore = try await runVedette(["restore", target, "--data-directory", elsewhere])
                    #expect(restore.exitCode == 0, "\(restore.errorOutput)")
                    try FileManager.default.copyItem(
                        atPath: data + "/master.key", toPath: elsewhere + "/master.key")
                    try await withServer(dataDirectory: elsewhere, arguments: options) { restored in
                        let found = try await ids(restored)
                        #expect(before.count > 100 && before.isSubset(of: found), "SEED=\(seed)")
                    }
                    try await expectWhole(elsewhere)
                }
            }
        }
    }

    private func killBackup(of data: String, to target: String, _ random: inout Seeded) async throws {
        let moment = Duration.milliseconds(Int64.random(in: 5...60, using: &random))
        let arguments = ["backup", target, "--data-directory", data]
        try await withProcess(Programs.vedette, arguments, log: target + ".log") { process in
            try await ContinuousClock().sleep(for: moment)
            process.signal(SIGKILL)
        }
        // One that was quick enough is a whole one.
        if FileManager.default.fileExists(atPath: target) {
            try await expectWhole(target)
            try FileManager.default.removeItem(atPath: target)
        }
    }

    @Test("After a killed restore the old log serves, or the restored one")
    func killedRestore() async throws {
        let seed = ProcessInfo.processInfo.environment["SEED"].flatMap(UInt64.init) ?? .random(in: 0...(.max))
        var random = Seeded(state: seed)
        try await withTemporaryDirectory { directory in
            let (data, target) = (directory + "/data", directory + "/backup")
            try await withServer(dataDirectory: data, arguments: options) { server in
                for number in 0..<30 {
                    _ = try await server.register(standInVIM("vim-\(number)", at: "http://127.0.0.1:1"))
                }
                #expect(try await server.vedette("backup", target).exitCode == 0)
                for number in 30..<40 {
                    _ = try await server.register(standInVIM("vim-\(number)", at: "http://127.0.0.1:1"))
                }
            }
            let newer = try await runVedette(["restore", target, "--data-directory", data])
            #expect(newer.exitCode == 1 && newer.errorOutput.contains("--discard-present-log"))
            let arguments = ["restore", target, "--discard-present-log", "--data-directory", data]
            let began = ContinuousClock.now
            _ = try await runVedette(["restore", target, "--data-directory", directory + "/other"])
            let usual = Double((ContinuousClock.now - began) / .milliseconds(1))
            var outcomes: [Int: Int] = [:]
            for round in 1...BackupFaultTests.restoreRounds {
                try await withProcess(Programs.vedette, arguments, log: directory + "/log") { process in
                    let moment = Double.random(in: 0.1...1.1, using: &random) * usual
                    try await ContinuousClock().sleep(for: .milliseconds(Int64(moment)))
                    process.signal(SIGKILL)
                }
                let count = try await withServer(dataDirectory: data, arguments: options) { server in
                    let count = try await ids(server).count
                    // The restored log must take new events, too, and be replaced by the next round.
                    if count == 30 {
                        for number in 30..<40 {
                            let vim = standInVIM("vim-\(round)-\(number)", at: "http://127.0.0.1:1")
                            _ = try await server.register(vim)
                        }
                    }
                    return count
                }.result
                #expect(count == 30 || count == 40, "SEED=\(seed), round \(round)")
                outcomes[count, default: 0] += 1
                try await expectWhole(data)
                let left = try FileManager.default.contentsOfDirectory(atPath: data)
                #expect(!left.contains { $0.hasPrefix("restore.") }, "\(left)")
            }
            print("BackupFaultTests: SEED=\(seed), VIMs after killed restores: \(outcomes)")
        }
    }

    @Test(
        "A backup to a full disk says so and leaves nothing",
        .enabled("mounting a tmpfs is not permitted here; run as root with CAP_SYS_ADMIN") {
            await canMount()
        })
    func fullDisk() async throws {
        try await withTemporaryDirectory { directory in
            let (data, small) = (directory + "/data", directory + "/small")
            try FileManager.default.createDirectory(atPath: small, withIntermediateDirectories: false)
            try await withServer(dataDirectory: data, arguments: options) { server in
                for number in 0..<80 {
                    var vim = standInVIM("vim-\(number)", at: "http://127.0.0.1:1").object
                    vim["description"] = .string(String(repeating: "x", count: 20_000))
                    _ = try await server.register(.object(vim))
                }
                try await withTmpfs(small, megabytes: 1) {
                    let backup = try await server.vedette("backup", small + "/backup")
                    #expect(backup.exitCode == 1)
                    #expect(
                        backup.errorOutput.contains("no space left on the device"), "\(backup.errorOutput)")
                    #expect(try FileManager.default.contentsOfDirectory(atPath: small) == [])
                }
                // The server never noticed.
                _ = try await server.register(standInVIM("later", at: "http://127.0.0.1:1"))
                let backup = try await server.vedette("backup", directory + "/backup")
                #expect(backup.exitCode == 0, "\(backup.errorOutput)")
            }
            // No room to restore, either: the log there stays.
            let other = small + "/data"
            try await withTmpfs(small, megabytes: 1) {
                let restore = try await runVedette([
                    "restore", directory + "/backup", "--data-directory", other,
                ])
                #expect(restore.exitCode == 1)
                #expect(restore.errorOutput.contains("no space left on the device"), "\(restore.errorOutput)")
                #expect(try FileManager.default.contentsOfDirectory(atPath: other) == ["writer.lock"])
            }
        }
    }

    private func ids(_ server: RunningServer) async throws -> Set<String> {
        let vims = try await server.request(.get, "/v1.0/vims?fields=id").json()["vims"].array
        return Set(vims.compactMap { $0["id"].string })
    }

    private func expectWhole(_ data: String) async throws {
        let verify = try await runVedette(["audit", "verify", "--json", "--data-directory", data])
        #expect(verify.exitCode == 0, "\(verify.output)")
    }
}

/// VIMs whose registration was acknowledged.
private final class Registered: Sendable {
    private let all = Mutex<Set<String>>([])
    private let isStopped = Atomic<Bool>(false)

    var ids: Set<String> { all.withLock { $0 } }

    func stop() { isStopped.store(true, ordering: .relaxed) }

    /// Registers until it is stopped, or nobody answers.
    func load(_ server: RunningServer, _ caller: Int) async {
        for number in 0..<100_000 where !isStopped.load(ordering: .relaxed) {
            let vim = standInVIM("vim-\(caller)-\(number)", at: "http://127.0.0.1:1")
            guard let id = try? await server.register(vim) else { return }
            all.withLock { _ = $0.insert(id) }
        }
    }
}
