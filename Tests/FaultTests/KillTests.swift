// Starts: the server, kills it with SIGKILL under load at random moments, starts it again: 200 times, or
// KILLS.
//
// 1. Sixteen callers register, update and delete VIMs over REST, each its own; answers are kept in memory.
// 2. At a random moment the server is killed with signal 9.
// 3. The log must extend, under an unbroken chain of seals, what it was after the last kill, and the registry
//    it gives must hold every acknowledged registration, version and deletion. What was unanswered may have
//    happened or not, but nothing else.
// 4. A conductor opened over it must answer bad_action to every action that ceased to be the wanted one.
// 5. The restarted server must show the same. After 25 kills `audit verify` reads all of it, and a new log
//    is begun.
import Conductor
import EventLog
import Foundation
import Harness
import Logging
import Projections
import Recording
import Registry
import Testing

@Suite("Killed at any moment", .serialized)
struct KillTests {
    static let callerCount = 16
    /// Kills of one log; then a new one is begun, so that the many VIMs of earlier rounds do not slow the
    /// later.
    static let roundMax = 25

    @Test("Kill -9 of the server under load loses nothing that was acknowledged")
    func kill() async throws {
        let seed = faultSeed()
        var random = Seeded(state: seed)
        var received = Ledger.Counts()
        var staleCount = 0
        let killCount = amount("KILLS", 200)
        for first in stride(from: 1, through: killCount, by: KillTests.roundMax) {
            let rounds = first..<min(first + KillTests.roundMax, killCount + 1)
            let (counts, stale) = try await kill(rounds, seed, &random)
            received.registered += counts.registered
            received.updated += counts.updated
            received.deleted += counts.deleted
            staleCount += stale
            print("KillTests: \(rounds.upperBound - 1) kills, \(received), \(staleCount) stale, SEED=\(seed)")
        }
        #expect(received.registered > killCount && received.updated > killCount)
        #expect(received.deleted > killCount / 10 && staleCount > killCount)
    }

    /// Kills the server on one directory again and again; returns what was acknowledged and how many actions
    /// became stale.
    private func kill(
        _ rounds: Range<Int>, _ seed: UInt64, _ random: inout Seeded
    ) async throws -> (Ledger.Counts, Int) {
        let ledger = Ledger()
        var witness = Witness()
        var staleCount = 0
        let directory = FileManager.default.temporaryDirectory.path + "/vedette-kill-\(UUID())"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let dataDirectory = directory + "/data"
        for round in rounds {
            let place: Comment = "SEED=\(seed), kill \(round)"
            let moment = Duration.milliseconds(Int64.random(in: 5...300, using: &random))
            let seeds = (0..<KillTests.callerCount).map { _ in random.next() }
            let exitCode = try await loadAndKill(
                dataDirectory, round: round, after: moment, seeds: seeds, ledger)
            #expect(exitCode == 137, place)
            try #require(try follow(dataDirectory, &witness) == [], place)
            let stale = witness.staleActions
            witness.staleActions = []
            staleCount += stale.count
            try #require(try await wrongAnswers(to: stale, in: dataDirectory) == [], place)
            try #require(ledger.differences(from: descriptions(witness.table)) == [], place)
        }
        let verify = try await runVedette(["audit", "verify", "--data-directory", dataDirectory])
        try #require(verify.exitCode == 0, "SEED=\(seed) \(verify.output) \(verify.errorOutput)")
        return (ledger.received, staleCount)
    }

    private var options: [String] { quickMonitors + ["--registration-check", "deferred"] }

    private func loadAndKill(
        _ dataDirectory: String, round: Int, after moment: Duration, seeds: [UInt64], _ ledger: Ledger
    ) async throws -> Int {
        try await withServer(dataDirectory: dataDirectory, arguments: options) { server in
            let vims = try await server.request(.get, "/v1.0/vims").json()["vims"].array
            let shown = Dictionary(vims.map { ($0["id"].string ?? "", $0["description"].string ?? "") }) {
                $1
            }
            #expect(ledger.differences(from: shown) == [], "round \(round)")
            await withTaskGroup(of: Void.self) { group in
                for (index, seed) in seeds.enumerated() {
                    group.addTask {
                        var caller = Caller(
                            name: "round-\(round)-caller-\(index)", random: Seeded(state: seed))
                        await caller.work(on: server, ledger)
                    }
                }
                // Ends early only when the test is cancelled; then the server ends, too.
                try? await ContinuousClock().sleep(for: moment)
                server.process.signal(SIGKILL)
            }
        }.exitCode
    }

    private func descriptions(_ table: VIMTable) -> [String: String] {
        let registered = table.allVIMs.filter(\.isRegistered)
        return Dictionary(registered.map { ($0.id.description, $0.configuration.description) }) { $1 }
    }
}

/// What a witness finds wrong with the log of a directory that nobody has open.
func follow(
    _ directory: String, _ witness: inout Witness, promises: [Acknowledgement] = []
) throws -> [String] {
    try witness.follow(try EventLog(directory: directory, access: .read), promises: promises)
}

/// Opens a conductor over a directory, lets actions that are no longer wanted report, and returns a sentence
/// for every one that is not told to exit.
func wrongAnswers(
    to actions: [(id: VIMID, actionID: MonitorActionID)], in directory: String
) async throws -> [String] {
    let conductor = try await Conductor(.init(directory: directory), logger: Logger(label: "stale"))
    let wrong: [String] = await withTaskGroup(of: String?.self) { group in
        for (id, actionID) in actions {
            group.addTask {
                do throws(CommandFailure) {
                    let answer = try await conductor.updateVIM(id, status: "REACHABLE", actionID: actionID)
                    return answer == .badAction ? nil : "\(actionID) of \(id) is told \(answer.word)"
                } catch { return error.sentence }
            }
        }
        return await group.reduce(into: [String]()) { wrong, answer in if let answer { wrong.append(answer) }
        }
    }
    await conductor.stop()
    return wrong
}

/// The seed of a random test: `SEED` in the environment, which replays a failure, or a fresh one.
func faultSeed() -> UInt64 {
    ProcessInfo.processInfo.environment["SEED"].flatMap(UInt64.init) ?? .random(in: 0...(.max))
}

/// How often: a variable of the environment, or what a usual run does.
func amount(_ variable: String, _ usual: Int) -> Int {
    ProcessInfo.processInfo.environment[variable].flatMap(Int.init) ?? usual
}

/// Someone who registers, updates and deletes VIMs of its own until the server no longer answers.
private struct Caller {
    let name: String
    var random: Seeded
    var own: [String] = []

    mutating func work(on server: RunningServer, _ ledger: Ledger) async {
        // The server is killed long before this many wishes are answered.
        for number in 0..<100_000 {
            do {
                switch (own.isEmpty ? 0 : Int.random(in: 0..<10, using: &random)) {
                case 0...2: try await register(number, on: server, ledger)
                case 3...7: try await update(number, on: server, ledger)
                default: try await delete(on: server, ledger)
                }
            } catch { return }
        }
    }

    private mutating func register(_ number: Int, on server: RunningServer, _ ledger: Ledger) async throws {
        var vim = standInVIM("\(name)-\(number)", at: "http://127.0.0.1:1").object
        vim["description"] = "0"
        let id = try await server.register(.object(vim))
        ledger.acknowledgeRegistration(id, "0")
        own.append(id)
    }

    private mutating func update(_ number: Int, on server: RunningServer, _ ledger: Ledger) async throws {
        let id = own[Int.random(in: 0..<own.count, using: &random)]
        ledger.begin(.update("\(number)"), id)
        var wish: [String: JSON] = ["description": .string("\(number)")]
        // A new endpoint makes the monitor action a stale one.
        if number.isMultiple(of: 2) { wish["auth_url"] = .string("http://127.0.0.1:1/\(number)") }
        let reply = try await server.request(
            .put, "/v1.0/vims/\(id)", body: ["vim": .object(wish)])
        guard reply.status == 200 else {
            throw HarnessError("update answered \(reply.status)")
        }
        ledger.acknowledge(id)
    }

    private mutating func delete(on server: RunningServer, _ ledger: Ledger) async throws {
        let id = own.remove(at: Int.random(in: 0..<own.count, using: &random))
        ledger.begin(.delete, id)
        let reply = try await server.request(.delete, "/v1.0/vims/\(id)")
        guard reply.status == 204 else {
            throw HarnessError("deletion answered \(reply.status)")
        }
        ledger.acknowledge(id)
    }
}

/// A random source that gives the same numbers for the same seed (SplitMix64).
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
