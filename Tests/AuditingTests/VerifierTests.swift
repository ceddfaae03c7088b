import Crypto
import EventLog
import Foundation
import Recording
import Registry
import Samples
import Testing

@testable import Auditing

@Suite("The verifier")
struct VerifierTests {
    @Test("A whole log is whole, however it is cut into stretches, and everything in it is counted")
    func whole() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            let keys = try recordSample(in: directory, commandCount: 600, using: &random)
            for length in [UInt64(1), 7, 64, 1 << 18] {
                #expect(
                    faults(in: directory, keys: keys, stretchLength: length) == [],
                    "SEED=\(runSeed) length \(length)")
            }
            let report = try Verifier(directory: directory).run()
            let log = try EventLog(directory: directory, access: .read)
            #expect(report.head == log.head)
            #expect(report.eventCount == log.head.position)
            #expect(report.damage == nil)
        }
    }

    @Test("A log that was cut is whole, and nothing of what was behind the mark is seen")
    func cut() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            let keys = try recordSample(in: directory, commandCount: 100, using: &random)
            do {
                let log = try EventLog(directory: directory, access: .write, mapByteCount: 1 << 30)
                let mark = log.head
                // An event that no auditor would pass.
                var batch = BatchBuilder(firstPosition: mark.position + 1, time: mark.time + 1)
                [UInt8]([1]).withUnsafeBytes {
                    _ = batch.append(stream: 77, previousInStream: 0, type: 2, format: 1, payload: $0)
                }
                _ = try log.append(&batch, epoch: 1)
                try log.store(pairMemory: [1, 2, 3])
                #expect(try log.cut(to: mark) != nil)
            }
            #expect(faults(in: directory, keys: keys) == [], "SEED=\(runSeed)")
        }
    }

    @Test("An empty log is whole; a directory without one is an error")
    func empty() throws {
        try withTemporaryDirectory { directory in
            #expect(throws: EventLogError.self) { try Verifier(directory: directory) }
            _ = try EventLog(directory: directory, access: .write, mapByteCount: 1 << 20)
            let report = try Verifier(directory: directory).run()
            #expect(report.eventCount == 0 && report.damage == nil && report.head == .none)
        }
    }

    @Test("Any flipped bit of any key or value is found", .timeLimit(.minutes(10)))
    func flippedBits() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            let whole = directory + "/whole"
            let keys = try recordSample(in: whole, commandCount: 150, using: &random)
            #expect(faults(in: whole, keys: keys) == [], "SEED=\(runSeed)")
            for round in 0..<240 {
                let name = Tamper.databases[round % Tamper.databases.count]
                let copy = directory + "/copy"
                try? FileManager.default.removeItem(atPath: copy)
                try FileManager.default.copyItem(atPath: whole, toPath: copy)
                let flip = try flipOneBit(of: name, in: copy, using: &random)
                #expect(
                    faults(in: copy, keys: keys, stretchLength: 16) != [],
                    "SEED=\(runSeed) round \(round): \(flip)")
            }
        }
    }

    /// Flips a bit of a random entry's value, or of its key in one of four cases.
    private func flipOneBit(
        of name: String, in directory: String, using random: inout SeededGenerator
    ) throws -> String {
        let tamper = try Tamper(directory)
        let entry = try #require(try tamper.entries(of: name).randomElement(using: &random))
        var (key, value) = entry
        let isKey = Int.random(in: 0..<4, using: &random) == 0
        let bit = Int.random(in: 0..<8 * (isKey ? key.count : value.count), using: &random)
        if isKey { key[bit / 8] ^= 1 << (bit % 8) } else { value[bit / 8] ^= 1 << (bit % 8) }
        try tamper.replace(entry.key, in: name, by: key, value)
        return "bit \(bit) of the \(isKey ? "key" : "value") \(entry.key) in \(name)"
    }

    @Test("A file from before its identity had a checksum is whole, and the next writer adds it")
    func withoutChecksum() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            let keys = try recordSample(in: directory, commandCount: 50, using: &random)
            let checksum = Array("checksum".utf8)
            try Tamper(directory).remove(checksum, in: "meta")
            #expect(faults(in: directory, keys: keys) == [])
            _ = try EventLog(directory: directory, access: .write, mapByteCount: 1 << 30)
            #expect(try Tamper(directory).entries(of: "meta").contains { $0.key == checksum })
            #expect(faults(in: directory, keys: keys) == [])
        }
    }

    @Test("The first of several damages is told, with its position")
    func firstDamage() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            try recordSample(in: directory, commandCount: 300, using: &random)
            let positions = try alter(directory, batches: [20, 70]) { $0[$0.count - 1] ^= 1 }
            for length in [UInt64(5), 1 << 18] {
                let report = try Verifier(directory: directory, workerCount: 2, stretchLength: length).run()
                #expect(report.damage?.position == positions[0], "SEED=\(runSeed)")
                #expect(report.damage?.sentence == "the batch does not match its seal")
            }
        }
    }

    @Test("A missing batch is a gap at its position")
    func gap() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            try recordSample(in: directory, commandCount: 200, using: &random)
            let entries = try Tamper(directory).entries(of: "batches")
            try Tamper(directory).replace(
                entries[9].key, in: "batches", by: entries[10].key, entries[10].value)
            let gap = entries[9].key.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
            for length in [UInt64(3), 1 << 18] {
                let report = try Verifier(directory: directory, workerCount: 2, stretchLength: length).run()
                #expect(report.damage?.position == gap, "SEED=\(runSeed)")
            }
        }
    }

    @Test(
        "What a forger sealed anew is found by what it says",
        arguments: [
            Forgery("time of the event", offset: 64, "its batch's"),
            Forgery("chain of the stream", offset: 64 + 8, "as the one before it"),
            Forgery("stream", offset: 64 + 16 + 3, "cannot be"),
            Forgery("type", offset: 64 + 24 + 1, "unknown"),
            Forgery("flags", offset: 64 + 27, "reserved bytes of the event's envelope"),
            Forgery("status", offset: 64 + 32 + 16, "a status report with status"),
            Forgery("reserved header byte", offset: 2, "reserved bytes of the batch's header"),
            Forgery("batch format", offset: 0, "format"),
            Forgery("time of the batch", offset: 24 + 7, "later|its batch's"),
            Forgery("event count", offset: 4, "too many|beyond"),
        ])
    func forgery(_ forgery: Forgery) throws {
        try withTemporaryDirectory { directory in
            try recordReports(20, in: directory)
            let damaged = try alter(directory, batches: [10], sealingAnew: true) { bytes in
                bytes[forgery.offset] ^= 0x40
            }
            let report = try Verifier(directory: directory).run()
            let damage = try #require(report.damage)
            // A batch that says more events than it has is found where the next one should begin.
            #expect(damage.position == damaged[0] || damage.position == damaged[0] + 1)
            #expect(
                forgery.words.split(separator: "|").contains { damage.sentence.contains($0) },
                "\(damage.sentence)")
        }
    }

    private func recordReports(_ count: Int, in directory: String) throws {
        var recorder = try Recorder(directory)
        try recorder.run(.sampleRegistration(1, name: "site"))
        try recorder.commit()
        for _ in 0..<count {
            try recorder.run(report(1, action: 1, .reachable))
            try recorder.commit()
        }
    }

    @Test("A data key that is missing, left over or nobody's is found")
    func vault() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            var keys = try recordSample(in: directory, commandCount: 400, using: &random)
            let (id, value) = try #require(keys.first)
            try Tamper(directory).replace(
                id.value.bytes, in: "vault", by: VIMID.sample(5_000_000).value.bytes, value)
            keys[id] = nil
            let found = faults(in: directory, keys: keys)
            #expect(found.contains("the vault has a key for a VIM that never was"), "\(found)")
            #expect(found.contains("VIM \(id) is registered and has no data key in the vault"), "\(found)")
        }
    }

    /// Alters whole batches and returns their positions; if wished, seals them and all that follow anew.
    private func alter(
        _ directory: String, batches: [Int], sealingAnew: Bool = false, _ edit: (inout [UInt8]) -> Void
    ) throws -> [UInt64] {
        let tamper = try Tamper(directory)
        var positions: [UInt64] = []
        var seal = [UInt8](repeating: 0, count: 32)
        for (index, entry) in try tamper.entries(of: "batches").enumerated() {
            var value = entry.value
            if batches.contains(index) {
                positions.append(entry.key.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })
                edit(&value)
            }
            if sealingAnew {
                value[32..<64] = Array(SHA256.hash(data: seal + value[..<32] + value[64...]))[...]
                seal = Array(value[32..<64])
            }
            if value != entry.value { try tamper.replace(entry.key, in: "batches", by: entry.key, value) }
        }
        return positions
    }
}

/// A byte that a forger changes in the front of a batch, or in its first event.
struct Forgery: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let offset: Int
    /// What the finding says; several are divided by bars.
    let words: String

    init(_ name: String, offset: Int, _ words: String) {
        testDescription = name
        self.offset = offset
        self.words = words
    }
}
