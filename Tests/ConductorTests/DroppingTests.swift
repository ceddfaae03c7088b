import EventLog
import Foundation
import Projections
import Registry
import Samples
import Testing

@testable import Conductor

@Suite("A conductor that drops")
struct DroppingTests {
    @Test("What was dropped is gone, what it led to is as before, also after restarts and a second drop")
    func drop() async throws {
        try await withTemporaryDirectory { directory in
            let (id, action) = try await withConductor(in: directory) { conductor in
                let vim = try await conductor.register(.sample("site"), actor: ada)
                _ = try await conductor.updateVIM(vim.id, status: "REACHABLE", actionID: vim.actionID)
                let first = try await archiveAll(conductor)
                _ = try await conductor.updateVIM(vim.id, status: "UNREACHABLE", actionID: vim.actionID)
                let before = conductor.read { $0.vim(vim.id) }
                let report = try await conductor.drop(upTo: first, actor: ada)
                #expect(report.segmentCount == 1 && report.eventCount == first)
                #expect(report.droppedEnd == first && report.leftFileCount == 0 && report.fileByteCount > 192)
                #expect(conductor.read { $0.vim(vim.id) } == before)
                #expect(conductor.read { $0.history(of: vim.id).map(\.status) } == [.unreachable])
                #expect(try files(directory) == [])
                // Nothing more is there to drop.
                let nothing = try await conductor.drop(upTo: .max, actor: ada)
                #expect(nothing.segmentCount == 0 && nothing.droppedEnd == first)
                return (vim.id, vim.actionID)
            }
            try check(directory, id, historyCount: 1)
            try await withConductor(in: directory) { conductor in
                #expect(conductor.read { $0.vim(id)?.status } == .unreachable)
                #expect(try await conductor.credentials(of: id).description.contains("password"))
                _ = try await conductor.updateVIM(id, status: "REACHABLE", actionID: action)
                let end = try await archiveAll(conductor)
                #expect(try await conductor.drop(upTo: end, actor: ada).droppedEnd == end)
            }
            try check(directory, id, historyCount: 0)
            let log = try EventLog(directory: directory, access: .read)
            #expect(try log.tombstones().count == 2)
            let end = try #require(try log.droppedPart()).lastPosition
            let error = #expect(throws: ReadError<ProjectionFault>.self) {
                try Replay(of: log, upTo: end - 1)
            }
            guard case .log(.dropped(_, end, _)) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(try Replay(of: log, upTo: end).eventCount == 0)
        }
    }

    @Test("The next checkpoint comes beside callers who are answered, and shows what a replay shows")
    func nextCheckpoint() async throws {
        try await withTemporaryDirectory { directory in
            try await withConductor(in: directory) { conductor in
                // Several portions of a checkpoint.
                let description = String(repeating: "far ", count: 500)
                let vims = try await withThrowingTaskGroup(of: VIM.self) { group in
                    for number in 0..<1_200 {
                        group.addTask {
                            try await conductor.register(
                                .sample("site-\(number)", description: description), actor: ada)
                        }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                let end = try await archiveAll(conductor)
                #expect(try await conductor.drop(upTo: end, actor: ada).droppedEnd == end)
                let log = try #require(conductor.openLog)
                for vim in vims where try log.readCheckpoint() == nil {
                    for status in ["REACHABLE", "UNREACHABLE"] {
                        _ = try await conductor.updateVIM(vim.id, status: status, actionID: vim.actionID)
                    }
                }
                try await eventually("it is stored") { try log.readCheckpoint() != nil }
                let checkpoint = try #require(try log.readCheckpoint())
                #expect(checkpoint.position > end && checkpoint.position <= log.head.position)
                #expect(
                    checkpoint.rows.count > 2 * Limits.checkpointPortionMax * Limits.checkpointPieceByteMax)
                let table = try Replay(of: log, upTo: checkpoint.position).table
                #expect(table.position == checkpoint.position && table.encoded() == checkpoint.rows)
                #expect(try log.strayEntries() == [])
            }
        }
    }

    @Test("A log that nobody serves is dropped from as an epoch of its own; the event says who and what")
    func alone() async throws {
        try await withTemporaryDirectory { directory in
            let (id, end) = try await withConductor(in: directory) { conductor in
                let id = try await conductor.register(.sample("site"), actor: ada).id
                return (id, try await archiveAll(conductor))
            }
            let options = Conductor.Options(directory: directory)
            let report = try await Conductor.drop(
                directory: directory, upTo: end, actor: ada, options: options, logger: quiet)
            #expect(report.droppedEnd == end)
            try check(directory, id, historyCount: 0)
            let log = try EventLog(directory: directory, access: .read)
            var dropped: LogDropped?
            try log.readEvents { (event) throws(any Error) -> Bool in
                if case .logDropped(let found) = try PlacedEvent(event).event { dropped = found }
                return true
            }
            let base = try #require(try log.readBase())
            let noted = try #require(dropped)
            #expect(noted.firstPosition == 1 && noted.lastPosition == end && noted.actor == ada)
            #expect(noted.lastSeal == base.seal.bytes)
            #expect(try noted.firstSeal == log.firstSeal().bytes)
            #expect(try noted.baseDigest == LogBase(state: base, firstSeal: log.firstSeal()).digest)
        }
    }

    @Test("A segment that does not prove is not dropped")
    func refused() async throws {
        try await withTemporaryDirectory { directory in
            try await withConductor(in: directory) { conductor in
                _ = try await conductor.register(.sample("site"), actor: ada)
                let end = try await archiveAll(conductor)
                let path = directory + "/archive/" + (try #require(try files(directory).first))
                let whole = try Data(contentsOf: URL(fileURLWithPath: path))
                var flipped = whole
                flipped[whole.count - 1] ^= 1
                try flipped.write(to: URL(fileURLWithPath: path))
                let failure = await #expect(throws: CommandFailure.self) {
                    try await conductor.drop(upTo: end, actor: ada)
                }
                #expect(failure?.sentence.contains("does not match") == true)
                #expect(try conductor.openLog?.droppedPart() == nil)
                try whole.write(to: URL(fileURLWithPath: path))
                #expect(try await conductor.drop(upTo: end - 1, actor: ada).segmentCount == 0)
                #expect(try await conductor.drop(upTo: end, actor: ada).segmentCount == 1)
            }
        }
    }

    /// Archives everything there is; returns where the archive ends.
    private func archiveAll(_ conductor: Conductor) async throws -> UInt64 {
        let head = try #require(conductor.head)
        return try await conductor.archive(before: Timestamp(microseconds: head.time + 1)).archivedEnd
    }

    private func files(_ directory: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory + "/archive")
    }

    /// Every seal holds from what was dropped on, and replay gives the checkpoint's table.
    private func check(_ directory: String, _ id: VIMID, historyCount: Int) throws {
        let log = try EventLog(directory: directory, access: .read)
        let table = try Replay(of: log, verifyingSeals: true).table
        #expect(table.vim(id) != nil && table.position == log.head.position)
        #expect(table.history(of: id).count == historyCount)
        let checkpoint = try #require(try log.readCheckpoint())
        #expect(checkpoint.position == log.head.position && checkpoint.rows == table.encoded())
    }
}
