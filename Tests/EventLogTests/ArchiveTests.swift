import Foundation
import LMDB
import Samples
import Testing

@testable import EventLog

@Suite("A log with an archive")
struct ArchiveTests {
    @Test(
        "Everything reads as before, wherever it begins, while batches are archived and removed"
    )
    func readsAsOne() throws {
        var random = SeededGenerator(seed: runSeed)
        try withFreshLog { (log) throws in
            try appendReports(to: log, 300, using: &random)
            let before = try Readings(of: log)
            while let segment = try log.writeSegment(upTo: 250, eventMax: 70) {
                let alone = try Readings(of: log)
                #expect(alone.isEqual(to: before, upTo: before.end), "a file alone changes nothing")
                try log.append([Said(stream: 0, type: 11)], archive: .enters(segment))
                #expect(try Readings(of: log).isEqual(to: before, upTo: before.end), "SEED=\(runSeed)")
                while try log.removeArchived(batchMax: 9) {
                    #expect(try Readings(of: log).isEqual(to: before, upTo: before.end), "SEED=\(runSeed)")
                }
            }
            let segments = try log.archivedSegments()
            #expect(segments.count > 2)
            #expect(segments.last.map { $0.lastPosition <= 250 && $0.lastPosition > 240 } == true)
            #expect(try log.storedBatch(1) == nil)
            #expect(log.damage() == nil)
        }
    }

    @Test("A log that was archived reopens, for writing and for reading, and goes on")
    func reopens() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            let events = try withLog(in: directory) { (log) throws in
                try appendReports(to: log, 100, using: &random)
                try archive(log, upTo: 90)
                return try log.events()
            }
            try withLog(in: directory, .read) { (log) throws in #expect(try log.events() == events) }
            try withLog(in: directory) { (log) throws in
                #expect(try log.events() == events)
                try log.append([Said()])
                #expect(try log.events().count == events.count + 1)
            }
        }
    }

    @Test("A reader that is overtaken by the archiving goes on in the segments and misses nothing")
    func overtaken() throws {
        var random = SeededGenerator(seed: runSeed)
        try withFreshLog { (log) throws in
            // More than one view of the file, so that the reader comes back to it.
            for _ in 0..<40 { try log.append([Said(payload: random.bytes(900_000))]) }
            var read: [UInt64] = []
            var isArchived = false
            do {
                try log.readEvents(verifyingSeals: true) { (event) throws(any Error) -> Bool in
                    read.append(event.position)
                    if event.position == 5, !isArchived {
                        isArchived = true
                        // On another thread: a read transaction of this one is open.
                        try onAnotherThread {
                            try archive(log, upTo: 38)
                        }
                    }
                    return true
                }
            }
            #expect(read == Array(1...UInt64(read.count)) && read.count >= 40)
        }
    }

    @Test("A missing, a shortened and an altered segment are told by name and position by every reader")
    func damagedFiles() throws {
        var random = SeededGenerator(seed: runSeed)
        try withFreshLog { (log) throws in
            try appendReports(to: log, 60, using: &random)
            try archive(log, upTo: 50)
            let segment = try #require(try log.archivedSegments().first)
            let path = log.path(of: segment)
            let url = URL(fileURLWithPath: path)
            let whole = try Data(contentsOf: url)
            var flipped = whole
            flipped[whole.count - 3] ^= 4
            for (bytes, words, position) in [
                (nil, "it is missing", 0), (whole.dropLast(), "bytes where", 0),
                (flipped, "does not match its SHA-256", 1),
            ] as [(Data?, String, UInt64)] {
                try? FileManager.default.removeItem(at: url)
                try bytes?.write(to: url)
                let error = try #require(log.damage())
                #expect(error.sentence.contains(path) && error.sentence.contains(words), "\(error.sentence)")
                #expect(error.damagedPosition == position)
                #expect(throws: EventLogError.self) { try log.head(at: 20) }
                #expect(try log.head(at: segment.lastPosition).seal == segment.lastSeal)
                #expect(log.damage(from: segment.lastPosition + 1) == nil)
            }
            try FileManager.default.removeItem(at: url)
            try whole.write(to: url)
            #expect(log.damage() == nil)
        }
    }

    @Test("A segment of the same range but of another log is refused")
    func foreignSegment() throws {
        var random = SeededGenerator(seed: runSeed)
        try withFreshLog { (log) throws in
            try appendReports(to: log, 60, using: &random)
            try archive(log, upTo: 50)
            let path = log.path(of: try #require(try log.archivedSegments().first))
            try withFreshLog { (other) throws in
                try appendReports(to: other, 60, using: &random)
                try archive(other, upTo: 50)
                let foreign = other.path(of: try #require(try other.archivedSegments().first))
                try FileManager.default.removeItem(atPath: path)
                try FileManager.default.copyItem(atPath: foreign, toPath: path)
            }
            #expect(log.damage()?.sentence.contains("another segment") == true)
        }
    }

    @Test("A flipped bit in the index of the archive is found")
    func flippedIndex() throws {
        var random = SeededGenerator(seed: runSeed)
        try withFreshLog { (log) throws in
            try appendReports(to: log, 60, using: &random)
            try archive(log, upTo: 50)
            let key = littleEndianBytes(UInt64(1))
            let segments = try #require(log.segments)
            let whole = try #require(
                try log.look { (transaction) throws(LMDBError) in try transaction.copy(of: key, in: segments)
                })
            for bit in 0..<whole.count * 8 {
                var flipped = whole
                flipped[bit / 8] ^= 1 << UInt8(bit % 8)
                try log.change { (transaction) throws(LMDBError) in
                    try transaction.put(flipped, for: key, in: segments)
                }
                #expect(log.damage() != nil, "bit \(bit)")
            }
        }
    }

    @Test("What an interrupted archiving left is thrown away at the next start; another log's file is not")
    func orphans() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            let (orphan, next) = try withLog(in: directory) { (log) throws in
                try appendReports(to: log, 60, using: &random)
                let segment = try #require(try log.writeSegment(upTo: 50))
                let next = log.archiveDirectory + "/" + SegmentHeader.fileName(segment.lastPosition + 1)
                return (log.path(of: segment), next)
            }
            let partial = next + ".partial"
            let foreign = next
            try Data("half".utf8).write(to: URL(fileURLWithPath: partial))
            try Data("foreign".utf8).write(to: URL(fileURLWithPath: foreign))
            let manager = FileManager.default
            try withLog(in: directory, .read) { _ in #expect(manager.fileExists(atPath: orphan)) }
            try withLog(in: directory) { (log) throws in
                #expect(!manager.fileExists(atPath: orphan) && !manager.fileExists(atPath: partial))
                #expect(manager.fileExists(atPath: foreign))
                try archive(log, upTo: 50)
                #expect(log.damage() == nil)
                let error = #expect(throws: EventLogError.self) { try log.writeSegment(upTo: 59) }
                #expect(error?.sentence.contains("move it elsewhere") == true)
            }
        }
    }

    @Test("The data file stops growing under a steady load that is archived as it goes")
    func stopsGrowing() throws {
        var random = SeededGenerator(seed: runSeed)
        try withFreshLog { (log) throws in
            var sizes: [Int] = []
            for _ in 0..<12 {
                for _ in 0..<60 { try log.append((0..<50).map { _ in Said(payload: random.bytes(60)) }) }
                try archive(log, upTo: log.head.position - 1_000)
                sizes.append(log.usedByteCount)
            }
            #expect(sizes[11] == sizes[5], "\(sizes)")
        }
    }

    @Test("Checkpoints find their room among freed pages, too")
    func checkpointsStopGrowing() throws {
        var random = SeededGenerator(seed: runSeed)
        try withFreshLog { (log) throws in
            var sizes: [Int] = []
            let rows = random.bytes(300_000)
            for _ in 0..<24 {
                for _ in 0..<400 { try log.append([Said(payload: random.bytes(60))]) }
                // As the conductor does: before the batches go, and when all is done.
                for _ in 0..<2 {
                    let head = log.head
                    try log.write(Checkpoint(position: head.position, seal: head.seal, schema: 1, rows: rows))
                    try archive(log, upTo: head.position - 10)
                }
                sizes.append(log.usedByteCount)
            }
            // The index of segments takes a page now and then; checkpoints in runs would triple the file.
            #expect(sizes[23] < sizes[0] * 3 / 2, "\(sizes)")
        }
    }

    @Test("Nothing is written where there is no whole batch to archive")
    func nothing() throws {
        try withFreshLog { (log) throws in
            #expect(try log.writeSegment(upTo: 10) == nil)
            #expect(try log.removeArchived() == false)
            try log.append([Said(), Said(), Said()])
            #expect(try log.writeSegment(upTo: 2) == nil)
            #expect(try log.archivedEnd() == 0)
            #expect(!FileManager.default.fileExists(atPath: log.archiveDirectory))
            try archive(log, upTo: 3)
            #expect(try log.archivedEnd() == 3)
            #expect(try log.events().count == 4)
        }
    }

    /// Archives and removes all of a range.
    private func archive(_ log: EventLog, upTo end: UInt64) throws {
        while let segment = try log.writeSegment(upTo: end) {
            try log.append([Said(stream: 0, type: 11)], archive: .enters(segment))
        }
        while try log.removeArchived(batchMax: 7) {}
    }

    private func appendReports(to log: EventLog, _ count: Int, using random: inout SeededGenerator) throws {
        let drafts = steadyReports(streams: 7, rounds: count, perBatch: 1...4, using: &random)
        for draft in drafts where log.head.position < count {
            try log.append(draft.events, time: max(draft.time, log.head.time + 1))
        }
    }
}

/// What a log says in all the ways in which it can be asked.
private struct Readings: Equatable {
    var end: UInt64
    var events: [Said]
    var suffixes: [Int]
    var heads: [Head]

    init(of log: EventLog) throws {
        end = log.head.position
        events = try log.events()
        suffixes = try stride(from: 1, through: end, by: 41).map { try log.events(from: $0).count }
        heads = try stride(from: 0, through: end, by: 17).map { try log.head(at: $0) }
        for head in heads {
            heads.append(try log.head(atTime: head.time))
            heads.append(try log.head(atTime: head.time + 1))
        }
    }

    /// Whether what stood up to a position reads the same.
    func isEqual(to other: Readings, upTo end: UInt64) -> Bool {
        let more = events.count - other.events.count
        return Array(events.prefix(Int(end))) == other.events
            && Array(suffixes.prefix(other.suffixes.count)) == other.suffixes.map { $0 + more }
            && Array(heads.prefix { $0.position < end }) == Array(other.heads.prefix { $0.position < end })
    }
}

func onAnotherThread(_ body: @escaping () throws -> Void) throws {
    nonisolated(unsafe) let body = body  // the caller waits
    nonisolated(unsafe) var failure: (any Error)?  // read after the wait
    let thread = Thread { do { try body() } catch { failure = error } }
    thread.start()
    while !thread.isFinished { usleep(1_000) }
    if let failure { throw failure }
}
