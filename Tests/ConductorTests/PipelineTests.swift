import EventLog
import Projections
import Registry
import Samples
import Synchronization
import Testing
import Threads

@testable import Conductor

#if canImport(Glibc)
    import Glibc
#endif

@Suite("The stages of the commit pipeline")
struct PipelineTests {
    @Test("A commit that fails takes with it the batch sealed behind it; positions and seals are used again")
    func takeBack() throws {
        try withTemporaryDirectory { directory in
            let log = try EventLog(directory: directory, access: .write, mapByteCount: 1 << 20)
            var desk = Desk(
                epoch: 1, working: VIMTable(), after: log.head, now: { .systemNow }, logger: quiet)
            let replies = Replies()
            var acknowledged = VIMTable()

            let first = try desk.gathered([.register("a"), .register("b")], replies)
            _ = try log.append(sealed: first.batch)
            try first.batch.withView { try acknowledged.apply($0, upTo: .max) }

            // One is too large for the file, and while it fails, the next two are gathered behind it.
            let large = try desk.gathered(
                [.register("c", description: String(repeating: "x", count: 2 << 20))], replies)
            let behind = try desk.gathered([.register("c"), .register("d")], replies)
            #expect(behind.batch.firstPosition == large.batch.nextPosition)
            #expect(throws: EventLogError.self) { try log.append(sealed: large.batch) }
            desk.queue([.register("e")], replies)
            desk.gather()
            let open = desk.takeBack(to: acknowledged, after: log.head)
            large.fail(with: .notStored("large"))
            behind.fail(with: .notStored("behind"))
            open.fail(with: .notStored("open"))
            #expect(replies.taken == ["c: large", "c: behind", "d: behind", "e: open"])

            // "c" was refused behind the "c" that failed: now it is free.
            let again = try desk.gathered([.register("c"), .register("a")], replies)
            #expect(again.batch.firstPosition == large.batch.firstPosition)
            let head = try log.append(sealed: again.batch)
            #expect(head.position == again.batch.nextPosition - 1)
            for answer in again.answers { answer.reply(answer.result) }
            #expect(replies.taken == ["c", "a: a VIM named 'a' is already registered for this tenant"])
            let table = try Replay(of: log, verifyingSeals: true).table
            try again.batch.withView { try acknowledged.apply($0, upTo: .max) }
            #expect(Array(table.allVIMs) == Array(acknowledged.allVIMs))
            #expect(table.position == head.position)
        }
    }

    @Test("A batch of refusals alone that leave no event follows those before it, and takes no position")
    func nothingToStore() throws {
        try withTemporaryDirectory { directory in
            let log = try EventLog(directory: directory, access: .write)
            var desk = Desk(
                epoch: 1, working: VIMTable(), after: log.head, now: { .systemNow }, logger: quiet)
            let replies = Replies()
            let huge = String(repeating: "x", count: Limits.payloadByteMax + 1)
            let refused = try desk.gathered([.register("a", description: huge)], replies)
            #expect(refused.batch.isEmpty)
            let stored = try desk.gathered([.register("a")], replies)
            #expect(stored.batch.firstPosition == 1)
            _ = try log.append(sealed: stored.batch)
            var nothing = GatheredBatch()
            let isClosed = desk.close(exchangedFor: &nothing)
            #expect(!isClosed)
            #expect(nothing.answers.isEmpty)
        }
    }

    @Test("Whoever the pipeline acknowledged under failing commits is in the log, and nobody else is")
    func failingUnderLoad() async throws {
        for round in 0..<2 {
            try await withTemporaryDirectory { directory in
                let replies = Replies()
                let names = (0..<1_000).map { "vim-\(round)-\($0)" }
                try await withConductor(in: directory, { $0.mapByteCount = 3 << 20 }) { conductor in
                    for (number, name) in names.enumerated() {
                        // Now and then one that may not find room, amid hundreds that wait.
                        let text = String(repeating: "x", count: number % 50 == 49 ? 400_000 : 1)
                        conductor.submit(.register(name, description: text), reply: replies.closure(name))
                    }
                }
                let told = replies.taken
                #expect(told.count == names.count)
                let acknowledged = Set(told.filter { !$0.contains(":") })
                #expect(acknowledged.count < names.count)
                let table = try StoredLog(directory).table
                #expect(Set(table.allVIMs.map(\.configuration.name)) == acknowledged)
            }
        }
    }

    @Test("While many are being answered, what comes is stored: an answer that takes its time delays no disk")
    func answeringUnderLoad() async throws {
        try await withTemporaryDirectory { directory in
            let answer = SlowAnswer()
            try await withConductor(in: directory) { conductor in
                // Also if the test gives up: the conductor stops only when everybody is answered.
                defer { answer.mayEnd.store(true, ordering: .releasing) }
                let vim = try await conductor.register(.sample("a"), actor: ada)
                let report = Command.report(.init(id: vim.id, status: .reachable, actionID: vim.actionID))
                let many = Array(repeating: report, count: CommitPipeline.helpedCount)
                conductor.submit(many, mayBlock: false) { _ in answer.give() }
                try await eventually("they are being answered") {
                    answer.hasBegun.load(ordering: .acquiring)
                }
                let position = try #require(conductor.head?.position)
                conductor.submit(report) { _ in }
                try await eventually("the next report is stored") {
                    conductor.head?.position == position + 1
                }
            }
        }
    }

    @Test("A thread that may block stores what it brings while the writer sleeps, and is answered there")
    func storingHere() async throws {
        try await withConductor { conductor in
            let vim = try await conductor.register(.sample("a"), actor: ada)
            let report = Command.report(.init(id: vim.id, status: .reachable, actionID: vim.actionID))
            var isStoredHere = false
            try await eventually("the writer sleeps") {
                let thread = Mutex<pthread_t?>(nil)
                conductor.submit([report, report], mayBlock: true) { _ in
                    thread.withLock { $0 = pthread_self() }
                }
                isStoredHere = thread.withLock { $0 } == pthread_self()
                return isStoredHere
            }
            #expect(isStoredHere)
        }
    }

    @Test("Threads that may not block, and the calls of one that may, are answered by others")
    func storingElsewhere() async throws {
        try await withConductor { conductor in
            let vim = try await conductor.register(.sample("a"), actor: ada)
            let report = Command.report(.init(id: vim.id, status: .reachable, actionID: vim.actionID))
            for _ in 0..<100 {
                let isHere = await withCheckedContinuation { caller in
                    let thread = pthread_self()
                    conductor.submit([report], mayBlock: false) { _ in
                        caller.resume(returning: thread == pthread_self())
                    }
                }
                #expect(!isHere)
            }
        }
    }

    @Test("Callers' threads, the writer and the helper take turns until they are stopped: each answered once")
    func turnsUnderLoad() async throws {
        try await withTemporaryDirectory { directory in
            let replies = Replies()
            let conductor = try await Conductor(.init(directory: directory), logger: quiet)
            let vim = try await conductor.register(.sample("a"), actor: ada)
            let report = Command.report(.init(id: vim.id, status: .reachable, actionID: vim.actionID))
            let submittedCount = Atomic(0)
            let mayEnd = Atomic(false)
            let threads = (1...3).map { number in
                DedicatedThread(name: "caller") {
                    while !mayEnd.load(ordering: .relaxed) {
                        // Now few, which leave the writer asleep, now many, which wake the helper.
                        let count = number == 3 ? 400 : number
                        submittedCount.add(count, ordering: .relaxed)
                        conductor.submit(Array(repeating: report, count: count), mayBlock: true) {
                            for result in $0 { replies.closure("many")(result) }
                        }
                        submittedCount.add(1, ordering: .relaxed)
                        conductor.submit(report, reply: replies.closure("one"))
                        usleep(UInt32.random(in: 0...500))
                    }
                }
            }
            try await eventually("some are answered") { replies.count > 20_000 }
            await conductor.stop()
            mayEnd.store(true, ordering: .relaxed)
            for thread in threads { thread.join() }
            let told = replies.taken
            #expect(told.count == submittedCount.load(ordering: .relaxed))
            let late = told.filter { $0.contains(":") }
            #expect(late.filter { !$0.hasSuffix(CommandFailure.stopped.sentence) } == [])
            let log = try StoredLog(directory)
            #expect(log.types.filter { $0 == .vimStatusReported }.count == told.count - late.count)
        }
    }

    @Test("Stopping while batches are gathered, stored and answered answers everybody once")
    func stopUnderLoad() async throws {
        try await withTemporaryDirectory { directory in
            let replies = Replies()
            let conductor = try await Conductor(.init(directory: directory), logger: quiet)
            let vim = try await conductor.register(.sample("a"), actor: ada)
            let report = StatusReport(id: vim.id, status: .reachable, actionID: vim.actionID)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for number in 0..<20_000 {
                        conductor.submit(.report(report), reply: replies.closure("\(number)"))
                    }
                }
                try await eventually("some are answered") { replies.count > 2_000 }
                await conductor.stop()
                try await group.waitForAll()
            }
            let told = replies.taken
            #expect(told.count == 20_000)
            let late = told.filter { $0.contains(":") }
            #expect(late.filter { !$0.hasSuffix(CommandFailure.stopped.sentence) } == [])
            let log = try StoredLog(directory)
            #expect(log.types.filter { $0 == .vimStatusReported }.count == 20_000 - late.count)
        }
    }
}

/// An answer that ends when it may.
private final class SlowAnswer: Sendable {
    let hasBegun = Atomic(false)
    let mayEnd = Atomic(false)

    func give() {
        hasBegun.store(true, ordering: .releasing)
        while !mayEnd.load(ordering: .acquiring) { usleep(1_000) }
    }
}

/// What callers were told: the name, and after a colon why not.
private final class Replies: Sendable {
    private let told = Mutex<[String]>([])

    /// What was told since the last look.
    var taken: [String] {
        told.withLock { told in
            defer { told = [] }
            return told
        }
    }

    var count: Int { told.withLock { $0.count } }

    func closure(_ name: String) -> CommandReply {
        { [self] result in
            switch result {
            case .success: told.withLock { $0.append(name) }
            case .failure(let failure): told.withLock { $0.append("\(name): \(failure.sentence)") }
            }
        }
    }
}

extension Command {
    fileprivate static func register(_ name: String, description: String = "") -> Command {
        var random = SystemRandomNumberGenerator()
        var configuration = VIMConfiguration.sample(name)
        configuration.description = description
        return .register(
            RegisterVIM(
                id: VIMID(UniqueID(using: &random)), actionID: MonitorActionID(UniqueID(using: &random)),
                configuration: configuration, actor: ada))
    }

    fileprivate var name: String {
        guard case .register(let wish) = self else { return "" }
        return wish.configuration.name
    }
}

extension Desk {
    fileprivate mutating func queue(_ commands: [Command], _ replies: Replies) {
        var queue = commands.map {
            Submission(command: $0, reply: replies.closure($0.name))
        }
        take(from: &queue)
    }

    /// Gathers commands and closes the batch.
    fileprivate mutating func gathered(_ commands: [Command], _ replies: Replies) throws -> GatheredBatch {
        queue(commands, replies)
        gather()
        var closed = GatheredBatch()
        let isClosed = close(exchangedFor: &closed)
        try #require(isClosed)
        return closed
    }
}
