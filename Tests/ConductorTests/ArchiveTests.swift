import EventLog
import Foundation
import Projections
import Registry
import Samples
import Testing

@testable import Conductor

@Suite("A conductor that archives")
struct ArchiveTests {
    @Test("What was acknowledged reads the same while it is archived, and after a restart")
    func archive() async throws {
        try await withTemporaryDirectory { directory in
            let (id, action) = try await withConductor(in: directory) { conductor in
                let vim = try await conductor.register(.sample("site"), actor: Actor())
                for _ in 0..<200 {
                    _ = try await conductor.updateVIM(
                        vim.id, status: "REACHABLE", actionID: vim.actionID)
                }
                let before = try #require(conductor.head)
                let report = try await conductor.archive(
                    before: Timestamp(microseconds: before.time + 1), actor: Actor(userName: "ada"))
                #expect(report.eventCount == before.position && report.archivedEnd == before.position)
                #expect(report.fileByteCount < report.batchByteCount / 8)
                #expect(
                    try await conductor.updateVIM(
                        vim.id, status: "UNREACHABLE", actionID: vim.actionID) != .badAction)
                return (vim.id, vim.actionID)
            }
            try check(directory, id)
            try await withConductor(in: directory) { conductor in
                #expect(conductor.start.checkpointPosition > 200)
                _ = try await conductor.updateVIM(id, status: "REACHABLE", actionID: action)
                // Its ciphertext lies in the segment; its key nowhere.
                _ = try await conductor.deregister(id, actor: Actor())
                await #expect(throws: CommandFailure.self) { try await conductor.credentials(of: id) }
            }
            try check(directory, id)
            let log = try EventLog(directory: directory, access: .read)
            #expect(try log.vaultValue(for: id.value.bytes) == nil)
        }
    }

    @Test("A log that nobody serves is archived as an epoch of its own, and for nothing none begins")
    func offline() async throws {
        try await withTemporaryDirectory { directory in
            let id = try await withConductor(in: directory) { conductor in
                try await conductor.register(.sample("site"), actor: Actor()).id
            }
            let options = Conductor.Options(directory: directory)
            let none = try await Conductor.archive(
                directory: directory, before: Timestamp(microseconds: 5), options: options, logger: quiet)
            #expect(none == ArchiveReport())
            let report = try await Conductor.archive(
                directory: directory, before: .systemNow.advanced(by: .seconds(60)), options: options,
                logger: quiet)
            #expect(report.segmentCount == 1 && report.eventCount > 2)
            try check(directory, id)
        }
    }

    /// Every seal holds from the first event, and replay gives the VIM.
    private func check(_ directory: String, _ id: VIMID) throws {
        let log = try EventLog(directory: directory, access: .read)
        let table = try Replay(of: log, verifyingSeals: true).table
        #expect(table.vim(id) != nil && table.position == log.head.position)
        #expect(try log.archivedEnd() > 0)
    }
}
