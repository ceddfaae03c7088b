import LMDB
import Samples
import Synchronization
import Testing

@testable import EventLog

@Suite("Writing a log")
struct WritingTests {
    @Test("A map smaller than was asked for grows with the file, while readers read")
    func mapGrows() async throws {
        try await withTemporaryDirectory { (directory: String) async throws in
            // No machine has so much address space.
            let log = try EventLog(directory: directory, access: .write, mapByteCount: 1 << 56)
            #expect(log.environment.usage.mapByteCount == 64 << 20)
            let payload = [UInt8](repeating: 7, count: 4 << 20)
            let done = Flag()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    while !done.isSet.load(ordering: .relaxed) {
                        _ = try log.head(at: 1)
                        _ = try log.refreshHead()
                        await Task.yield()
                    }
                }
                for _ in 0..<25 { try log.append([Said(payload: payload)]) }
                done.isSet.store(true, ordering: .relaxed)
                try await group.waitForAll()
            }
            #expect(log.environment.usage.mapByteCount == 128 << 20)
            #expect(try log.events().count == 25)
        }
    }

    @Test("A full map throws, leaves the log intact and readable, and a larger map goes on")
    func mapFull() throws {
        try withTemporaryDirectory { directory in
            var appended: [Said] = []
            try withLog(in: directory, mapByteCount: 1 << 20) { (log) throws in
                let batch = [Said(payload: [UInt8](repeating: 7, count: 30_000)), Said()]
                var full: EventLogError?
                while full == nil {
                    let before = log.head
                    do throws(EventLogError) {
                        try log.append(
                            batch, vault: [VaultChange(key: [1], value: [UInt8(appended.count / 2)])])
                        appended += batch
                    } catch {
                        full = error
                        #expect(log.head == before)
                    }
                }
                #expect(full == .mapFull(path: directory + "/events.lmdb", byteCount: 1 << 20))
                #expect(full?.isRetriable == true)
                #expect(try log.events() == appended)
                #expect(try log.vaultValue(for: [1]) == [UInt8(appended.count / 2 - 1)])
                // What needs less room is still taken, behind the same head.
                try log.append([Said(type: 9)])
                appended.append(Said(type: 9))
                #expect(throws: EventLogError.self) { try log.append(batch) }
                #expect(try log.events() == appended)
            }
            try withLog(in: directory, mapByteCount: 1 << 22) { (log) throws in
                #expect(try log.events() == appended)
                #expect(try log.append([Said()]).position == UInt64(appended.count) + 1)
                #expect(log.damage() == nil)
            }
        }
    }

    @Test("A map smaller than what the file uses opens and reads")
    func smallerMap() throws {
        try withTemporaryDirectory { directory in
            let batch = [Said(payload: [UInt8](repeating: 1, count: 3 << 20))]
            try withLog(in: directory) { _ = try $0.append(batch) }
            for access in [EventLog.Access.read, .write] {
                try withLog(in: directory, access, mapByteCount: 1 << 20) { (log) throws in
                    #expect(try log.events() == batch)
                }
            }
        }
    }

    @Test("Changes of the vault come and go with their batch")
    func vault() throws {
        try withTemporaryDirectory { directory in
            try withLog(in: directory) { (log) throws in
                try log.append([Said()], vault: [.init(key: [1], value: [10]), .init(key: [2], value: [20])])
                try log.append([Said()], vault: [.init(key: [1], value: nil), .init(key: [3], value: nil)])
                try log.append([Said()], vault: [.init(key: [2], value: [21])])
            }
            try withLog(in: directory, .read) { (log) throws in
                #expect(try log.vaultValue(for: [1]) == nil)
                #expect(try log.vaultValue(for: [2]) == [21])
                #expect(try log.vaultValue(for: [3]) == nil)
            }
        }
    }

    @Test("A batch takes events up to its limits and can be used again")
    func limits() throws {
        try withFreshLog { (log) throws in
            var batch = BatchBuilder(firstPosition: 1, time: 1)
            #expect(batch.isEmpty)
            let largest = [UInt8](repeating: 1, count: Limits.payloadByteMax)
            while batch.hasRoom {
                largest.withUnsafeBytes {
                    _ = batch.append(stream: 0, previousInStream: 0, type: 1, format: 1, payload: $0)
                }
            }
            #expect(batch.eventCount == 2)
            #expect(try log.append(&batch, epoch: 1).position == 2)

            batch.reset(firstPosition: 3, time: 2)
            #expect(batch.isEmpty)
            #expect(batch.byteCount == Format.headerByteCount)
            while batch.hasRoom {
                batch.append(
                    stream: 0, previousInStream: 0, type: 1, format: 1,
                    payload: UnsafeRawBufferPointer(start: nil, count: 0))
            }
            #expect(batch.eventCount == Limits.batchEventMax)
            #expect(try log.append(&batch, epoch: 1).position == 2 + UInt64(Limits.batchEventMax))
            #expect(log.damage() == nil)
        }
    }

    @Test("Refreshing the head beside the writer never takes it back")
    func refreshing() async throws {
        try await withTemporaryDirectory { directory in
            let log = try EventLog(directory: directory, access: .write, mapByteCount: 1 << 30)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { for _ in 0..<300 { try log.append([Said()]) } }
                group.addTask { for _ in 0..<3_000 { try log.refreshHead() } }
                try await group.waitForAll()
            }
            #expect(log.head.position == 300)
        }
    }

    @Test("Each error is one sentence that names the path and says whether to try again")
    func sentences() {
        let errors: [(EventLogError, Bool)] = [
            (.directory(path: "/d", reason: "is odd"), false), (.inUse(path: "/d", processID: nil), true),
            (.newerFormat(path: "/d", found: 9), false),
            (.damaged(path: "/d", position: 7, what: "x"), false),
            (.noSpace(path: "/d"), true), (.mapFull(path: "/d", byteCount: 5), true),
            (.system(path: "/d", code: 5, words: "Input/output error"), false),
        ]
        for (error, isRetriable) in errors {
            #expect(error.sentence.contains("/d"))
            #expect(!error.sentence.contains("\n"))
            #expect(error.isRetriable == isRetriable)
        }
        #expect(EventLogError(.noSpace, path: "/d") == .noSpace(path: "/d"))
        #expect(EventLogError(.mapFull, path: "/d", mapByteCount: 3) == .mapFull(path: "/d", byteCount: 3))
        #expect(EventLogError(.corrupted, path: "/d").damagedPosition == 0)
        #expect(EventLogError(.inputOutput, path: "/d").isRetriable == false)
    }
}

private final class Flag: Sendable {
    let isSet = Atomic<Bool>(false)
}
