// Starts: the server under load, `vedette archive` beside it and without it; kills server or command with
// SIGKILL at random moments of archiving and dropping.
//
// 1. Six callers register VIMs; answers are kept in memory.
// 2. While they do, the server archives on its own, and an operator archives and drops, up to three times.
// 3. At a random moment of the operator's next command the server is killed; in other rounds a command is,
//    with no server there.
// 4. The next start must show every VIM that was acknowledged, and `audit verify` must find nothing.
import EventLog
import Foundation
import Harness
import Projections
import Recording
import Registry
import Synchronization
import Testing

@Suite("Archiving and dropping, disturbed", .serialized)
struct ArchiveFaultTests {
    static let roundCount = 24
    private let options = ["--registration-check", "deferred", "--archive-after", "1s"]

    @Test("Killed at any moment of it, nothing acknowledged is lost, and the log verifies")
    func kill() async throws {
        let seed = faultSeed()
        var random = Seeded(state: seed)
        try await withTemporaryDirectory { directory in
            let data = directory + "/data"
            let registered = Registrations()
            var (lastArchived, lastDropped): (UInt64, UInt64) = (0, 0)
            var (archived, dropped) = (0, 0)
            for round in 1...ArchiveFaultTests.roundCount {
                let moment = Duration.milliseconds(Int64.random(in: 20...350, using: &random))
                if round.isMultiple(of: 3) {
                    try await killCommand(data, drops: round.isMultiple(of: 2), after: moment)
                } else {
                    try await killServer(data, round, behind: round % 4, after: moment, registered)
                }
                let place: Comment = "SEED=\(seed), round \(round)"
                let verify = try await runVedette(["audit", "verify", "--data-directory", data])
                try #require(verify.exitCode == 0, "\(place) \(verify.output) \(verify.errorOutput)")
                let found = try state(of: data)
                try #require(registered.ids.isSubset(of: found.ids), place)
                // What was archived or dropped stays so.
                try #require(found.archived >= lastArchived && found.dropped >= lastDropped, place)
                archived += found.archived > lastArchived ? 1 : 0
                dropped += found.dropped > lastDropped ? 1 : 0
                (lastArchived, lastDropped) = (found.archived, found.dropped)
            }
            // The last one's leftovers are gone after a start.
            try await withServer(dataDirectory: data, arguments: options) { _ in }
            let verify = try await runVedette(["audit", "verify", "--data-directory", data])
            #expect(verify.exitCode == 0, "\(verify.output)")
            let log = try EventLog(directory: data, access: .read)
            let files = try FileManager.default.contentsOfDirectory(atPath: log.archiveDirectory)
            #expect(Set(files) == Set(try log.archivedSegments().map(\.fileName)), "SEED=\(seed)")
            // Of the sixteen rounds that kill the server, a quarter each is behind 0, 1, 2 and 3 commands.
            #expect(archived >= 12 && dropped >= 8, "\(archived) and \(dropped)")
            print(
                "ArchiveFaultTests: SEED=\(seed), \(registered.ids.count) VIMs, archived up to "
                    + "\(lastArchived) in \(archived) rounds, dropped up to \(lastDropped) in \(dropped)")
        }
    }

    /// Kills the server a moment into a command that archives or drops, behind some that came to their end.
    private func killServer(
        _ data: String, _ round: Int, behind commandCount: Int, after moment: Duration,
        _ registered: Registrations
    ) async throws {
        let before = registered.ids.count
        try await withServer(dataDirectory: data, arguments: options) { server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for caller in 0..<6 { group.addTask { await registered.load(server, "\(round)-\(caller)") } }
                try await eventually("registering in round \(round)") { registered.ids.count > before }
                for step in 0..<commandCount {
                    // It is refused while the server archives on its own.
                    try await eventually("archiving in round \(round)") {
                        try await archive(data, drops: !step.isMultiple(of: 2)).exitCode == 0
                    }
                }
                // What becomes of it is the auditor's to find.
                group.addTask { _ = try? await archive(data, drops: !commandCount.isMultiple(of: 2)) }
                try await ContinuousClock().sleep(for: moment)
                registered.end()
                server.process.signal(SIGKILL)
                try await group.waitForAll()
            }
            registered.begin()
        }
    }

    private func archive(_ data: String, drops: Bool) async throws -> FinishedProcess {
        try await runVedette(arguments(data, drops: drops))
    }

    private func arguments(_ data: String, drops: Bool) -> [String] {
        ["archive", "--data-directory", data] + (drops ? ["--yes", "--drop-before"] : ["--before"]) + ["0s"]
    }

    private func killCommand(_ data: String, drops: Bool, after moment: Duration) async throws {
        try await withProcess(
            Programs.vedette, arguments(data, drops: drops), log: data + ".archive.log"
        ) { process in
            // It takes a tenth of a second to start.
            try await ContinuousClock().sleep(for: moment)
            process.signal(SIGKILL)
        }
    }

    private func state(of data: String) throws -> (ids: Set<String>, archived: UInt64, dropped: UInt64) {
        let log = try EventLog(directory: data, access: .read)
        var witness = Witness()
        #expect(try witness.follow(log, promises: []) == [])
        let ids = witness.table.allVIMs.filter(\.isRegistered).map(\.id.description)
        return (Set(ids), try log.archivedEnd(), try log.droppedPart()?.lastPosition ?? 0)
    }
}

/// VIMs whose registration was acknowledged.
private final class Registrations: Sendable {
    private let all = Mutex<Set<String>>([])
    private let over = Atomic<Bool>(false)

    var ids: Set<String> { all.withLock { $0 } }
    var isOver: Bool { over.load(ordering: .relaxed) }

    func begin() { over.store(false, ordering: .relaxed) }
    func end() { over.store(true, ordering: .relaxed) }

    /// Registers until it is over, or nobody answers.
    func load(_ server: RunningServer, _ caller: String) async {
        for number in 0..<100_000 where !isOver {
            let vim = standInVIM("vim-\(caller)-\(number)", at: "http://127.0.0.1:1")
            guard let id = try? await server.register(vim) else { return }
            all.withLock { _ = $0.insert(id) }
        }
    }
}
