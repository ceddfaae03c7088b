// Starts: the server under load, and each command that reads the log, beside `vedette archive --drop-before`.
//
// 1. Callers register VIMs; an operator archives and drops all there is, again and again.
// 2. Meanwhile every reading command runs in a loop. It ends well, or, where it had begun to print what then
//    went away, says that it was dropped; none takes a dropped file for damage.
import Backups
import Conductor
import EventLog
import Foundation
import Harness
import Registry
import Synchronization
import Testing

@Suite("Dropping beside those who read", .serialized)
struct DropBesideReadersTests {
    private let options = ["--registration-check", "deferred"]

    /// Commands that give a whole, whatever is dropped meanwhile.
    private static let wholes = [
        ["audit", "verify"], ["rebuild", "--check"], ["vim", "list"], ["audit", "state"],
        ["vim", "history", "kept"], ["audit", "head"],
    ]
    /// Commands that print as they read.
    private static let listings = [["audit", "log"], ["audit", "export", "--format", "csv"]]

    @Test("Every command ends well, or says that what it wanted was dropped")
    func everyCommand() async throws {
        try await withTemporaryDirectory { directory in
            let data = directory + "/data"
            let counts = Counts()
            try await withServer(dataDirectory: data, arguments: options) { server in
                _ = try await server.register(standInVIM("kept", at: "http://127.0.0.1:1"))
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        for number in 0..<100_000 where !counts.isOver {
                            let vim = standInVIM("vim-\(number)", at: "http://127.0.0.1:1")
                            _ = try await server.register(vim)
                        }
                    }
                    group.addTask {
                        defer { counts.end() }
                        for _ in 0..<amount("DROPS", 12) {
                            for wish in [["--before", "0s"], ["--drop-before", "0s", "--yes"]] {
                                try await expectDone(["archive"] + wish, data)
                            }
                            counts.note("drops")
                        }
                    }
                    group.addTask {
                        while !counts.isOver {
                            for command in DropBesideReadersTests.wholes {
                                try await expectDone(command, data)
                                counts.note(command.joined(separator: " "))
                            }
                            let target = directory + "/backup"
                            try await expectDone(["backup", target], data)
                            try await expectDone(["audit", "verify"], target)
                            try FileManager.default.removeItem(atPath: target)
                            counts.note("backup")
                        }
                    }
                    group.addTask {
                        while !counts.isOver {
                            for command in DropBesideReadersTests.listings {
                                let done = try await runVedette(command + ["--data-directory", data])
                                try #require(
                                    done.exitCode == 0 || done.errorOutput.contains("it was dropped on"),
                                    "\(command): \(done.exitCode) \(done.errorOutput)")
                                counts.note("\(command[1]) \(done.exitCode)")
                            }
                        }
                    }
                    try await group.waitForAll()
                }
            }
            print("DropBesideReadersTests: \(counts.all)")
            #expect(counts.all["backup", default: 0] > 0 && counts.all["audit verify", default: 0] > 0)
        }
    }

    @Test("A backup whose files a drop takes away begins anew by itself")
    func backup() async throws {
        try await withTemporaryDirectory { directory in
            let (data, target) = (directory + "/data", directory + "/backup")
            try await withServer(dataDirectory: data, arguments: options) { server in
                for number in 0..<20 {
                    _ = try await server.register(standInVIM("vim-\(number)", at: "http://127.0.0.1:1"))
                }
            }
            try await expectDone(["archive", "--before", "0s"], data)
            var isDropped = false
            // Told of its first bytes, the copy of the data file, whose index names the files, has begun.
            let manifest = try Backup(of: data, to: target, version: "test", now: { Timestamp.systemNow })
                .make {
                    _ in
                    if !isDropped { isDropped = runHere(["archive", "--drop-before", "0s", "--yes"], data) }
                }
            #expect(isDropped && manifest.files.count == 1)
            #expect(try EventLog(directory: target, access: .read).droppedPart() != nil)
            try await expectDone(["audit", "verify"], target)
        }
    }

    /// Runs `vedette` while this thread waits; false if it failed.
    private func runHere(_ arguments: [String], _ data: String) -> Bool {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Programs.vedette)
        process.arguments = arguments + ["--data-directory", data]
        process.standardOutput = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }
}

private func expectDone(_ arguments: [String], _ data: String) async throws {
    let done = try await runVedette(arguments + ["--data-directory", data])
    try #require(done.exitCode == 0, "\(arguments): \(done.exitCode) \(done.output) \(done.errorOutput)")
}

/// How often something was done, and whether it is over.
private final class Counts: Sendable {
    private let counts = Mutex<[String: Int]>([:])
    private let over = Atomic<Bool>(false)

    var all: [String: Int] { counts.withLock { $0 } }
    var isOver: Bool { over.load(ordering: .relaxed) }

    func note(_ name: String) { counts.withLock { $0[name, default: 0] += 1 } }
    func end() { over.store(true, ordering: .relaxed) }
}
