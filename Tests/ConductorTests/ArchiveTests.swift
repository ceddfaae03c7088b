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

    @Test("A policy waits until the oldest event is a tenth older than its age, then moves all that is old")
    func policy() {
        let policy = ArchivePolicy(age: .seconds(1_000))
        let now = Timestamp(microseconds: 5_000_000_000)
        func step(oldestBefore age: Duration?) -> ArchivePolicy.Step {
            policy.step(oldest: age.map { now.advanced(by: .zero - $0) }, now: now)
        }
        #expect(step(oldestBefore: nil) == .wait(.seconds(1_100)))
        #expect(step(oldestBefore: .seconds(1_000)) == .wait(.seconds(100)))
        #expect(step(oldestBefore: .seconds(1_100)) == .archive(before: now.advanced(by: .seconds(-1_000))))
        // The clock went back: the oldest lies ahead; it is looked at again within the hour.
        #expect(step(oldestBefore: .seconds(-100_000)) == .wait(ArchivePolicy.waitMax))
        // Long ages move a day's events at a time, and short ones are no busy loop.
        #expect(ArchivePolicy(age: .seconds(86_400 * 30)).slack == .seconds(86_400))
        #expect(ArchivePolicy(age: .seconds(2)).slack == .seconds(1))
    }

    @Test("A policy archives beside the callers until it is cancelled, without waiting for a next round")
    func keepArchiving() async throws {
        try await withTemporaryDirectory { directory in
            let id = try await withConductor(in: directory) { conductor in
                let vim = try await conductor.register(.sample("site"), actor: Actor())
                let keeper = Task {
                    await conductor.keepArchiving(by: ArchivePolicy(age: .milliseconds(1)), logger: quiet)
                }
                var archivedEnd: UInt64 = 0
                while archivedEnd < 2 {
                    _ = try await conductor.updateVIM(
                        vim.id, status: "REACHABLE", actionID: vim.actionID)
                    archivedEnd = try conductor.openLog?.archivedEnd() ?? .max
                }
                keeper.cancel()
                await keeper.value
                return vim.id
            }
            try check(directory, id)
        }
    }

    @Test("An archiving that is cancelled says so, and leaves no file")
    func cancelled() async throws {
        try await withTemporaryDirectory { directory in
            try await withConductor(in: directory) { conductor in
                _ = try await conductor.register(.sample("site"), actor: Actor())
                let result = await Task {
                    withUnsafeCurrentTask { $0?.cancel() }
                    do throws(CommandFailure) {
                        _ = try await conductor.archive(before: .systemNow.advanced(by: .seconds(60)))
                        return CommandFailure?.none
                    } catch { return error }
                }.value
                let failure = try #require(result)
                #expect(failure.sentence.contains("interrupted"))
                #expect(try conductor.openLog?.archivedEnd() == 0)
                let files = try? FileManager.default.contentsOfDirectory(atPath: directory + "/archive")
                #expect(files ?? [] == [])
                // The next one is in nobody's way.
                let report = try await conductor.archive(before: .systemNow.advanced(by: .seconds(60)))
                #expect(report.segmentCount == 1)
            }
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
