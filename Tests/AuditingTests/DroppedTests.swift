import Crypto
import EventLog
import Foundation
import Projections
import Recording
import Registry
import Samples
import Synchronization
import Testing

@testable import Auditing

@Suite("The verifier of a log whose beginning was dropped")
struct DroppedVerifierTests {
    @Test("The rest is whole, however it is cut into stretches, and what is gone is told")
    func whole() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            let (keys, end) = try recordDropped(in: directory, using: &random)
            for length in [UInt64(1), 7, 64, 1 << 18] {
                #expect(faults(in: directory, keys: keys, stretchLength: length) == [], "SEED=\(runSeed)")
            }
            let report = try Verifier(directory: directory).run()
            let log = try EventLog(directory: directory, access: .read)
            #expect(report.head == log.head && report.eventCount == log.head.position - end)
            let dropped = try #require(report.dropped)
            #expect(dropped.lastPosition == end && dropped.segmentCount == 2)
            #expect(dropped.eventPosition == log.head.position && dropped.time == log.head.time)
        }
    }

    @Test("A signed head proves where a dropped file ended, and elsewhere among them it cannot any more")
    func heads() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            let (_, end) = try recordDropped(in: directory, using: &random)
            let log = try EventLog(directory: directory, access: .read)
            let first = try #require(try log.tombstones().first)
            func verdict(_ position: UInt64, _ seal: Seal) throws -> HeadStatement.Verdict {
                let head = Head(position: position, seal: seal, time: 0, epoch: 1)
                return try HeadStatement(head, origin: "test").verdict(on: log)
            }
            let position = first.lastPosition
            #expect(try verdict(position, first.lastSeal) == .extended(by: log.head.position - position))
            #expect(try verdict(position, log.head.seal) == .rewritten)
            #expect(try verdict(position - 1, log.head.seal) == .dropped(upTo: end))
            let dropped = try #require(try log.droppedPart())
            #expect(try verdict(end, dropped.seal) == .extended(by: log.head.position - end))
        }
    }

    @Test("Any flipped bit of the base and of what is left of dropped files is found")
    func flippedBits() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            let whole = directory + "/whole"
            let (keys, _) = try recordDropped(in: whole, using: &random)
            for round in 0..<80 {
                let name = Tamper.archiveDatabases[round % Tamper.archiveDatabases.count]
                let copy = directory + "/copy"
                try? FileManager.default.removeItem(atPath: copy)
                try FileManager.default.copyItem(atPath: whole, toPath: copy)
                let tamper = try Tamper(copy)
                let entry = try #require(try tamper.entries(of: name).randomElement(using: &random))
                var value = entry.value
                let bit = Int.random(in: 0..<value.count * 8, using: &random)
                value[bit / 8] ^= 1 << UInt8(bit % 8)
                try tamper.replace(entry.key, in: name, by: entry.key, value)
                #expect(
                    faults(in: copy, keys: keys, stretchLength: 16) != [],
                    "SEED=\(runSeed) round \(round): \(name), key \(entry.key), bit \(bit)")
            }
        }
    }

    @Test("A base that is gone, and another one that is whole in itself, are not what log.dropped names")
    func otherBase() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            try recordDropped(in: directory, using: &random)
            // A name in it is written otherwise, and its checksum made anew.
            let tamper = try Tamper(directory)
            let entries = try tamper.entries(of: "base")
            var (front, rows) = (entries[0].value, entries[1].value)
            let place = try #require(Data(rows).firstRange(of: Data("site-".utf8))).lowerBound
            rows[place] ^= 1
            let others = entries[2...].flatMap(\.value)
            front.replaceSubrange(56..<88, with: Array(SHA256.hash(data: front[..<56] + rows + others)))
            try tamper.replace(entries[0].key, in: "base", by: entries[0].key, front)
            try tamper.replace(entries[1].key, in: "base", by: entries[1].key, rows)
            let damage = try #require(try Verifier(directory: directory).run().damage)
            #expect(damage.sentence == "the base is not the one that log.dropped names")
            for entry in entries { try tamper.remove(entry.key, in: "base") }
            let missing = try #require(try Verifier(directory: directory).run().damage)
            #expect(missing.sentence == "it is missing" && missing.position == 1)
        }
    }

    @Test("A drop that is told and not carried out here is no damage, as long as all that it names is there")
    func told() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            let keys = try recordArchived(in: directory, using: &random)
            let (first, second): (LogBase, LogBase)
            do {
                let log = try EventLog(directory: directory, access: .write, mapByteCount: 1 << 30)
                first = try tell(1, on: log)
                second = try tell(2, on: log)
            }
            let report = try Verifier(directory: directory).run()
            #expect(report.damage == nil && report.dropped == nil)
            #expect(faults(in: directory, keys: keys, stretchLength: 16) == [])
            // The earlier of the two is carried out, then the later one.
            for (base, count) in [(first, 1), (second, 2)] {
                try carryOut(base, in: directory)
                let report = try Verifier(directory: directory).run()
                #expect(report.damage == nil)
                let dropped = try #require(report.dropped)
                #expect(dropped.lastPosition == base.state.position && dropped.segmentCount == count)
                #expect(dropped.eventPosition == report.head.position - UInt64(2 - count))
                #expect(faults(in: directory, keys: keys, stretchLength: 16) == [])
            }
        }
    }

    @Test("Files that are gone without a base, and a base that nobody told, or of another time, are damage")
    func untold() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            let whole = directory + "/whole"
            _ = try recordArchived(in: whole, using: &random)
            func damage(_ name: String, _ body: (EventLog) throws -> Void) throws -> Damage? {
                let copy = directory + "/" + name
                try FileManager.default.copyItem(atPath: whole, toPath: copy)
                try body(try EventLog(directory: copy, access: .write, mapByteCount: 1 << 30))
                return try Verifier(directory: copy).run().damage
            }
            let missing = try damage("missing") { log in
                _ = try tell(1, on: log)
                let segment = try #require(try log.archivedSegments().first)
                try FileManager.default.removeItem(atPath: log.path(of: segment))
            }
            #expect(missing?.position == 1 && missing?.sentence == "it is missing")
            let untold = try damage("untold") { log in
                try log.enter(try base(1, of: log), droppedAt: log.head.time)
            }
            #expect(untold?.sentence.hasPrefix("no log.dropped says") == true, "\(untold as Any)")
            let late = try damage("late") { log in
                let base = try tell(1, on: log)
                try log.enter(base, droppedAt: log.head.time + 1)
            }
            #expect(late?.sentence == "the base is not the one that log.dropped names")
            let other = try damage("other") { log in
                _ = try tell(1, on: log)
                try log.enter(try base(2, of: log), droppedAt: log.head.time)
            }
            #expect(other?.sentence == "the base is not the one that log.dropped names")
        }
    }

    @Test("A drop beside a replay, or beside the auditor, makes it begin anew, and is no fault")
    func overtaken() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            let (first, second) = (directory + "/first", directory + "/second")
            let keys = try recordSample(in: first, commandCount: 400, using: &random)
            // So many that a replay tells of its progress in the midst of them.
            try addReports(90, to: first)
            try FileManager.default.copyItem(atPath: first, toPath: second)
            do {
                let log = try EventLog(directory: first, access: .write, mapByteCount: 1 << 30)
                var end: UInt64 = 0
                let replay = try Replay(of: log, verifyingSeals: true) { _ in
                    if end == 0 { end = (try? drop(5, of: log)) ?? 1 }
                }
                #expect(end > 90_000 && replay.checkpointPosition == end)
                #expect(replay.table.position == log.head.position)
                #expect(try replay.table.differences(from: Replay(of: log).table) == [])
            }
            let log = try EventLog(directory: second, access: .write, mapByteCount: 1 << 30)
            let end = Mutex<UInt64>(0)
            let report = Verifier(of: log, workerCount: 1).run { id, wrapped in
                keys[id] == wrapped ? nil : "altered"
            } progress: { _, _ in
                end.withLock { if $0 == 0 { $0 = (try? drop(5, of: log)) ?? 1 } }
            }
            #expect(end.withLock { $0 } > 90_000 && report.damage == nil && report.dropped != nil)
            #expect(report.state?.faults == [] && report.state?.keyCount == keys.count)
        }
    }

    /// Appends batches of a thousand reports, stores a checkpoint and archives all of it in five segments.
    private func addReports(_ batchCount: Int, to directory: String) throws {
        let log = try EventLog(directory: directory, access: .write, mapByteCount: 1 << 30)
        var table = try Replay(of: log).table
        let vim = try #require(table.allVIMs.first { $0.isRegistered })
        let event = Event.vimStatusReported(
            VIMStatusReported(
                actionID: vim.actionID, status: .reachable, verdict: .accepted, finding: .unstated))
        for _ in 0..<batchCount {
            var batch = BatchBuilder(firstPosition: log.head.position + 1, time: log.head.time + 1)
            for _ in 0..<1_000 {
                let position = event.withPayload { format, payload in
                    batch.append(
                        stream: vim.stream, previousInStream: table.lastPosition(inStream: vim.stream),
                        type: event.type.rawValue, format: format, payload: payload)
                }
                try table.apply(
                    PlacedEvent(
                        position: position, time: Timestamp(microseconds: batch.time), stream: vim.stream,
                        event: event))
            }
            _ = try log.append(&batch, epoch: 1)
        }
        try log.write(table.checkpoint(seal: log.head.seal))
        try archive(log, upTo: log.head.position, eventMax: 20_000)
        #expect(try log.archivedSegments().count == 5)
    }

    /// Two of three segments of a sample are dropped.
    @discardableResult
    private func recordDropped(
        in directory: String, using random: inout SeededGenerator
    ) throws -> (keys: [VIMID: [UInt8]], end: UInt64) {
        let keys = try recordSample(in: directory, commandCount: 400, using: &random)
        let log = try EventLog(directory: directory, access: .write, mapByteCount: 1 << 30)
        let end = log.head.position * 3 / 4
        try archive(log, upTo: end, eventMax: end / 3)
        let last = try drop(2, of: log)
        try log.write(try Replay(of: log).table.checkpoint(seal: log.head.seal))
        return (keys, last)
    }

    private func archive(_ log: EventLog, upTo end: UInt64, eventMax: UInt64) throws {
        while let segment = try log.writeSegment(upTo: end, eventMax: eventMax) {
            try append(
                .logArchived(
                    LogArchived(
                        firstPosition: segment.firstPosition, lastPosition: segment.lastPosition,
                        file: segment.fileName, lastSeal: segment.lastSeal.bytes,
                        batchByteCount: segment.batchByteCount, fileByteCount: segment.fileByteCount,
                        actor: Actor())), .enters(segment), to: log)
        }
        while try log.removeArchived() {}
    }

    /// A sample of which three quarters are archived in three segments.
    private func recordArchived(
        in directory: String, using random: inout SeededGenerator
    ) throws -> [VIMID: [UInt8]] {
        let keys = try recordSample(in: directory, commandCount: 400, using: &random)
        let log = try EventLog(directory: directory, access: .write, mapByteCount: 1 << 30)
        let end = log.head.position * 3 / 4
        try archive(log, upTo: end, eventMax: end / 3)
        try log.write(try Replay(of: log).table.checkpoint(seal: log.head.seal))
        return keys
    }

    /// Drops so many segments; returns where they ended.
    private func drop(_ count: Int, of log: EventLog) throws -> UInt64 {
        let base = try base(count, of: log)
        try append(dropped(count, base), .drops(base), to: log)
        #expect(try log.removeDroppedFiles() == 0)
        return base.state.position
    }

    /// Says that so many segments are dropped, as a pair does before it drops them.
    private func tell(_ count: Int, on log: EventLog) throws -> LogBase {
        let base = try base(count, of: log)
        try append(dropped(count, base), nil, to: log)
        return base
    }

    /// Does what was told.
    private func carryOut(_ base: LogBase, in directory: String) throws {
        let log = try EventLog(directory: directory, access: .write, mapByteCount: 1 << 30)
        var time: UInt64?
        try log.readEvents { (event) throws(any Error) -> Bool in
            if case .logDropped(let told) = try PlacedEvent(event).event, told.baseDigest == base.digest {
                time = event.envelope.time
            }
            return true
        }
        try log.enter(base, droppedAt: try #require(time))
        #expect(try log.removeDroppedFiles() == 0)
        try log.write(try Replay(of: log).table.checkpoint(seal: log.head.seal))
    }

    /// What stands for so many segments.
    private func base(_ count: Int, of log: EventLog) throws -> LogBase {
        let last = try log.archivedSegments()[count - 1]
        var table = try Replay(of: log, upTo: last.lastPosition).table
        table.forgetHistory(upTo: last.lastPosition)
        return LogBase(state: table.checkpoint(seal: last.lastSeal), firstSeal: try log.firstSeal())
    }

    private func dropped(_ count: Int, _ base: LogBase) -> Event {
        .logDropped(
            LogDropped(
                firstPosition: 1, lastPosition: base.state.position, segmentCount: UInt64(count),
                fileByteCount: 0, lastSeal: base.state.seal.bytes, firstSeal: base.firstSeal.bytes,
                baseDigest: base.digest, actor: Actor()))
    }

    private func append(_ event: Event, _ change: ArchiveChange?, to log: EventLog) throws {
        let previous = try Replay(of: log).table.lastPosition(inStream: 0)
        var batch = BatchBuilder(firstPosition: log.head.position + 1, time: log.head.time + 1)
        event.withPayload { format, payload in
            _ = batch.append(
                stream: 0, previousInStream: previous, type: event.type.rawValue, format: format,
                payload: payload)
        }
        _ = try log.append(&batch, epoch: 1, archive: change)
    }
}
