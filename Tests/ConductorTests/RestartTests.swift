import Conductor
import EventLog
import Foundation
import Projections
import Registry
import Samples
import Synchronization
import Testing

@Suite("Starting again")
struct RestartTests {
    @Test("Every VIM has the action it had, the epoch is one more, and the checkpoint is used")
    func again() async throws {
        try await withTemporaryDirectory { directory in
            var vims: [VIM] = []
            for epoch in 1...4 as ClosedRange<UInt64> {
                vims = try await withConductor(in: directory) { conductor in
                    #expect(conductor.start.epoch == epoch)
                    #expect(conductor.registeredVIMs() == vims)
                    if epoch > 1 {
                        #expect(conductor.start.checkpointPosition > 0)
                        #expect(conductor.start.replayedCount == 0)
                    }
                    let vim = try await conductor.register(.sample("vim-\(epoch)"), actor: ada)
                    for vim in vims + [vim] {
                        let answer = try await conductor.updateVIM(
                            vim.id, status: "REACHABLE", actionID: vim.actionID)
                        #expect(answer == .accepted(.reachable))
                    }
                    return conductor.registeredVIMs()
                }
            }
            let log = try StoredLog(directory)
            #expect(log.epochs == log.epochs.sorted() && Set(log.epochs) == [1, 2, 3, 4])
            #expect(log.types.filter { $0 == .epochStarted }.count == 4)
            #expect(log.table.allVIMs.filter(\.isRegistered) == vims)
        }
    }

    @Test("Without its checkpoint, or with a damaged one, it replays everything to the same state")
    func withoutCheckpoint() async throws {
        try await withTemporaryDirectory { directory in
            let vims = try await withConductor(in: directory) { conductor in
                for number in 0..<5 { _ = try await conductor.register(.sample("vim-\(number)"), actor: ada) }
                return conductor.registeredVIMs()
            }
            try dropCheckpoint(directory)
            try await withConductor(in: directory) { conductor in
                #expect(conductor.start.checkpointPosition == 0)
                #expect(conductor.start.replayedCount == 11)
                #expect(conductor.registeredVIMs() == vims)
            }
        }
    }

    @Test("A clock that jumps back never makes the log's times fall, and every report still counts as new")
    func clock() async throws {
        try await withTemporaryDirectory { directory in
            let clock = Mutex<UInt64>(5_000_000)
            try await withConductor(
                in: directory,
                { options in
                    options.now = { clock.withLock { Timestamp(microseconds: $0) } }
                }
            ) { conductor in
                let vim = try await conductor.register(.sample("a"), actor: ada)
                var reportedAt: [Timestamp] = []
                for time in [6_000_000, 2_000_000, 2_000_001, 1, 0, 5_999_999, 7_000_000] as [UInt64] {
                    clock.withLock { $0 = time }
                    _ = try await conductor.updateVIM(vim.id, status: "REACHABLE", actionID: vim.actionID)
                    reportedAt.append(try #require(conductor.vim(vim.id)?.reportedAt))
                }
                #expect(reportedAt == reportedAt.sorted())
                // The supervisor tells a silent monitor from a reporting one by this moment's change.
                #expect(Set(reportedAt).count == reportedAt.count)
                #expect(reportedAt.last == Timestamp(microseconds: 7_000_000))
            }
            clock.withLock { $0 = 3 }
            try await withConductor(in: directory, { $0.now = { Timestamp(microseconds: 3) } }) { conductor in
                #expect(conductor.registeredVIMs().count == 1)
            }
            let times = try StoredLog(directory).times
            #expect(times == times.sorted())
        }
    }

    @Test("A directory in use is refused by naming the process")
    func inUse() async throws {
        try await withTemporaryDirectory { directory in
            try await withConductor(in: directory) { _ in }
            let descriptor = open(directory + "/writer.lock", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
            defer { close(descriptor) }
            _ = write(descriptor, "4242\n", 5)
            try #require(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
            let fault = await #expect(throws: StartFault.self) {
                try await withConductor(in: directory) { _ in }
            }
            #expect(fault?.sentence.contains("process 4242") == true)
        }
    }

    @Test("A log with an impossible event is refused with its position, and stays as it is")
    func impossible() async throws {
        try await withTemporaryDirectory { directory in
            try await withConductor(in: directory) { _ = try await $0.register(.sample("a"), actor: ada) }
            try dropCheckpoint(directory)
            try appendForeignEvent(directory)
            let before = try Data(contentsOf: URL(fileURLWithPath: directory + "/events.lmdb"))
            let fault = await #expect(throws: StartFault.self) {
                try await withConductor(in: directory) { _ in }
            }
            #expect(fault?.sentence.contains("position 4") == true)
            #expect(fault?.sentence.contains("99") == true)
            #expect(try Data(contentsOf: URL(fileURLWithPath: directory + "/events.lmdb")) == before)
        }
    }

    private func dropCheckpoint(_ directory: String) throws {
        try EventLog(directory: directory, access: .maintain).dropCheckpoint()
    }

    private func appendForeignEvent(_ directory: String) throws {
        let log = try EventLog(directory: directory, access: .write)
        var batch = BatchBuilder(firstPosition: log.head.position + 1, time: log.head.time)
        batch.append(
            stream: 1, previousInStream: 0, type: 99, format: 1,
            payload: UnsafeRawBufferPointer(start: nil, count: 0))
        _ = try log.append(&batch, epoch: 1)
    }
}
