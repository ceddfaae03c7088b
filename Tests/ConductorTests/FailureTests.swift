import Conductor
import EventLog
import Projections
import Registry
import Samples
import Testing

@Suite("A log that takes no more")
struct FailureTests {
    @Test("The caller is told, the state is as before, and what needs less room is served")
    func mapFull() async throws {
        try await withTemporaryDirectory { directory in
            let large = String(repeating: "x", count: 200_000)
            let vim = try await withConductor(in: directory, { $0.mapByteCount = 1 << 20 }) { conductor in
                let vim = try await conductor.register(.sample("a"), actor: ada)
                var failure: CommandFailure?
                var taken = vim
                while failure == nil {
                    do throws(CommandFailure) {
                        taken = try await conductor.update(
                            vim.id, expectedVersion: nil,
                            edit: .with {
                                $0.description = large
                                $0.authURL = "http://127.0.0.1:\(taken.version)"
                            }, actor: ada)
                    } catch { failure = error }
                }
                guard case .notStored(let sentence) = failure else {
                    Issue.record("\(String(describing: failure))")
                    return vim
                }
                #expect(sentence.contains("map size"))
                #expect(conductor.isDiskFailing)
                #expect(conductor.vim(vim.id) == taken)
                #expect(conductor.takeChangedVIMs() == [taken])

                // The old action is still the wanted one.
                let answer = try await conductor.updateVIM(
                    vim.id, status: "REACHABLE", actionID: taken.actionID)
                #expect(answer == .accepted(.reachable))
                #expect(!conductor.isDiskFailing)
                await #expect(throws: CommandFailure.self) {
                    try await conductor.register(.sample("b", description: large), actor: ada)
                }
                #expect(conductor.registeredVIMs().count == 1)
                return try #require(conductor.vim(vim.id))
            }
            #expect(try StoredLog(directory).table.vim(vim.id) == vim)
            // The name that could not be stored is free.
            try await withConductor(in: directory, { $0.mapByteCount = 1 << 24 }) { conductor in
                #expect(conductor.vim(vim.id) == vim)
                let other = try await conductor.register(.sample("b", description: large), actor: ada)
                #expect(
                    try await conductor.credentials(of: other.id) == PlainCredentials.sample(password).whole)
            }
        }
    }

    @Test("All callers of a failed commit are told, and the log holds exactly what was acknowledged")
    func manyCallers() async throws {
        try await withTemporaryDirectory { directory in
            let acknowledged = try await withConductor(in: directory, { $0.mapByteCount = 1 << 20 }) {
                conductor in
                await withTaskGroup(of: VIM?.self) { group in
                    for number in 0..<150 {
                        group.addTask {
                            let text = String(repeating: "x", count: number % 4 == 0 ? 90_000 : 10)
                            do throws(CommandFailure) {
                                return try await conductor.register(
                                    .sample("vim-\(number)", description: text), actor: ada)
                            } catch {
                                guard case .notStored = error else {
                                    Issue.record("\(error)")
                                    return nil
                                }
                                return nil
                            }
                        }
                    }
                    let vims = await group.reduce(into: Set<VIM>()) { vims, vim in
                        if let vim { vims.insert(vim) }
                    }
                    #expect(Set(conductor.registeredVIMs()) == vims)
                    return vims
                }
            }
            #expect(acknowledged.count < 150)
            let table = try StoredLog(directory).table
            #expect(Set(table.allVIMs) == acknowledged)
        }
    }

    @Test("A start that cannot be stored is a fault, and leaves the directory free")
    func start() async throws {
        try await withTemporaryDirectory { directory in
            let large = String(repeating: "x", count: 300)
            try await withConductor(in: directory, { $0.mapByteCount = 1 << 20 }) { conductor in
                let vim = try await conductor.register(.sample("a"), actor: ada)
                // Until not even the smallest event finds room.
                var isFull = false
                for size in [300, 30, 1] {
                    isFull = false
                    while !isFull {
                        do throws(CommandFailure) {
                            _ = try await conductor.update(
                                vim.id, expectedVersion: nil,
                                edit: .with { $0.description = String(repeating: large, count: size) },
                                actor: ada)
                        } catch { isFull = true }
                    }
                }
            }
            let before = try StoredLog(directory).events.count
            do {
                // A few pages may have become free again: then it starts.
                try await withConductor(in: directory, { $0.mapByteCount = 1 << 20 }) { _ in }
            } catch {
                let fault = try #require(error as? StartFault)
                #expect(fault.sentence.contains("map size"))
                #expect(try StoredLog(directory).events.count == before)
            }
            try await withConductor(in: directory) { #expect($0.registeredVIMs().count == 1) }
        }
    }
}
