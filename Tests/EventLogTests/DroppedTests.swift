import Foundation
import LMDB
import Samples
import Testing

@testable import EventLog

@Suite("A log whose beginning was dropped")
struct DroppedTests {
    @Test(
        "Reading begins behind what was dropped, seals prove across it, and its ends still have their heads")
    func reading() throws {
        try withDroppedLog { (log, was) throws in
            #expect(try log.events(from: was.end + 1) == was.events(after: was.end))
            #expect(log.damage(from: was.end + 1) == nil)
            // Whoever wants everything gets what there is.
            var first: UInt64?
            try log.readEvents(verifyingSeals: true) { (event) throws(any Error) -> Bool in
                first = event.position
                return false
            }
            #expect(first == was.end + 1)
            #expect(try log.tombstones().map(\.lastPosition) == was.ends && was.ends.count == 2)
            for (end, head) in zip(was.ends, was.heads) {
                #expect(try log.head(at: end) == head && log.head(atTime: head.time) == head)
            }
            #expect(try log.firstSeal() == was.firstSeal)
            #expect(try log.firstPosition(since: 1) == was.end + 1)
            #expect(try log.droppedPart()?.seal == was.heads.last?.seal)
            let error = #expect(throws: EventLogError.self) { try log.head(at: was.end - 1) }
            #expect(error?.sentence.contains("up to position \(was.end)") == true)
            // The batches of the sample begin with 2026.
            #expect(error?.sentence.contains("it was dropped on 2026-") == true, "\(error?.sentence ?? "")")
            #expect(try log.archivePlan(before: .max).eventCount == log.head.position - log.archivedEnd())
        }
    }

    @Test("It goes on: appended, archived, and dropped further, with what was dropped before kept as seals")
    func further() throws {
        try withDroppedLog { (log, was) throws in
            let end = try #require(try log.archivedSegments().last).lastPosition
            try drop(log, upTo: end)
            #expect(try log.tombstones().count == 3 && log.archivedSegments() == [])
            #expect(try log.firstSeal() == was.firstSeal)
            #expect(try log.events(from: end + 1).count == Int(log.head.position - end))
            for _ in 0..<30 { try log.append([Said(), Said()]) }
            let segment = try #require(try log.writeSegment(upTo: log.head.position - 10))
            try log.append([Said(stream: 0, type: 11)], archive: .enters(segment))
            while try log.removeArchived() {}
            #expect(segment.firstPosition == end + 1 && log.damage(from: end + 1) == nil)
        }
    }

    @Test("It is never cut at what was dropped, or before")
    func cut() throws {
        try withDroppedLog { (log, was) throws in
            let archivedEnd = try log.archivedEnd()
            for mark in was.heads + [.none] {
                #expect(throws: CutError.archived(position: mark.position, end: archivedEnd)) {
                    try log.cut(to: mark)
                }
            }
            #expect(try log.droppedPart()?.lastPosition == was.end && log.cutFiles() == [])
        }
    }

    @Test("A base goes in its place without an event, too, if that was stored before")
    func withoutEvent() throws {
        var random = SeededGenerator(seed: runSeed)
        try withFreshLog { (log) throws in
            try fill(log, using: &random)
            try log.write(Checkpoint(position: 5, seal: try log.head(at: 5).seal, schema: 1, rows: rows))
            let (first, head) = (try #require(try log.archivedSegments().first), log.head)
            let state = Checkpoint(
                position: first.lastPosition, seal: first.lastSeal, schema: 1, rows: rows)
            let firstSeal = try log.firstSeal()
            try log.enter(LogBase(state: state, firstSeal: firstSeal), droppedAt: 77)
            #expect(try log.head == head && log.checkpointPosition() == 0)
            #expect(
                try log.droppedPart()
                    == DroppedPart(
                        lastPosition: first.lastPosition, seal: first.lastSeal, time: 77,
                        firstSeal: firstSeal))
            #expect(try log.readBase() == state && log.archivedSegments().count == 2)
        }
    }

    @Test("Files go after the commit; those that a crash left go at the next start")
    func files() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            let paths = try withLog(in: directory) { (log) throws in
                try fill(log, using: &random)
                let segments = try log.archivedSegments()
                try append(drop: segments[1].lastPosition, to: log)
                return segments.map { log.path(of: $0) }
            }
            let exist = { paths.map { FileManager.default.fileExists(atPath: $0) } }
            #expect(exist() == [true, true, true])
            // Readers change nothing, and need none of them.
            try withLog(in: directory, .read) { (log) throws in
                #expect(log.damage(from: try log.tombstones()[1].lastPosition + 1) == nil)
            }
            #expect(exist() == [true, true, true])
            try withLog(in: directory) { _ in #expect(exist() == [false, false, true]) }
        }
    }

    @Test("A base of which a bit flipped is told, wherever it is")
    func damagedBase() throws {
        try withDroppedLog { (log, was) throws in
            let base = try #require(log.base)
            for number: UInt32 in 0...1 {
                let key = EventLog.key(number)
                let whole = try #require(
                    try log.look { (transaction) throws(LMDBError) in try transaction.copy(of: key, in: base)
                    })
                for bit in stride(from: 0, to: min(whole.count, 88) * 8, by: 5) {
                    var flipped = whole
                    flipped[bit / 8] ^= 1 << UInt8(bit % 8)
                    try log.change { (transaction) throws(LMDBError) in
                        try transaction.put(flipped, for: key, in: base)
                    }
                    #expect(throws: EventLogError.self, "bit \(bit)") { try log.readBase() }
                }
                try log.change { (transaction) throws(LMDBError) in
                    try transaction.put(whole, for: key, in: base)
                }
            }
            #expect(try log.readBase()?.rows == rows)
        }
    }

    @Test("A reader that a drop overtakes is told, and not taken for one that met damage")
    func overtaken() throws {
        var random = SeededGenerator(seed: runSeed)
        try withFreshLog { (log) throws in
            try fill(log, using: &random)
            let segments = try log.archivedSegments()
            let error = #expect(throws: ReadError<Never>.self) {
                try log.readBatches { (batch) throws(Never) -> Bool in
                    // The first segment's file stays open; the second is gone when its turn comes.
                    if batch.firstPosition == 1 { try? drop(log, upTo: segments[1].lastPosition) }
                    return true
                }
            }
            guard case .dropped(_, let end, _) = error?.error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(end == segments[1].lastPosition)
        }
    }
}

/// What a log was before its beginning was dropped.
private struct Former {
    var all: [Said]
    /// Where the dropped segments ended.
    var ends: [UInt64]
    var heads: [Head]
    var firstSeal: Seal
    var end: UInt64 { ends.last ?? 0 }

    func events(after position: UInt64) -> [Said] { Array(all[Int(position)...]) }
}

private let rows = [UInt8](repeating: 7, count: 100)

/// A log of three segments of which two are dropped.
private func withDroppedLog(_ body: (EventLog, Former) throws -> Void) throws {
    var random = SeededGenerator(seed: runSeed)
    try withFreshLog { (log) throws in
        try fill(log, using: &random)
        let segments = try log.archivedSegments()
        var was = Former(
            all: try log.events(), ends: segments.prefix(2).map(\.lastPosition),
            heads: try segments.prefix(2).map { try log.head(at: $0.lastPosition) },
            firstSeal: try log.head(at: 1).seal)
        try drop(log, upTo: was.end)
        was.all += [dropping]
        try body(log, was)
    }
}

private let dropping = Said(stream: 0, type: 13)

private func fill(_ log: EventLog, using random: inout SeededGenerator) throws {
    for draft in steadyReports(streams: 7, rounds: 60, perBatch: 1...4, using: &random) {
        try log.append(draft.events, time: max(draft.time, log.head.time + 1))
    }
    for _ in 0..<3 {
        let segment = try #require(try log.writeSegment(upTo: 300, eventMax: 70))
        try log.append([Said(stream: 0, type: 11)], archive: .enters(segment))
    }
    while try log.removeArchived() {}
}

private func append(drop end: UInt64, to log: EventLog) throws {
    let head = try log.head(at: end)
    let state = Checkpoint(position: end, seal: head.seal, schema: 1, rows: rows)
    try log.append([dropping], archive: .drops(LogBase(state: state, firstSeal: try log.firstSeal())))
}

private func drop(_ log: EventLog, upTo end: UInt64) throws {
    try append(drop: end, to: log)
    #expect(try log.removeDroppedFiles() == 0)
}
