import EtcdClient
import Harness
import Logging
import PairProtocol
import Synchronization

@testable import PairEtcd

let one = LogIdentity(bytes: SIMD2(1, 11))
let two = LogIdentity(bytes: SIMD2(2, 22))

/// A node without a state machine: orders transactions and keeps what it is told.
final class Node: Sendable {
    let etcd: PairEtcd
    private let inbox: Inbox

    private final class Inbox: Sendable {
        let inputs = Mutex<[PairInput]>([])
        let number = Mutex<UInt64>(0)
    }

    /// - Parameter now: what its clock shows; it stands still.
    init(_ keys: PairKeys, _ identity: LogIdentity, lease: Duration, now: Duration = .zero) {
        let inbox = Inbox()
        self.inbox = inbox
        etcd = PairEtcd(
            keys: keys, identity: identity, settings: PairSettings(lease: lease), now: { now },
            deliver: { input in inbox.inputs.withLock { $0.append(input) } },
            logger: Logger(label: "test"))
    }

    var inputs: [PairInput] { inbox.inputs.withLock { $0 } }
    var answerCount: Int {
        inputs.count { if case .answered = $0 { true } else { false } }
    }

    /// Runs it beside `body`, and stops it cleanly.
    func run(_ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.etcd.run() }
            defer { group.cancelAll() }
            try await body()
        }
    }

    /// The answer to one transaction; nil if none comes within `patience`.
    func answer(to transaction: EtcdTransaction, patience: Duration) async -> EtcdAnswer? {
        let number = inbox.number.withLock { number in
            number += 1
            return number
        }
        etcd.perform(number, transaction)
        return try? await eventually("an answer", limit: patience, every: .milliseconds(10)) {
            for case .answered(number, let answer) in inputs { return answer }
            return nil
        }
    }

    /// The number of a lease that is held, above `number`.
    func leaseNumber(after number: UInt64) async throws -> UInt64 {
        try await eventually("a lease is held") {
            for case .leaseHeld(let held, _) in inputs where held > number { return held }
            return nil
        }
    }
}

/// What a progress callback was told.
final class Revisions: Sendable {
    private let told = Mutex<[UInt64]>([])
    var all: [UInt64] { told.withLock { $0 } }
    func add(_ revision: UInt64) { told.withLock { $0.append(revision) } }
}

/// Runs `body` with the keys of the pair `p` in an etcd of these URLs.
func withKeys(
    _ urls: [String], timeout: Duration = .seconds(10), _ body: (PairKeys) async throws -> Void
) async throws {
    let client = try EtcdClient(EtcdSettings(endpoints: urls, timeout: timeout))
    do { try await body(try PairKeys(client, pair: "p")) } catch {
        await client.shutdown()
        throw error
    }
    await client.shutdown()
}

/// Runs `body` with the keys of the pair `p` in an etcd of its own.
func withPairKeys(_ body: (PairKeys, RunningEtcd) async throws -> Void) async throws {
    try await withTemporaryDirectory { directory in
        try await withEtcd(directory: directory) { etcd in
            try await withKeys(etcd.urls) { try await body($0, etcd) }
        }
    }
}
