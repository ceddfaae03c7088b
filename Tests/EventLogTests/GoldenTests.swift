import Crypto
import LMDB
import Samples
import Testing

@testable import EventLog

/// The files were made by a program of its own from the description of the format, not by this code.
@Suite("The bytes of the log")
struct GoldenTests {
    static let time: UInt64 = 1_795_000_000_123_456
    static let first = [
        Said(stream: 0, previous: 0, type: 10, format: 1, payload: Array("epoch".utf8)),
        Said(stream: 1, previous: 0, type: 1, format: 1, payload: Array("hello".utf8)),
    ]
    static let second = [
        Said(stream: 1, previous: 2, type: 4, format: 1, payload: Array(0..<24)),
        Said(stream: 1, previous: 3, type: 4, format: 2, payload: Array(0..<40)),
        Said(stream: 0, previous: 1, type: 9, format: 255),
    ]

    @Test("Two batches are stored as they always were, seals included")
    func write() throws {
        try withFreshLog { (log) throws in
            let first = try log.append(GoldenTests.first, time: GoldenTests.time, epoch: 1)
            let second = try log.append(GoldenTests.second, time: GoldenTests.time + 7, epoch: 2)
            let golden = (try goldenBytes("batch-1"), try goldenBytes("batch-2"))
            #expect(try log.storedBatch(1) == golden.0)
            #expect(try log.storedBatch(3) == golden.1)
            #expect(first.seal.bytes == Array(golden.0[32..<64]))
            #expect(
                second
                    == Head(
                        position: 5, seal: try #require(Seal(bytes: golden.1[32..<64])),
                        time: GoldenTests.time + 7, epoch: 2))
        }
    }

    @Test("A log of an earlier day reads, with its seals, and is appended to")
    func read() throws {
        try withTemporaryDirectory { directory in
            try withLog(in: directory) { (log) throws in
                try log.tamper(with: 1, try goldenBytes("batch-1"))
                try log.tamper(with: 3, try goldenBytes("batch-2"))
            }
            try withLog(in: directory) { (log) throws in
                #expect(log.head.position == 5)
                #expect(log.head.epoch == 2)
                #expect(try log.events() == GoldenTests.first + GoldenTests.second)
                #expect(try log.append([Said()]).position == 6)
                #expect(log.damage() == nil)
            }
        }
    }

    @Test("A seal is the SHA-256 of the seal before and the batch without its seal")
    func seal() throws {
        let bytes = try goldenBytes("batch-2")
        let before = try goldenBytes("batch-1")[32..<64]
        var hash = SHA256()
        hash.update(data: before)
        hash.update(data: bytes[..<32])
        hash.update(data: bytes[64...])
        #expect(Array(hash.finalize()) == Array(bytes[32..<64]))
    }

    @Test("A seal is shown as 64 hexadecimal digits and read back from 32 bytes only")
    func sealText() throws {
        let bytes = Array(UInt8(0)..<32)
        let seal = try #require(Seal(bytes: bytes))
        #expect(seal.description == "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
        #expect(seal.bytes == bytes)
        #expect(Seal(bytes: bytes.dropLast()) == nil)
        #expect(Seal(bytes: bytes + [0]) == nil)
    }

    @Test("The checkpoint's front is stored as it always was")
    func checkpoint() throws {
        try withFreshLog { (log) throws in
            let seal = try #require(Seal(bytes: try goldenBytes("batch-2")[32..<64]))
            try log.write(Checkpoint(position: 5, seal: seal, schema: 1, rows: Array(0..<200)))
            let stored = try log.look { (transaction) throws(LMDBError) in
                (
                    try transaction.copy(of: [0, 0, 0, 0], in: log.checkpoints),
                    try transaction.copy(of: [0, 0, 0, 1], in: log.checkpoints)
                )
            }
            #expect(stored.0 == (try goldenBytes("checkpoint-front")))
            #expect(stored.1 == Array(0..<200))
        }
    }

    @Test("The file says its format in four bytes and its identity in sixteen, and keeps them")
    func meta() throws {
        try withTemporaryDirectory { directory in
            let identity = try withLog(in: directory) { (log) throws in
                let meta = try log.environment.database("meta")
                let format = try log.look { (transaction) throws(LMDBError) in
                    try transaction.copy(of: "format".utf8, in: meta)
                }
                #expect(format == [1, 0, 0, 0])
                return log.identity
            }
            #expect(identity.count == 16)
            try withLog(in: directory, .read) { #expect($0.identity == identity) }
            try withFreshLog { #expect($0.identity != identity) }
        }
    }
}
