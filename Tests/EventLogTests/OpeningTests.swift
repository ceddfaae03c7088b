import Foundation
import LMDB
import Samples
import Testing

@testable import EventLog

@Suite("Opening a log")
struct OpeningTests {
    @Test("A missing directory is made by the writer, with all above it, for its owner alone")
    func makesDirectory() throws {
        try withTemporaryDirectory { directory in
            let inner = directory + "/a/b"
            try withLog(in: inner) { _ = try $0.append([Said()]) }
            for path in [directory + "/a", inner] { #expect(try permissions(of: path) == 0o700) }
            for name in ["events.lmdb", "events.lmdb-lock", "writer.lock"] {
                #expect(try permissions(of: inner + "/" + name) == 0o600)
            }
        }
    }

    @Test("A reader of a directory without a log is told so, and makes nothing")
    func noLog() throws {
        try withTemporaryDirectory { (directory) throws in
            for access in [EventLog.Access.read, .maintain] {
                let error = opening(directory, access)
                guard case .directory(directory, let reason) = error else {
                    Issue.record("\(String(describing: error))")
                    continue
                }
                #expect(reason.contains("holds no log"))
                #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == [])
            }
        }
    }

    @Test("A path through a file cannot be a directory", arguments: ["/file", "/file/inner"])
    func notADirectory(_ name: String) throws {
        try withTemporaryDirectory { directory in
            try Data("x".utf8).write(to: URL(fileURLWithPath: directory + "/file"))
            guard case .directory(directory + name, _) = opening(directory + name, .write) else {
                Issue.record("\(String(describing: opening(directory + name, .write)))")
                return
            }
        }
    }

    @Test("A directory that cannot be made is refused by name", arguments: ["/proc/vedette", "/sys/vedette"])
    func notWritable(_ path: String) throws {
        guard case .directory(path, let reason) = opening(path, .write) else {
            Issue.record("\(String(describing: opening(path, .write)))")
            return
        }
        #expect(reason.contains("cannot be used"))
    }

    @Test(
        "A directory without write permission is refused by name",
        .enabled("root may write everywhere; run as another user", { geteuid() != 0 }))
    func noPermission() throws {
        try withTemporaryDirectory { directory in
            chmod(directory, 0o500)
            guard case .directory(directory, _) = opening(directory, .write) else {
                Issue.record("\(String(describing: opening(directory, .write)))")
                return
            }
        }
    }

    @Test("A second writer is refused, and told which process is in its way")
    func inUse() throws {
        try withTemporaryDirectory { directory in
            try withLog(in: directory) { _ = try $0.append([Said()]) }
            let holder = try FileLock(directory + "/writer.lock", text: "4242\n")
            #expect(opening(directory, .write) == .inUse(path: directory, processID: 4_242))
            #expect(opening(directory, .write)?.sentence.contains("process 4242") == true)
            #expect(opening(directory, .read) == nil)
            #expect(opening(directory, .maintain) == nil)
            holder.release()
            #expect(opening(directory, .write) == nil)
        }
    }

    @Test("A lock file that names nobody still refuses", arguments: ["", "\n", "nobody", "99999999999999"])
    func inUseByWhom(_ text: String) throws {
        try withTemporaryDirectory { directory in
            let holder = try FileLock(directory + "/writer.lock", text: text)
            #expect(opening(directory, .write) == .inUse(path: directory, processID: nil))
            holder.release()
        }
    }

    @Test("The lock file names this process while the log is open, and a later writer overwrites it")
    func lockFile() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/writer.lock"
            try Data("123456789012345\n".utf8).write(to: URL(fileURLWithPath: path))
            try withLog(in: directory) { (_) throws in
                #expect(try String(contentsOfFile: path, encoding: .utf8) == "\(getpid())\n")
            }
        }
    }

    @Test(
        "A newer format is refused by everybody, and nothing is changed", arguments: [2, 0xFFFF, UInt32.max])
    func newerFormat(_ version: UInt32) throws {
        try withTemporaryDirectory { directory in
            try withLog(in: directory) { (log) throws in
                try log.append([Said()])
                try setFormat(littleEndianBytes(version), of: log)
            }
            let path = directory + "/events.lmdb"
            let before = try Data(contentsOf: URL(fileURLWithPath: path))
            for access in [EventLog.Access.write, .read, .maintain] {
                #expect(opening(directory, access) == .newerFormat(path: path, found: version))
            }
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)
        }
    }

    @Test("A newer format is recognised even if its databases are others than ours")
    func newerDatabases() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/events.lmdb"
            do {
                let environment = try Environment(path: path, options: .init(mapByteCount: 1 << 20))
                let meta = try environment.database("meta")
                _ = try environment.database("batches")  // without integer keys
                try environment.write { (transaction) throws(LMDBError) in
                    try transaction.put([2, 0, 0, 0], for: Array("format".utf8), in: meta)
                    try transaction.put([1], for: Array("identity".utf8), in: meta)
                }
            }
            let before = try Data(contentsOf: URL(fileURLWithPath: path))
            for access in [EventLog.Access.write, .read, .maintain] {
                #expect(opening(directory, access) == .newerFormat(path: path, found: 2))
            }
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)
        }
    }

    @Test(
        "A format that never existed, or none, is damage", arguments: [[0, 0, 0, 0], [1], []] as [[UInt8]])
    func brokenFormat(_ bytes: [UInt8]) throws {
        try withTemporaryDirectory { directory in
            try withLog(in: directory) { try setFormat(bytes, of: $0) }
            for access in [EventLog.Access.write, .read] {
                #expect(opening(directory, access)?.damagedPosition == 0)
            }
        }
    }

    @Test(
        "A file that is no LMDB file is refused and left as it is",
        arguments: [1, 100, 4_096, 8_192, 100_000])
    func foreign(_ byteCount: Int) throws {
        try withTemporaryDirectory { directory in
            let url = URL(fileURLWithPath: directory + "/events.lmdb")
            let foreign = Data(repeating: 0x41, count: byteCount)
            try foreign.write(to: url)
            for access in [EventLog.Access.write, .read] {
                #expect(opening(directory, access)?.damagedPosition == 0)
            }
            #expect(try Data(contentsOf: url) == foreign)
        }
    }

    @Test("A truncated file is refused, wherever it was cut, but for the zeros behind it")
    func truncated() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/events.lmdb"
            let used = try withLog(in: directory) { (log) throws in
                for _ in 0..<20 { try log.append([Said(payload: [UInt8](repeating: 1, count: 9_000))]) }
                return log.usedByteCount
            }
            let whole = try Data(contentsOf: URL(fileURLWithPath: path))
            for count in [used, used + 1, whole.count - 1] {
                try whole.prefix(count).write(to: URL(fileURLWithPath: path))
                #expect(opening(directory, .read) == nil, "\(count) bytes")
            }
            for count in [used - 1, used - 4_096, used / 2, 8_192, 8_191, 4_096, 4_000, 16] {
                try whole.prefix(count).write(to: URL(fileURLWithPath: path))
                for access in [EventLog.Access.read, .write] {
                    #expect(opening(directory, access)?.damagedPosition == 0, "\(count) bytes")
                }
            }
            try whole.write(to: URL(fileURLWithPath: path))
            #expect(opening(directory, .write) == nil)
        }
    }

    @Test("An empty file is no log to a reader, and a fresh one to the writer")
    func emptyFile() throws {
        try withTemporaryDirectory { directory in
            try Data().write(to: URL(fileURLWithPath: directory + "/events.lmdb"))
            for access in [EventLog.Access.read, .maintain] {
                let error = opening(directory, access)
                #expect(error?.sentence.contains("holds no log") == true, "\(String(describing: error))")
            }
            try withLog(in: directory) { (log) throws in #expect(try log.append([Said()]).position == 1) }
        }
    }

    @Test("Flipped bytes on the first two pages are refused or overcome, never a crash")
    func metaPages() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/events.lmdb"
            try withLog(in: directory) { (log) throws in for _ in 0..<10 { try log.append([Said()]) } }
            let whole = try Data(contentsOf: URL(fileURLWithPath: path))
            // Page header and meta data: flags, magic, version, map and page size, depths, counts, last page.
            for page in 0..<2 {
                for offset in [10, 16, 20, 38, 40, 41, 42, 43, 136, 137, 143, 144, 151] {
                    for byte in [UInt8(0), 0x7F, 0xFF] {
                        var broken = whole
                        broken[page * 4_096 + offset] = byte
                        try broken.write(to: URL(fileURLWithPath: path))
                        let error = opening(directory, .read)
                        if let error {
                            #expect(error.damagedPosition == 0, "\(page) \(offset) \(byte): \(error)")
                        }
                    }
                }
            }
        }
    }

    @Test("Log, epoch and times go on after reopening")
    func reopening() throws {
        try withTemporaryDirectory { directory in
            for round in 1...5 as ClosedRange<UInt64> {
                try withLog(in: directory) { (log) throws in
                    #expect(log.head.position == (round - 1) * 2)
                    #expect(log.head.epoch == round - 1)
                    try log.append([Said(), Said()], time: 100 * round, epoch: round)
                }
            }
            try withLog(in: directory, .read) { (log) throws in
                #expect(log.head.time == 500)
                #expect(log.damage() == nil)
            }
        }
    }

    private func opening(_ directory: String, _ access: EventLog.Access) -> EventLogError? {
        do {
            try withLog(in: directory, access) { _ in }
            return nil
        } catch { return error as? EventLogError }
    }

    private func setFormat(_ bytes: [UInt8], of log: EventLog) throws {
        let meta = try log.environment.database("meta")
        try log.change { (transaction) throws(LMDBError) in
            try transaction.put(bytes, for: Array("format".utf8), in: meta)
        }
    }

    private func permissions(of path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }
}

/// Holds a file locked as another process would: `flock` belongs to the opened file, not to the process.
private struct FileLock {
    private let descriptor: Int32

    init(_ path: String, text: String) throws {
        descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0)
        _ = write(descriptor, text, text.utf8.count)
        try #require(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
    }

    func release() {
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }
}
