// Starts: a door on a real Unix-domain socket in a temporary directory, and asks it with the real client.
import Foundation
import OperatorRequests
import Registry
import Samples
import Synchronization
import Testing

@Suite("The operator's door", .timeLimit(.minutes(10)))
struct OperatorDoorTests {
    @Test("A task is done, its progress and its outcome come back, again and again")
    func outcome() async throws {
        try await withTemporaryDirectory { directory in
            try await withDoor(in: directory) {
                let client = try #require(OperatorClient(directory: directory))
                for _ in 0..<3 {
                    let steps = Mutex<[OperatorProgress]>([])
                    let outcome = try await client.ask(Counting.self, .init(upTo: 500)) { step in
                        steps.withLock { $0.append(step) }
                    }
                    #expect(outcome == .init(counted: 500, text: "line\nwith \"ends\" ☃"))
                    // Some may be dropped; those that come are in order, and the newest is never lost.
                    let done = steps.withLock { $0.map(\.done) }
                    #expect(done == done.sorted() && done.last == 500)
                }
            }
        }
    }

    @Test("A task's failure is its sentence")
    func failure() async throws {
        try await withTemporaryDirectory { directory in
            try await withDoor(in: directory) {
                let client = try #require(OperatorClient(directory: directory))
                await #expect(throws: OperatorFailure("no further than 3: choose less")) {
                    try await client.ask(Counting.self, .init(upTo: 3, failsAtTheEnd: true)) { _ in }
                }
            }
        }
    }

    @Test("A task that the server does not know, and a wish of another form, are refused in words")
    func unknown() async throws {
        struct Other: OperatorTask {
            static let path = "test/other"
            func run(_ wish: Bool, progress: @escaping @Sendable (OperatorProgress) -> Void)
                async throws(OperatorFailure) -> Bool
            { true }
        }
        struct OtherForm: OperatorTask {
            static let path = Counting.path
            func run(_ wish: Bool, progress: @escaping @Sendable (OperatorProgress) -> Void)
                async throws(OperatorFailure) -> Bool
            { true }
        }
        try await withTemporaryDirectory { directory in
            try await withDoor(in: directory) {
                let client = try #require(OperatorClient(directory: directory))
                let unknown = await #expect(throws: OperatorFailure.self) {
                    try await client.ask(Other.self, true) { _ in }
                }
                #expect(unknown?.sentence.contains("/operator/v1/test/count") == true)
                let form = await #expect(throws: OperatorFailure.self) {
                    try await client.ask(OtherForm.self, true) { _ in }
                }
                #expect(form?.sentence.contains("is not what test/count takes") == true)
            }
        }
    }

    @Test("Only the owner may open the socket, and a graceful stop removes it")
    func mode() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/operator.socket"
            try await withDoor(in: directory) {
                var facts = stat()
                #expect(stat(path, &facts) == 0)
                #expect(facts.st_mode & 0o777 == 0o600 && facts.st_mode & S_IFMT == S_IFSOCK)
                let names = try FileManager.default.contentsOfDirectory(atPath: directory)
                #expect(names == ["operator.socket"])
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == [])
            #expect(OperatorClient(directory: directory) == nil)
        }
    }

    @Test("What a killed server left is no server, and is replaced by the next")
    func stale() async throws {
        try await withTemporaryDirectory { directory in
            #expect(OperatorClient(directory: directory) == nil)
            leaveStaleSocket(directory + "/operator.socket")
            try FileManager.default.createDirectory(
                atPath: directory + "/operator.new", withIntermediateDirectories: false)
            leaveStaleSocket(directory + "/operator.new/operator.socket")
            #expect(OperatorClient(directory: directory) == nil)
            try await withDoor(in: directory) {
                let client = try #require(OperatorClient(directory: directory))
                #expect(try await client.ask(Counting.self, .init(upTo: 1)) { _ in }.counted == 1)
            }
        }
    }

    @Test("A data directory whose path is longer than a socket's address works like any other")
    func longPath() async throws {
        try await withTemporaryDirectory { directory in
            let long = directory + String(repeating: "/" + String(repeating: "ä", count: 100), count: 4)
            try FileManager.default.createDirectory(atPath: long, withIntermediateDirectories: true)
            try await withDoor(in: long) {
                let client = try #require(OperatorClient(directory: long))
                #expect(try await client.ask(Counting.self, .init(upTo: 2)) { _ in }.counted == 2)
            }
        }
    }

    @Test("A server that ended since it was looked for is told, not waited for", .timeLimit(.minutes(1)))
    func gone() async throws {
        try await withTemporaryDirectory { directory in
            var found: OperatorClient?
            try await withDoor(in: directory) { found = OperatorClient(directory: directory) }
            let client = try #require(found)
            let failure = await #expect(throws: OperatorFailure.self) {
                try await client.ask(Counting.self, .init(upTo: 1)) { _ in }
            }
            #expect(failure?.sentence.contains("the server stopped answering") == true)
        }
    }

    @Test("A caller who waits when the server stops is told; nobody hangs")
    func stopped() async throws {
        try await withTemporaryDirectory { directory in
            let (events, feed) = AsyncStream.makeStream(of: String.self)
            let door = OperatorDoor(directory: directory, tasks: [Waiting(feed: feed)], logger: quiet)
            let running = Task { try await door.run() }
            try await eventually("the door answers") { OperatorClient(directory: directory) != nil }
            async let failure = failureOfWaiting(in: directory)
            var iterator = events.makeAsyncIterator()
            #expect(await iterator.next() == "begun")
            running.cancel()
            #expect(await iterator.next() == "cancelled")
            _ = await running.result
            #expect(await failure != nil)
        }
    }

    private func failureOfWaiting(in directory: String) async -> OperatorFailure? {
        do throws(OperatorFailure) {
            _ = try await OperatorClient(directory: directory)?.ask(Waiting.self, true) { _ in }
            return nil
        } catch { return error }
    }
}
