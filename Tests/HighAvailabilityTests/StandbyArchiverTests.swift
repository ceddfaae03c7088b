// Starts nothing: a node in this process follows a leader that the test plays, over loopback.
import Conductor
import EventLog
import Foundation
import Harness
import Identity
import LMDB
import Logging
import PairProtocol
import Projections
import Recording
import Registry
import Samples
import Testing

@testable import HighAvailability

@Suite("A node that follows archives what its log says is archived, and drops what is acknowledged")
struct StandbyArchiverTests {
    @Test("What was archived before and while it follows, to the same ends, and its data file keeps the rest")
    func follows() async throws {
        try await Harness.withTemporaryDirectory { directory in
            let ports = try freePorts(count: 2)
            var recorder = try Recorder("\(directory)/leader")
            try recorder.fill(150)
            // Named in one portion, so stored in one commit.
            try recorder.noteArchived(upTo: 40)
            try recorder.noteArchived(upTo: 100)
            let leader = try PlayedLeader(recorder.log, epoch: 1, listen: ports[0], peer: ports[1])
            let node = try makeNode(
                "\(directory)/node", listen: ports[1], peer: ports[0], lines: LogLines(level: .info))
            try await withRunning({ try await node.run() }) {
                try await withRunning({ try await leader.run() }) {
                    try await eventually("it has archived as much") { try node.ends == [40, 100] }
                    try recorder.fill(50)
                    try recorder.noteArchived(upTo: 170)
                    leader.ship()
                    try await eventually("it goes on") { try node.ends == [40, 100, 170] }
                    // What is said of nothing new changes nothing.
                    try recorder.noteArchived(upTo: 160)
                    try recorder.fill(3)
                    leader.ship()
                    try await eventually("it has all") { node.position == recorder.log.head.position }
                    try await eventually("what is archived has left the data file") {
                        try node.firstHotPosition == 171
                    }
                }
            }
            #expect(try node.ends == [40, 100, 170])
            #expect(try node.log.checkpointPosition() >= 170)
            #expect(node.log.head == recorder.log.head)
            #expect(try Replay(of: node.log, verifyingSeals: true).table.position == recorder.table.position)
        }
    }

    @Test("What it was killed before it archived, it archives after the next start, alone")
    func restarts() async throws {
        try await Harness.withTemporaryDirectory { directory in
            do {
                var recorder = try Recorder("\(directory)/node")
                try recorder.fill(100)
                try recorder.noteArchived(upTo: 30)
                try recorder.fill(20)
                try recorder.noteArchived(upTo: 90)
                // Of the conductor's own events not all tell of the archive.
                try recorder.run(report(77, action: 1, .reachable))
                try recorder.commit()
                // The first of the two ranges had its segment before.
                let segment = try #require(try recorder.log.writeSegment(upTo: 30))
                try recorder.log.enter(segment)
            }
            _ = try MasterKey(file: "\(directory)/node/master.key", mayCreate: true)
            let node = try makeNode(
                "\(directory)/node", listen: 1, peer: 2, lines: LogLines(level: .info))
            try await withRunning({ try await node.run() }) {
                try await eventually("it has archived what is owed") { try node.ends == [30, 90] }
                try await eventually("it is out of the data file") { try node.firstHotPosition == 91 }
            }
        }
    }

    @Test("What its log says is dropped is dropped when that is acknowledged, and to the same state")
    func drops() async throws {
        try await Harness.withTemporaryDirectory { directory in
            let ports = try freePorts(count: 2)
            var recorder = try Recorder("\(directory)/leader")
            try recorder.fill(100)
            try recorder.noteArchived(upTo: 40)
            try recorder.noteArchived(upTo: 80)
            let drop = try recorder.noteDropped(upTo: 40)
            let leader = try PlayedLeader(recorder.log, epoch: 1, listen: ports[0], peer: ports[1])
            let node = try makeNode(
                "\(directory)/node", listen: ports[1], peer: ports[0], lines: LogLines(level: .info))
            try await withRunning({ try await node.run() }) {
                try await withRunning({ try await leader.run() }) {
                    try await eventually("it has archived as much") { try node.ends == [40, 80] }
                    leader.acknowledge(upTo: drop.position - 1)
                    try recorder.fill(1)
                    leader.ship()
                    try await eventually("it has all") { node.position == recorder.log.head.position }
                    #expect(try node.log.droppedPart() == nil)
                    try await eventually("it has dropped it") {
                        leader.acknowledge(upTo: drop.position)
                        return try node.ends == [80]
                    }
                }
            }
            let part = try #require(try node.log.droppedPart())
            #expect(part.lastPosition == 40 && part.time == drop.time.microseconds)
            let state = try #require(try node.log.readBase())
            #expect(LogBase(state: state, firstSeal: part.firstSeal).digest == drop.event.baseDigest)
            #expect(try node.log.checkpointPosition() > 80)
            let files = try FileManager.default.contentsOfDirectory(atPath: node.log.archiveDirectory)
            #expect(files.count == 1, "\(files)")
            #expect(try Replay(of: node.log, verifyingSeals: true).table.position == recorder.table.position)
        }
    }

    @Test("A drop that it was killed before it carried out it carries out when it follows again")
    func restartedDrop() async throws {
        try await Harness.withTemporaryDirectory { directory in
            let ports = try freePorts(count: 2)
            var recorder = try Recorder("\(directory)/leader")
            try recorder.fill(60)
            try recorder.noteArchived(upTo: 40)
            let drop = try recorder.noteDropped(upTo: 40)
            try recorder.fill(5)
            do {
                // All of it stored, and nothing done of what it says.
                let log = try EventLog(
                    directory: "\(directory)/node", access: .write, mapByteCount: 1 << 30)
                for batch in try recorder.log.travellingBatches(after: 0, byteMax: 1 << 20).batches {
                    try log.append(travelling: TravellingBatch(bytes: batch.bytes))
                }
            }
            let key = try MasterKey(file: "\(directory)/node/master.key", mayCreate: true)
            let leader = try PlayedLeader(
                recorder.log, epoch: 1, listen: ports[0], peer: ports[1], masterKey: key.bytes)
            let node = try makeNode(
                "\(directory)/node", listen: ports[1], peer: ports[0], lines: LogLines(level: .info))
            try await withRunning({ try await node.run() }) {
                try await eventually("it has archived what is owed") { try node.ends == [40] }
                try await withRunning({ try await leader.run() }) {
                    try recorder.fill(1)
                    leader.ship()
                    try await eventually("it follows") { node.position == recorder.log.head.position }
                    #expect(try node.log.droppedPart() == nil)
                    try await eventually("it has dropped it") {
                        leader.acknowledge(upTo: recorder.log.head.position)
                        return try node.log.droppedPart()?.time == drop.time.microseconds
                    }
                }
            }
        }
    }

    @Test("What does not fit stays and is told once; the next drop that fits takes it along")
    func unfit() async throws {
        try await Harness.withTemporaryDirectory { directory in
            let ports = try freePorts(count: 2)
            var recorder = try Recorder("\(directory)/leader")
            try recorder.fill(100)
            try recorder.noteArchived(upTo: 50)
            try recorder.noteArchived(upTo: 80)
            let elsewhere = try recorder.noteDropped(upTo: 40)
            let otherState = try recorder.noteDropped(upTo: 50) { $0.baseDigest[0] ^= 1 }
            let leader = try PlayedLeader(recorder.log, epoch: 1, listen: ports[0], peer: ports[1])
            let lines = LogLines(level: .info)
            let node = try makeNode("\(directory)/node", listen: ports[1], peer: ports[0], lines: lines)
            try await withRunning({ try await node.run() }) {
                try await withRunning({ try await leader.run() }) {
                    try await eventually("it has archived as much") { try node.ends == [50, 80] }
                    try await eventually("it says why not") {
                        leader.acknowledge(upTo: elsewhere.position)
                        return lines.count("no segment of this log ends at position 40") == 1
                    }
                    try await eventually("it says why not there, either") {
                        leader.acknowledge(upTo: otherState.position)
                        return lines.count("is not what the pair's leader") == 1
                    }
                    #expect(try node.ends == [50, 80])
                    let drop = try recorder.noteDropped(upTo: 80)
                    leader.ship()
                    try await eventually("it has all") { node.position == drop.position }
                    try await eventually("it has dropped all") {
                        leader.acknowledge(upTo: drop.position)
                        return try node.log.droppedPart()?.lastPosition == 80
                    }
                    #expect(lines.count("does not archive or drop") == 2, "\(lines.all)")
                }
            }
        }
    }

    @Test("What was cut is not dropped, whatever is acknowledged behind it")
    func cut() async throws {
        try await Harness.withTemporaryDirectory { directory in
            let ports = try freePorts(count: 2)
            var (lost, kept) = (try Recorder("\(directory)/lost"), try Recorder("\(directory)/kept"))
            func begin(_ recorder: inout Recorder) throws {
                try recorder.fill(100)
                try recorder.noteArchived(upTo: 40)
                try recorder.noteArchived(upTo: 80)
            }
            try begin(&lost)
            try begin(&kept)
            let forgotten = try lost.noteDropped(upTo: 40)
            try kept.fill(20)
            let node = try makeNode(
                "\(directory)/node", listen: ports[1], peer: ports[0], lines: LogLines(level: .info))
            try await withRunning({ try await node.run() }) {
                let first = try PlayedLeader(lost.log, epoch: 1, listen: ports[0], peer: ports[1])
                try await withRunning({ try await first.run() }) {
                    try await eventually("it has all") { node.position == forgotten.position }
                    try await eventually("it has archived as much") { try node.ends == [40, 80] }
                }
                let second = try PlayedLeader(kept.log, epoch: 2, listen: ports[0], peer: ports[1])
                try await withRunning({ try await second.run() }) {
                    try await eventually("it has the other's") { node.position == kept.log.head.position }
                    second.acknowledge(upTo: kept.log.head.position)
                    let drop = try kept.noteDropped(upTo: 40)
                    second.ship()
                    try await eventually("it has all") { node.position == drop.position }
                    #expect(try node.log.droppedPart() == nil)
                    try await eventually("it drops what this one says") {
                        second.acknowledge(upTo: drop.position)
                        return try node.log.droppedPart()?.time == drop.time.microseconds
                    }
                    #expect(drop.time != forgotten.time)
                }
            }
        }
    }

    @Test("Only one archives at a time; whoever comes second waits, and loses nothing")
    func turns() async throws {
        try await Harness.withTemporaryDirectory { directory in
            let ports = try freePorts(count: 2)
            var recorder = try Recorder("\(directory)/leader")
            try recorder.fill(60)
            let leader = try PlayedLeader(recorder.log, epoch: 1, listen: ports[0], peer: ports[1])
            let node = try makeNode(
                "\(directory)/node", listen: ports[1], peer: ports[0], lines: LogLines(level: .info))
            #expect(node.log.beginArchiving())
            #expect(!node.log.beginArchiving())
            try await withRunning({ try await node.run() }) {
                try await withRunning({ try await leader.run() }) {
                    try recorder.noteArchived(upTo: 50)
                    try await eventually("it is connected") { node.position > 0 }
                    leader.ship()
                    try await eventually("it has all") { node.position == recorder.log.head.position }
                    #expect(try node.ends == [])
                    node.log.endArchiving()
                    try recorder.fill(1)
                    leader.ship()
                    try await eventually("it has archived") { try node.ends == [50] }
                }
            }
        }
    }
}

extension Recorder {
    /// Adds so many events, two a batch; the first ones register a VIM.
    fileprivate mutating func fill(_ count: Int) throws {
        if table.position == 0 {
            try run(.sampleRegistration(1, name: "a"))
            try commit()
        }
        let end = log.head.position + UInt64(count)
        while log.head.position < end {
            for _ in 0..<min(2, end - log.head.position) { try run(report(1, action: 1, .reachable)) }
            try commit()
        }
    }

    /// Says that a leader has archived so much.
    fileprivate mutating func noteArchived(upTo end: UInt64) throws {
        try run(
            .noteArchived(
                LogArchived(
                    firstPosition: 1, lastPosition: end, file: "1.segment",
                    lastSeal: try log.head(at: end).seal.bytes,
                    batchByteCount: 1, fileByteCount: 1, actor: Actor(userName: "ada"))))
        try commit()
    }
}

extension Recorder {
    /// Says that a leader has dropped so much.
    fileprivate mutating func noteDropped(
        upTo end: UInt64, _ change: (inout LogDropped) -> Void = { _ in }
    ) throws -> ToldDrop {
        var state = try Replay(of: log, upTo: end).table
        state.forgetHistory(upTo: end)
        let seal = try log.head(at: end).seal
        let base = LogBase(state: state.checkpoint(seal: seal), firstSeal: try log.firstSeal())
        var dropped = LogDropped(
            firstPosition: 1, lastPosition: end, segmentCount: 1, fileByteCount: 1, lastSeal: seal.bytes,
            firstSeal: base.firstSeal.bytes, baseDigest: base.digest, actor: Actor(userName: "ada"))
        change(&dropped)
        try run(.noteDropped(dropped))
        try commit()
        let placed = PlacedEvent(
            position: log.head.position, time: Timestamp(microseconds: log.head.time), stream: 0,
            event: .logDropped(dropped))
        return try #require(ToldDrop(placed))
    }
}

extension HighAvailability.RunningNode {
    /// Where its segments end.
    fileprivate var ends: [UInt64] { get throws { try log.archivedSegments().map(\.lastPosition) } }

    /// The position of the first batch in its data file.
    fileprivate var firstHotPosition: UInt64? {
        get throws {
            let batches = log.batches
            return try log.environment.read { (transaction) throws(LMDBError) -> UInt64? in
                do throws(TransactionError<LMDBError>) {
                    return try transaction.withCursor(over: batches) { (cursor) throws(LMDBError) in
                        try cursor.next().map { $0.key.loadUnaligned(as: UInt64.self) }
                    }
                } catch { throw error.error }
            }
        }
    }
}
