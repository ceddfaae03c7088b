import Foundation
import Samples
import Testing

@testable import LMDB

@Suite("Commits that are durable by one sync")
struct CommitRecordsTests {
    private let earlier = MachineStart(1)
    private let later = MachineStart(2)

    @Test("Whichever of its pages were not written: a commit is taken back, and the state before is whole")
    func torn() throws {
        var random = SeededGenerator(seed: runSeed)
        var (tornCount, wholeCount) = (0, 0)
        for round in 0..<12 {
            try withTemporaryDirectory { directory in
                let path = directory + "/data"
                // What the disk has if nothing of the last commit reached it, and if all did; never closed.
                let images = try withRecording(in: directory) { environment, databases in
                    for _ in 0..<round * 8 { try change(environment, databases, &random) }
                    let before = try Image(environment, databases)
                    try change(environment, databases, &random)
                    return (before: before, after: try Image(environment, databases).justCommitted())
                }
                let changed = images.after.pages(notIn: images.before)
                #expect(changed.count > 3)
                for kept in 0..<40 {
                    // None, all but one, or any.
                    let missing = changed.enumerated().filter { index, _ in
                        kept < changed.count ? index == kept : Bool.random(using: &random)
                    }.map(\.element)
                    let image = images.after.replacing(missing, by: images.before)
                    try image.write(to: path)
                    let place: Comment = "SEED=\(runSeed), round \(round), missing \(missing) of \(changed)"
                    let isWhole = try Environment.isLastCommitWhole(of: path, start: later)
                    if !isWhole {
                        tornCount += 1
                        try Environment.takeBackLastCommit(of: path, start: later)
                        try #require(try Environment.isLastCommitWhole(of: path, start: later), place)
                    } else {
                        wholeCount += 1
                    }
                    try withRecording(in: directory) { environment, databases in
                        try environment.checkPages(isThorough: true)
                        // Without its roots there is nothing of it, and so nothing to take back.
                        let isThere = isWhole && !missing.contains(images.after.newerRoots)
                        let expected = isThere ? images.after : images.before
                        try #require(try contents(of: environment, databases) == expected.content, place)
                        // And it goes on from there.
                        try change(environment, databases, &random)
                        try environment.checkPages(isThorough: true)
                    }
                }
            }
        }
        #expect(tornCount > 100 && wholeCount > 5)
    }

    @Test("A page that is anything leads somewhere or is refused, and is not taken for what was written")
    func garbage() throws {
        var random = SeededGenerator(seed: runSeed)
        var (refusedCount, readCount) = (0, 0)
        try withTemporaryDirectory { directory in
            let path = directory + "/data"
            let images = try withRecording(in: directory) { environment, databases in
                for _ in 0..<60 { try change(environment, databases, &random) }
                let before = try Image(environment, databases)
                try change(environment, databases, &random)
                return (before: before, after: try Image(environment, databases).justCommitted())
            }
            let changed = images.after.pages(notIn: images.before).filter { $0 > 1 }
            for round in 0..<600 {
                let page = try #require(changed.randomElement(using: &random))
                var file = images.after.file
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    // Mostly in its front and behind it, where it says where things are.
                    let most = round.isMultiple(of: 3) ? 4_095 : 80
                    file[page * 4_096 + Int.random(in: 0...most, using: &random)] ^= UInt8.random(
                        in: 1...255, using: &random)
                }
                guard file != images.after.file else { continue }
                try file.write(to: URL(fileURLWithPath: path))
                let isWhole = try Environment.isLastCommitWhole(of: path, start: later)
                // As long as the machine has not started anew it is no power cut's.
                if !isWhole {
                    #expect(throws: PageFault.self) {
                        try Environment.isLastCommitWhole(of: path, start: earlier)
                    }
                }
                if isWhole {
                    // Altered where nothing is: behind the end of a long value.
                    let content = try withRecording(in: directory) { try contents(of: $0, $1) }
                    #expect(content == images.after.content, "SEED=\(runSeed), page \(page)")
                }
                for isLeaf in [false, true] {
                    let bytes = Array(file[page * 4_096..<(page + 1) * 4_096])
                    let links = bytes.withUnsafeBytes { bytes in
                        try? PageLinks(of: bytes, UInt64(page), isLeaf: isLeaf)
                    }
                    if links == nil { refusedCount += 1 } else { readCount += 1 }
                }
            }
        }
        #expect(refusedCount > 100 && readCount > 100)
    }

    @Test(
        "What a killed process committed is whole until the machine starts anew; then it must have a record")
    func unrecorded() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/data"
            try withRecording(in: directory) { environment, databases in
                try environment.putPair(1, in: databases[0])
                try environment.putPair(2, in: databases[0])
                try Image(environment, databases).withoutRecord().write(to: path + ".copy")
            }
            #expect(try Environment.isLastCommitWhole(of: path + ".copy", start: earlier))
            #expect(try !Environment.isLastCommitWhole(of: path + ".copy", start: later))
            #expect(try !Environment.isLastCommitWhole(of: path + ".copy", start: MachineStart(0)))
            try Environment.takeBackLastCommit(of: path + ".copy", start: later)
            try FileManager.default.removeItem(atPath: path)
            try FileManager.default.moveItem(atPath: path + ".copy", toPath: path)
            try withRecording(in: directory) { environment, databases in
                let kept = try environment.value(of: [1], in: databases[0])
                #expect(kept == Array("1".utf8))
            }
        }
    }

    @Test("Who notes nothing may commit behind a log that was closed")
    func earlierVersion() throws {
        try withTemporaryDirectory { directory in
            try withRecording(in: directory) { try $0.putPair(1, in: $1[0]) }
            try withEnvironment(in: directory) { try $0.putPair(2, in: $1) }
            #expect(try Environment.isLastCommitWhole(of: directory + "/data", start: later))
            try withRecording(in: directory) { environment, databases in
                #expect(try environment.value(of: [1], in: databases[0]) == Array("2".utf8))
                try environment.putPair(3, in: databases[0])
                try Image(environment, databases).write(to: directory + "/copy")
            }
            #expect(try Environment.isLastCommitWhole(of: directory + "/copy", start: later))
        }
    }

    @Test("A taking back that was interrupted is done again")
    func interrupted() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/copy"
            let before = try withRecording(in: directory) { environment, databases in
                try environment.putPair(1, in: databases[0])
                let before = try Image(environment, databases)
                try environment.putPair(2, in: databases[0])
                try Image(environment, databases).withoutRecord().write(to: path)
                return before
            }
            // Its first step: what it writes beside the roots of the state before.
            var file = try Data(contentsOf: URL(fileURLWithPath: path))
            let place = before.newerRoots * 4_096 + CommitRecord.range.lowerBound
            let record = CommitRecord(.opened, before.transaction, start: MachineStart(0))
            file.replaceSubrange(
                place..<place + CommitRecord.range.count,
                with: withUnsafeBytes(of: record.words) { Array($0) })
            try file.write(to: URL(fileURLWithPath: path))
            for start in [earlier, later] {
                #expect(try !Environment.isLastCommitWhole(of: path, start: start))
            }
            try Environment.takeBackLastCommit(of: path, start: later)
            #expect(try Environment.isLastCommitWhole(of: path, start: later))
            // There is nothing more to take back.
            let settled = try Data(contentsOf: URL(fileURLWithPath: path))
            try Environment.takeBackLastCommit(of: path, start: later)
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == settled)
        }
    }

    @Test("A record keeps its words, and each flipped bit of it is found")
    func record() throws {
        let record = CommitRecord(
            .committed, 0x0102, start: MachineStart(0x0304), digest: PageDigest(low: 5, high: 6))
        let words = record.words
        #expect(
            (0..<8).map { words[$0] } == [
                0x0065_7474_6564_6576, 0x0102, 3, 5, 6, 0x0304, 0, 11_099_016_541_699_276_456,
            ])
        #expect(try CommitRecord(words, page: 0) == record)
        #expect(try CommitRecord(CommitRecord.Words(), page: 0) == nil)
        for bit in 0..<8 * 64 {
            var altered = words
            altered[bit / 64] ^= 1 << UInt64(bit % 64)
            #expect(throws: PageFault.self) { try CommitRecord(altered, page: 1) }
        }
    }

    @Test("While somebody commits, who looks leaves it to them, and who wants what is durable waits")
    func beside() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/copy"
            try withRecording(in: directory) { environment, databases in
                try environment.putPair(1, in: databases[0])
                try environment.putPair(2, in: databases[0])
                try Image(environment, databases).withoutRecord().write(to: path)
            }
            let records = try CommitRecords(path: path, canWrite: false, start: later)
            let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            #expect(flock(file.fileDescriptor, LOCK_EX) == 0)
            #expect(try !records.isLastCommitTorn())
            #expect(isBusy(records))
            #expect(flock(file.fileDescriptor, LOCK_UN) == 0)
            // Nobody does, and it came to no end.
            #expect(try records.isLastCommitTorn())
            #expect(isBusy(records))
            try Environment.takeBackLastCommit(of: path, start: later)
            #expect(!isBusy(records))
        }
    }

    private func isBusy(_ records: CommitRecords) -> Bool {
        do throws(TransactionError<Never>) {
            return try records.readingDurable(seconds: 1) { false }
        } catch {
            guard case .library(.busy) = error else { return false }
            return true
        }
    }

    /// Two databases, one with integer keys that only grow.
    private func withRecording<Result>(
        in directory: String, _ body: (Environment, [Database]) throws -> Result
    ) throws -> Result {
        var options = Environment.Options(mapByteCount: 1 << 26)
        options.durability = .recorded(isLast: true)
        options.start = earlier
        let environment = try Environment(path: directory + "/data", options: options)
        let databases = [
            try environment.database("numbers"), try environment.database("log", integerKeys: true),
        ]
        return try body(environment, databases)
    }

    /// One commit: appends, puts and removes some, long values among them.
    private func change(
        _ environment: Environment, _ databases: [Database], _ random: inout SeededGenerator
    ) throws {
        let last = try contents(of: environment, [databases[1]])[0].last?.key ?? []
        let next = (last.isEmpty ? 0 : last.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }) + 1
        let keys = try contents(of: environment, [databases[0]])[0].map(\.key)
        let removed = keys.shuffled(using: &random).prefix(Int.random(in: 0...6, using: &random))
        let added = (0..<Int.random(in: 0...8, using: &random)).map { _ in
            (
                random.bytes(Int.random(in: 1...200, using: &random)),
                random.bytes(Int.random(in: 0..<3, using: &random) == 0 ? 9_000 : 90)
            )
        }
        let appended = random.bytes(Int.random(in: 0..<3, using: &random) == 0 ? 20_000 : 200)
        try environment.change { (transaction) throws(LMDBError) in
            for key in removed { try transaction.remove(key, in: databases[0]) }
            for (key, value) in added { try transaction.put(value, for: key, in: databases[0]) }
            try withUnsafeBytes(of: next) { (key) throws(LMDBError) in
                try transaction.append(byteCount: appended.count, for: key, in: databases[1]) {
                    $0.copyBytes(from: appended)
                }
            }
        }
    }
}

private struct Entry: Equatable {
    var key: [UInt8]
    var value: [UInt8]
}

private func contents(of environment: Environment, _ databases: [Database]) throws -> [[Entry]] {
    try environment.read { (transaction) throws in
        try databases.map { database in
            try transaction.withCursor(over: database) { (cursor) throws in
                var entries: [Entry] = []
                while let entry = try cursor.next() {
                    entries.append(Entry(key: Array(entry.key), value: Array(entry.value)))
                }
                return entries
            }
        }
    }
}

/// A data file as it stood at a moment, and what was stored in it.
private struct Image {
    var file: Data
    var content: [[Entry]]

    init(_ environment: Environment, _ databases: [Database]) throws {
        file = try Data(contentsOf: URL(fileURLWithPath: environment.path))
        content = try contents(of: environment, databases)
    }

    private func number(_ page: Int) -> UInt64 {
        file.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: page * 4_096 + 144, as: UInt64.self) }
    }
    var newerRoots: Int { number(0) > number(1) ? 0 : 1 }
    var transaction: UInt64 { number(newerRoots) }

    private func page(_ number: Int) -> Data {
        let start = min(number * 4_096, file.count)
        let bytes = file[start..<min(start + 4_096, file.count)]
        return bytes + Data(count: 4_096 - bytes.count)
    }

    func pages(notIn other: Image) -> [Int] {
        (0..<(file.count + 4_095) / 4_096).filter { page($0) != other.page($0) }
    }

    func replacing(_ pages: [Int], by other: Image) -> Image {
        var image = self
        for page in pages {
            image.file.replaceSubrange(page * 4_096..<(page + 1) * 4_096, with: other.page(page))
        }
        return image
    }

    /// Without what was noted beside the newer roots.
    func withoutRecord() -> Image { noting(CommitRecord.Words()) }

    /// As it was when its last commit was synced, before that was noted.
    func justCommitted() throws -> Image {
        try withTemporaryDirectory { directory in
            try write(to: directory + "/image")
            let file = try PageFile(path: directory + "/image")
            let (last, before) = try file.lastRoots()
            var known: [UInt64: PageLinks] = [:]
            let digest = try CommitPages.digest(of: file, from: before, to: last, known: &known)
            return noting(
                CommitRecord(.committed, transaction, start: MachineStart(1), digest: digest).words)
        }
    }

    private func noting(_ words: CommitRecord.Words) -> Image {
        var image = self
        let place = newerRoots * 4_096 + CommitRecord.range.lowerBound
        image.file.replaceSubrange(
            place..<place + CommitRecord.range.count, with: withUnsafeBytes(of: words) { Array($0) })
        return image
    }

    func write(to path: String) throws { try file.write(to: URL(fileURLWithPath: path)) }
}
