import EventLog
import LMDB
import Projections
import Recording
import Registry
import Samples

@testable import Auditing

/// A log with every kind of event, a vault and a checkpoint.
///
/// - Returns: the keys in the vault.
@discardableResult
func recordSample(
    in directory: String, commandCount: Int, using random: inout SeededGenerator
) throws -> [VIMID: [UInt8]] {
    var recorder = try Recorder(directory)
    var keys: [VIMID: [UInt8]] = [:]
    try recorder.record(
        .epochStarted(EpochStarted(epoch: 1, version: "test", host: "here", processID: 1)), stream: 0)
    var actions: [UInt64: UInt64] = [:]
    for number in 1...UInt64(commandCount) {
        switch UInt8.random(in: 0..<20, using: &random) {
        case 0, 1:
            try recorder.run(.sampleRegistration(number, name: "site-\(number)"))
            actions[number] = number
            let key = random.bytes(77)
            keys[.sample(number)] = key
            recorder.vault.append(VaultChange(key: VIMID.sample(number).value.bytes, value: key))
        case 2:
            guard let vim = actions.keys.sorted().randomElement(using: &random) else { continue }
            try recorder.run(
                update(vim, action: 10_000 + number) { $0.authURL = "http://127.0.0.1:\(number)/v3" })
            actions[vim] = 10_000 + number
        case 3 where actions.count > 3:
            guard let vim = actions.keys.sorted().randomElement(using: &random) else { continue }
            try recorder.run(deregister(vim))
            actions[vim] = nil
            keys[.sample(vim)] = nil
            recorder.vault.append(VaultChange(key: VIMID.sample(vim).value.bytes, value: nil))
        case 4: try recorder.run(report(99_999, action: 1, .reachable))
        case 5:
            guard let vim = actions.keys.sorted().randomElement(using: &random) else { continue }
            try recorder.run(report(vim, action: 77, .reachable))
        default:
            guard let vim = actions.keys.sorted().randomElement(using: &random) else { continue }
            try recorder.run(
                report(
                    vim, action: actions[vim] ?? 0, Bool.random(using: &random) ? .reachable : .unreachable))
        }
        if UInt8.random(in: 0..<3, using: &random) == 0 { try recorder.commit() }
    }
    try recorder.commit()
    try recorder.log.write(recorder.table.checkpoint(seal: recorder.log.head.seal))
    return keys
}

/// What a verification says: nothing if the log is whole.
func faults(in directory: String, keys: [VIMID: [UInt8]], stretchLength: UInt64 = 1 << 18) -> [String] {
    do throws(EventLogError) {
        let verifier = try Verifier(directory: directory, workerCount: 2, stretchLength: stretchLength)
        let report = verifier.run { id, wrapped in keys[id] == wrapped ? nil : "altered" }
        if let damage = report.damage { return ["\(damage.position): \(damage.sentence)"] }
        return report.state?.faults ?? ["the state was not looked at"]
    } catch { return [error.sentence] }
}

/// The stored entries of a log's file, to be altered behind its back.
struct Tamper {
    static let databases = ["batches", "checkpoint", "vault", "meta"]
    /// More of a log with an archive whose beginning was dropped.
    static let archiveDatabases = ["segments", "base"]
    private let environment: Environment

    init(_ directory: String) throws {
        environment = try Environment(
            path: directory + "/events.lmdb", options: Environment.Options(mapByteCount: 1 << 30))
    }

    private func database(_ name: String) throws -> Database {
        try environment.database(name, integerKeys: name == "batches" || name == "segments")
    }

    func entries(of name: String) throws -> [(key: [UInt8], value: [UInt8])] {
        let database = try database(name)
        return try environment.read { (transaction) throws in
            try transaction.withCursor(over: database) { (cursor) throws in
                var entries: [(key: [UInt8], value: [UInt8])] = []
                while let entry = try cursor.next() {
                    entries.append((Array(entry.key), Array(entry.value)))
                }
                return entries
            }
        }
    }

    func remove(_ key: [UInt8], in name: String) throws {
        let database = try database(name)
        try environment.write { (transaction) throws(LMDBError) in
            _ = try transaction.remove(key, in: database)
        }
    }

    func replace(_ key: [UInt8], in name: String, by newKey: [UInt8], _ value: [UInt8]) throws {
        let database = try database(name)
        try environment.write { (transaction) throws(LMDBError) in
            try transaction.remove(key, in: database)
            try transaction.put(value, for: newKey, in: database)
        }
    }
}
