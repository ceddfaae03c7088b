import Foundation
import Harness
import Synchronization
import Testing

extension RunningPair {
    /// Waits until both nodes are members of `insync`.
    func waitForSync() async throws {
        try await eventually("both nodes are in sync") {
            let status = try await status()
            return status["in_sync"].integer == 2
        }
    }

    /// Takes a log away whose node does not run, once the other one goes on without it.
    func loseDisk(of node: RunningNode) async throws {
        try await eventually("the other one goes on alone") { try await status()["in_sync"].integer == 1 }
        try FileManager.default.removeItem(atPath: node.dataDirectory)
    }

    /// Both logs are whole, and the same up to where the shorter one ends.
    func expectOneHistory() async throws {
        for node in nodes {
            let verified = try await node.vedette("audit", "verify")
            #expect(verified.exitCode == 0, "\(verified.output)\(verified.errorOutput)")
        }
        var events: [[String]] = []
        for node in nodes { events.append(try await node.vedette("audit", "log").lines) }
        let count = min(events[0].count, events[1].count)
        #expect(count > 0 && events[0].prefix(count) == events[1].prefix(count))
    }
}

/// What callers were told that it was done.
final class Acknowledged: Sendable {
    private let names = Mutex<[String: String]>([:])
    private let isOver = Atomic<Bool>(false)

    /// The ids of registered VIMs by their names.
    var all: [String: String] { names.withLock { $0 } }

    func end() { isOver.store(true, ordering: .relaxed) }

    /// Registers one VIM after the other, at either node, until it is over; failures leave the outcome open.
    func call(_ pair: RunningPair, as caller: Int, at endpoint: String) async {
        var number = 0
        while !isOver.load(ordering: .relaxed) {
            number += 1
            let name = "vim-\(caller)-\(number)"
            do {
                let id = try await pair.nodes[number % 2].register(
                    standInVIM(name, at: endpoint), timeout: .seconds(5))
                names.withLock { $0[name] = id }
            } catch { try? await Task.sleep(for: .milliseconds(20)) }
        }
    }

    func waitForMore(_ count: Int) async throws {
        let before = all.count
        try await eventually("\(count) more registrations are acknowledged") { all.count >= before + count }
    }

    /// Whoever leads has all of it.
    func expectAll(in pair: RunningPair) async throws {
        let stored = try await pair.leader().request(.get, "/v1.0/vims").json()["vims"].array
        let names = Dictionary(stored.map { ($0["name"].string ?? "", $0["id"].string ?? "") }) { $1 }
        for (name, id) in all { #expect(names[name] == id, "\(name)") }
    }
}
