// Starts: the server, kills it with SIGKILL under load at random moments, starts it again, thirty times.
//
// 1. Sixteen callers register, update and delete VIMs over REST, each its own; answers are kept in memory.
// 2. At a random moment the server is killed with signal 9.
// 3. `rebuild --check` must find the log whole, and the restarted server must know every acknowledged
//    registration, version and deletion. What was unanswered may have happened or not, but nothing else.
import Foundation
import Harness
import Testing

@Suite("Killed at any moment", .serialized)
struct KillTests {
    static let roundCount = 30
    static let callerCount = 16

    @Test("Kill -9 under load loses nothing that was acknowledged")
    func kill() async throws {
        let seed = ProcessInfo.processInfo.environment["SEED"].flatMap(UInt64.init) ?? .random(in: 0...(.max))
        print("KillTests: SEED=\(seed)")
        var random = Seeded(state: seed)
        let ledger = Ledger()
        try await withTemporaryDirectory { directory in
            let dataDirectory = directory + "/data"
            for round in 1...KillTests.roundCount {
                let moment = Duration.milliseconds(Int64.random(in: 20...700, using: &random))
                let seeds = (0..<KillTests.callerCount).map { _ in random.next() }
                let exitCode = try await loadAndKill(
                    dataDirectory, round: round, after: moment, seeds: seeds, ledger)
                #expect(exitCode == 137, "SEED=\(seed), round \(round)")
                let check = try await runVedette(["rebuild", "--check", "--data-directory", dataDirectory])
                try #require(
                    check.exitCode == 0, "SEED=\(seed), round \(round): \(check.output) \(check.errorOutput)")
            }
            try await withServer(dataDirectory: dataDirectory, arguments: options) { server in
                let found = try await descriptions(server)
                #expect(ledger.differences(from: found) == [], "SEED=\(seed)")
            }
        }
        let received = ledger.received
        print("KillTests: \(KillTests.roundCount) kills, \(received) acknowledged")
        #expect(received.registered > 100 && received.updated > 100 && received.deleted > 20)
    }

    private var options: [String] { quickMonitors + ["--registration-check", "deferred"] }

    private func loadAndKill(
        _ dataDirectory: String, round: Int, after moment: Duration, seeds: [UInt64], _ ledger: Ledger
    ) async throws -> Int {
        try await withServer(dataDirectory: dataDirectory, arguments: options) { server in
            let differences = ledger.differences(from: try await descriptions(server))
            #expect(differences == [], "round \(round)")
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

    private func descriptions(_ server: RunningServer) async throws -> [String: String] {
        let vims = try await server.request(.get, "/v1.0/vims").json()["vims"].array
        return Dictionary(vims.map { ($0["id"].string ?? "", $0["description"].string ?? "") }) { $1 }
    }
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
        let reply = try await server.request(
            .put, "/v1.0/vims/\(id)", body: ["vim": ["description": .string("\(number)")]])
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
