import Conductor
import EventLog
import Projections
import Registry
import Samples
import Synchronization
import Testing

@Suite("Many callers at once")
struct ConcurrencyTests {
    @Test("Hundreds of callers share commits, and everything acknowledged is in the log")
    func groupCommit() async throws {
        try await withTemporaryDirectory { directory in
            let gate = Gate()
            let vims = try await withConductor(
                in: directory,
                { options in
                    options.now = {
                        gate.pass()
                        return .systemNow
                    }
                }
            ) { conductor in
                var vims: [VIM] = []
                for number in 0..<4 {
                    vims.append(try await conductor.register(.sample("vim-\(number)"), actor: ada))
                }
                let all = vims
                gate.close()
                let begun = Counter()
                try await withThrowingTaskGroup(of: ReportAnswer.self) { group in
                    for number in 0..<400 {
                        group.addTask {
                            begun.add()
                            let vim = all[number % 4]
                            // Every fifth is stale.
                            return try await conductor.updateVIM(
                                vim.id, status: number % 3 == 0 ? "REACHABLE" : "UNREACHABLE",
                                actionID: number % 5 == 0 ? .sample(1) : vim.actionID)
                        }
                    }
                    try await eventually("all have begun") { begun.value == 400 }
                    gate.open()
                    var staleCount = 0
                    for try await answer in group where answer == .badAction { staleCount += 1 }
                    #expect(staleCount == 80)
                }
                return vims
            }
            let log = try StoredLog(directory)
            #expect(log.types.filter { $0 == .vimStatusReported }.count == 400)
            #expect(log.batchEventCounts.count < 5 + 200, "each of 400 calls had a commit of its own")
            for vim in vims { #expect(log.events(of: vim.id).count == 102) }
        }
    }

    @Test("Of concurrent registrations of one name, and of one default, exactly one wins")
    func races() async throws {
        try await withTemporaryDirectory { directory in
            try await withConductor(in: directory) { conductor in
                let results = await withTaskGroup(of: String.self) { group in
                    for name in 0..<15 {
                        for _ in 0..<4 {
                            group.addTask {
                                do throws(CommandFailure) {
                                    let vim = try await conductor.register(.sample("vim-\(name)"), actor: ada)
                                    return vim.configuration.name
                                } catch {
                                    #expect(error == .refused(.nameTaken("vim-\(name)")))
                                    return "refused"
                                }
                            }
                        }
                    }
                    return await group.reduce(into: [:]) { $0[$1, default: 0] += 1 }
                }
                #expect(results["refused"] == 45)
                #expect(results.count == 16)
                #expect(conductor.registeredVIMs().count == 15)

                let defaults = await withTaskGroup(of: Bool.self) { group in
                    for number in 0..<20 {
                        group.addTask {
                            let vim = try? await conductor.register(
                                .sample("default-\(number)", isDefault: true), actor: ada)
                            return vim != nil
                        }
                    }
                    return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
                }
                #expect(defaults == 1)
            }
            #expect(try StoredLog(directory).table.registeredCount == 16)
        }
    }

    @Test("Of updates computed from one version, exactly one is taken")
    func versions() async throws {
        try await withConductor { conductor in
            let vim = try await conductor.register(.sample("a"), actor: ada)
            let taken = await withTaskGroup(of: Bool.self) { group in
                for number in 0..<30 {
                    group.addTask {
                        let updated = try? await conductor.update(
                            vim.id, expectedVersion: 1, edit: .with { $0.description = "\(number)" },
                            actor: ada)
                        return updated != nil
                    }
                }
                return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(taken == 1)
            #expect(conductor.vim(vim.id)?.version == 2)
        }
    }

    @Test("Stopping answers everybody who waits; who was acknowledged is in the log, later calls are told")
    func stop() async throws {
        try await withTemporaryDirectory { directory in
            let gate = Gate()
            var options = Conductor.Options(directory: directory)
            options.now = {
                gate.pass()
                return .systemNow
            }
            let conductor = try await Conductor(options, logger: quiet)
            let vim = try await conductor.register(.sample("a"), actor: ada)
            gate.close()
            let accepted = try await withThrowingTaskGroup(of: Bool.self) { group in
                let begun = Counter()
                for _ in 0..<200 {
                    group.addTask {
                        begun.add()
                        do throws(CommandFailure) {
                            _ = try await conductor.updateVIM(
                                vim.id, status: "REACHABLE", actionID: vim.actionID)
                            return true
                        } catch {
                            #expect(error == .stopped)
                            return false
                        }
                    }
                }
                try await eventually("some have begun") { begun.value > 100 }
                async let stopped: Void = conductor.stop()
                gate.open()
                await stopped
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            await #expect(throws: CommandFailure.stopped) {
                try await conductor.updateVIM(vim.id, status: "REACHABLE", actionID: vim.actionID)
            }
            await #expect(throws: CommandFailure.stopped) { try await conductor.credentials(of: vim.id) }
            await conductor.stop()
            #expect(conductor.vim(vim.id) != nil)
            // The directory is free although the conductor is still held.
            let log = try StoredLog(directory)
            #expect(log.types.filter { $0 == .vimStatusReported }.count == accepted)
            #expect(accepted > 0)
            try await withConductor(in: directory) { #expect($0.vim(vim.id)?.status == .reachable) }
        }
    }

    @Test("Replies come once each, after their events are durable, in the order of the commands")
    func replies() async throws {
        try await withTemporaryDirectory { directory in
            let conductor = try await Conductor(.init(directory: directory), logger: quiet)
            let vim = try await conductor.register(.sample("a"), actor: ada)
            let before = try #require(conductor.head).position
            let replies = Mutex<[(number: Int, head: UInt64, isAccepted: Bool)]>([])
            for number in 1...500 {
                let report = StatusReport(id: vim.id, status: .reachable, actionID: vim.actionID)
                conductor.submit(.report(report)) { result in
                    let head = conductor.head?.position ?? 0
                    guard case .success(.reported(let answer)) = result else { return }
                    replies.withLock { $0.append((number, head, answer == .accepted(.reachable))) }
                }
            }
            await conductor.stop()
            let all = replies.withLock { $0 }
            #expect(all.map(\.number) == Array(1...500))
            #expect(all.filter(\.isAccepted).count == 500)
            for reply in all where reply.head < before + UInt64(reply.number) {
                Issue.record("reply \(reply.number) at head \(reply.head), before it was durable")
            }
            let late = Mutex<CommandFailure?>(nil)
            conductor.submit(.deregister(DeregisterVIM(id: vim.id, actor: ada))) { result in
                if case .failure(let failure) = result { late.withLock { $0 = failure } }
            }
            #expect(late.withLock { $0 } == .stopped)
        }
    }

    @Test("Commands that came together are decided each by itself and answered together")
    func together() async throws {
        try await withTemporaryDirectory { directory in
            let conductor = try await Conductor(.init(directory: directory), logger: quiet)
            let vim = try await conductor.register(.sample("a"), actor: ada)
            let before = try #require(conductor.head).position
            var random = SystemRandomNumberGenerator()
            let stale = MonitorActionID(UniqueID(using: &random))
            var commands = (0..<300).map { number in
                let action = number.isMultiple(of: 3) ? stale : vim.actionID
                return Command.report(StatusReport(id: vim.id, status: .reachable, actionID: action))
            }
            let unknown = VIMID(UniqueID(using: &random))
            commands.append(.deregister(DeregisterVIM(id: unknown, actor: ada)))
            let results = await withCheckedContinuation { caller in
                conductor.submit(commands, mayBlock: false) { caller.resume(returning: $0) }
            }
            #expect(results.count == 301)
            for (number, result) in results.prefix(300).enumerated() {
                let expected: ReportAnswer = number.isMultiple(of: 3) ? .badAction : .accepted(.reachable)
                guard case .success(.reported(let answer)) = result, answer == expected else {
                    Issue.record("report \(number) was answered \(result)")
                    continue
                }
            }
            guard case .failure(.refused(let refusal))? = results.last else {
                Issue.record("an unknown VIM was answered \(String(describing: results.last))")
                return
            }
            #expect(refusal == .vimNotFound(unknown))
            // A refusal is an event, too.
            #expect(conductor.head?.position == before + 301)
            let nobody = await withCheckedContinuation { caller in
                conductor.submit([], mayBlock: true) { caller.resume(returning: $0) }
            }
            #expect(nobody.isEmpty)
            await conductor.stop()
            let late = await withCheckedContinuation { caller in
                conductor.submit(commands, mayBlock: false) { caller.resume(returning: $0) }
            }
            #expect(late.count == 301)
            for result in late {
                guard case .failure(.stopped) = result else {
                    Issue.record("a stopped conductor answered \(result)")
                    continue
                }
            }
        }
    }
}
