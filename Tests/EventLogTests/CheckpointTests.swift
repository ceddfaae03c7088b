import LMDB
import Samples
import Testing

@testable import EventLog

@Suite("A checkpoint")
struct CheckpointTests {
    @Test(
        "It reads back as it was written, whatever its size",
        arguments: [0, 1, 5_000, Limits.checkpointChunkByteMax, Limits.checkpointChunkByteMax * 2 + 1])
    func roundTrip(_ byteCount: Int) throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            let seal = try #require(Seal(bytes: random.bytes(32)))
            let checkpoint = Checkpoint(
                position: .max, seal: seal, schema: 3,
                rows: (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 31) })
            try withLog(in: directory) { try $0.write(checkpoint) }
            try withLog(in: directory, .read) { (log) throws in
                #expect(try log.readCheckpoint() == checkpoint)
            }
        }
    }

    @Test(
        "None at first; a new one replaces the old one, also a longer by a shorter; dropped it is gone"
    )
    func replace() throws {
        try withTemporaryDirectory { directory in
            try withLog(in: directory) { (log) throws in
                #expect(try log.readCheckpoint() == nil)
                let long = [UInt8](repeating: 1, count: Limits.checkpointChunkByteMax * 3)
                try log.write(Checkpoint(position: 1, seal: .none, schema: 1, rows: long))
                let short = Checkpoint(position: 2, seal: .none, schema: 1, rows: [4])
                try log.write(short)
                #expect(try log.readCheckpoint() == short)
                #expect(try value(2, log) == nil, "a chunk of the longer one is left")
            }
            // Beside no server, or a running one.
            try withLog(in: directory, .maintain) { (log) throws in
                try log.dropCheckpoint()
                try log.dropCheckpoint()
                #expect(try log.readCheckpoint() == nil)
            }
            try withLog(in: directory) { (log) throws in #expect(try log.readCheckpoint() == nil) }
        }
    }

    @Test("With any bit flipped, or a part missing, it reads as none")
    func damage() throws {
        try withFreshLog { (log) throws in
            let whole = Checkpoint(position: 7, seal: .none, schema: 1, rows: Array(0..<100))
            try log.write(whole)
            for key in [0, 1] {
                let stored = try #require(try value(key, log))
                for index in stored.indices {
                    var broken = stored
                    broken[index] ^= 1 << UInt8(index % 8)
                    try put(broken, key, log)
                    #expect(try log.readCheckpoint() == nil, "byte \(index) of \(key)")
                }
                for count in [0, 1, stored.count - 1] {
                    try put(Array(stored[..<count]), key, log)
                    #expect(try log.readCheckpoint() == nil)
                }
                try put(nil, key, log)
                #expect(try log.readCheckpoint() == nil)
                try put(stored, key, log)
            }
            #expect(try log.readCheckpoint() == whole)
        }
    }

    private func value(_ key: Int, _ log: EventLog) throws -> [UInt8]? {
        try log.look { (transaction) throws(LMDBError) in
            try transaction.copy(of: EventLog.key(key), in: log.checkpoints)
        }
    }

    private func put(_ value: [UInt8]?, _ key: Int, _ log: EventLog) throws {
        try log.change { (transaction) throws(LMDBError) in
            if let value {
                try transaction.put(value, for: EventLog.key(key), in: log.checkpoints)
            } else {
                try transaction.remove(EventLog.key(key), in: log.checkpoints)
            }
        }
    }
}
