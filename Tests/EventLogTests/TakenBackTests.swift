import Foundation
import Samples
import Testing

@testable import EventLog
@testable import LMDB

@Suite("A commit that a power cut left in part")
struct TakenBackTests {
    private let later = MachineStart(1)

    @Test("Only a writer takes it back; readers are told to start the server; then the log goes on")
    func takenBack() throws {
        try withTornLog { (directory, heads) throws in
            for access in [EventLog.Access.read, .maintain] {
                let error = #expect(throws: EventLogError.self) {
                    try EventLog(directory: directory, access: access, start: later)
                }
                #expect(error == .unfinished(path: directory + "/events.lmdb"))
                #expect(error?.sentence.contains("start the server") == true && error?.isRetriable == false)
            }
            do {
                let log = try EventLog(directory: directory, access: .write, start: later)
                #expect(log.hasTakenBackCommit && log.hasUndoneCommit && log.head == heads.before)
                try log.append([Said(payload: [7])])
            }
            let log = try EventLog(directory: directory, access: .read, checking: .everything, start: later)
            #expect(!log.hasTakenBackCommit && !log.hasUndoneCommit)
            #expect(log.head.position == heads.before.position + 1)
            #expect(try log.events().count == Int(log.head.position))
        }
    }

    @Test("As long as a process holds the log it is that one's to settle, and others read")
    func held() throws {
        try withTornLog { (directory, heads) throws in
            let lock = try DirectoryLock(directory: directory)
            defer { withExtendedLifetime(lock) {} }
            #expect(try EventLog(directory: directory, access: .read, start: later).head == heads.after)
        }
    }

    @Test("A head that is to be kept is one that no power cut takes back")
    func durableHead() throws {
        try withTemporaryDirectory { directory in
            try withLog(in: directory) { (log) throws in
                try log.append([Said()])
                #expect(try log.durableHead() == log.head)
            }
            // Closed, it is as it stands.
            try withLog(in: directory, .read) { (log) throws in
                #expect(try log.durableHead() == log.head && log.head.position == 1)
            }
        }
        // A writer that was killed before it noted its last commit: the cache has it, the disk perhaps not.
        try withTornLog(isOnlyUnrecorded: true) { (directory, heads) throws in
            do {
                let log = try EventLog(directory: directory, access: .read)
                #expect(log.head == heads.after)
                #expect(throws: EventLogError.unfinished(path: log.path)) { try log.durableHead() }
            }
            do { #expect(try EventLog(directory: directory, access: .write).head == heads.after) }
            try withLog(in: directory, .read) { (log) throws in
                #expect(try log.durableHead() == heads.after)
            }
        }
    }

    /// A log of which the last commit reached the disk but for a page of its batch, or but for its record.
    private func withTornLog(
        isOnlyUnrecorded: Bool = false, _ body: (String, (before: Head, after: Head)) throws -> Void
    ) throws {
        try withTemporaryDirectory { place in
            let directory = place + "/torn"
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            var file = Data()
            var heads = (before: Head.none, after: Head.none)
            try withLog(in: place + "/whole") { (log) throws in
                for number in 0..<20 { try log.append([Said(payload: [UInt8(number)])]) }
                heads.before = log.head
                try log.append([Said(payload: [UInt8](repeating: 0xEE, count: 9_000))])
                heads.after = log.head
                file = try Data(contentsOf: URL(fileURLWithPath: log.path))
            }
            let path = directory + "/events.lmdb"
            try file.write(to: URL(fileURLWithPath: path))
            let pages = try PageFile(path: path)
            let (last, former) = try pages.lastRoots()
            var known: [UInt64: PageLinks] = [:]
            let digest = try CommitPages.digest(of: pages, from: former, to: last, known: &known)
            var words = CommitRecord.Words()
            if !isOnlyUnrecorded {
                words = CommitRecord(.committed, last.transaction, start: .current, digest: digest).words
                let batch = try #require(file.firstRange(of: Data(repeating: 0xEE, count: 100)))
                file.replaceSubrange(batch, with: Data(count: batch.count))
            }
            let place = Int(last.page) * 4_096 + CommitRecord.range.lowerBound
            file.replaceSubrange(place..<place + 64, with: withUnsafeBytes(of: words) { Array($0) })
            try file.write(to: URL(fileURLWithPath: path))
            try body(directory, heads)
        }
    }
}
