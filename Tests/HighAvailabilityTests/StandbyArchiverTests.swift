// Starts nothing: a node in this process follows a leader that the test plays, over loopback.
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

@Suite("A node that follows archives what its log says is archived")
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
