import LMDB
import Samples
import Testing

@testable import EventLog

@Suite("A checkpoint")
struct CheckpointTests {
    @Test(
        "It reads back as it was written, whatever its size",
        arguments: [0, 1, 5_000, Limits.checkpointPieceByteMax, Limits.checkpointPieceByteMax * 2 + 1])
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
                let long = [UInt8](repeating: 1, count: Limits.checkpointPieceByteMax * 3)
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
            for key: UInt32 in [0, 1] {
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

    @Test("By portions: until the last one the one before counts, and nothing of that one is left at the end")
    func portions() throws {
        try withFreshLog { (log) throws in
            // From each half of the keys into the other, by a longer one and by a shorter.
            var stored: Checkpoint?
            for (position, portionCount) in [(1, 2), (2, 3), (3, 1), (4, 0), (5, 2)] as [(UInt64, Int)] {
                let next = large(position, portionCount)
                var draft = CheckpointDraft(of: next, replacing: try log.checkpointFront())
                var stepCount = 0
                while try !log.advance(&draft) {
                    stepCount += 1
                    if draft.isStored { stored = next }
                    #expect(try log.readCheckpoint() == stored)
                    #expect(try log.strayEntries() == [])
                }
                #expect(stored == next && stepCount >= portionCount)
                #expect(try pieceCount(log) == EventLog.pieceCount(of: next))
            }
            // And then one by the commit that takes all the room.
            try log.write(large(6, 1))
            #expect(try log.readCheckpoint() == large(6, 1))
            #expect(try pieceCount(log) == Limits.checkpointPortionMax)
        }
    }

    @Test("One that was left half written is no fault, and the next one takes it away")
    func halfWritten() throws {
        try withTemporaryDirectory { directory in
            let (first, second) = (large(1, 2), large(3, 1))
            try withLog(in: directory) { (log) throws in
                try log.write(first)
                var draft = CheckpointDraft(of: large(2, 3), replacing: try log.checkpointFront())
                for _ in 0..<2 { #expect(try log.advance(&draft) == false) }
            }
            try withLog(in: directory) { (log) throws in
                #expect(try log.readCheckpoint() == first)
                #expect(try log.strayEntries() == [])
                #expect(try pieceCount(log) == 4 * Limits.checkpointPortionMax)
                var draft = CheckpointDraft(of: second, replacing: try log.checkpointFront())
                while try !log.advance(&draft) {}
                #expect(try log.readCheckpoint() == second)
                #expect(try pieceCount(log) == Limits.checkpointPortionMax)
            }
        }
    }

    @Test("A draft gives way to what another process stored meanwhile, or took away")
    func overtaken() throws {
        try withFreshLog { (log) throws in
            try log.write(large(1, 1))
            var draft = CheckpointDraft(of: large(2, 3), replacing: try log.checkpointFront())
            #expect(try log.advance(&draft) == false)
            try log.write(large(3, 2))
            while try !log.advance(&draft) {}
            #expect(try !draft.isStored && log.readCheckpoint() == large(3, 2))
            draft = CheckpointDraft(of: large(4, 3), replacing: try log.checkpointFront())
            #expect(try log.advance(&draft) == false)
            try log.dropCheckpoint()
            while try !log.advance(&draft) {}
            #expect(try !draft.isStored && log.readCheckpoint() == nil)
        }
    }

    @Test("Pieces without a front, or behind the last one, are told of")
    func strayPieces() throws {
        try withFreshLog { (log) throws in
            // Its pieces are in the lower half, then in the upper one.
            for half in [CheckpointHalf.lower, .upper] {
                var draft = CheckpointDraft(of: large(1, 1), replacing: try log.checkpointFront())
                while try !log.advance(&draft) {}
                draft = CheckpointDraft(of: large(2, 1), replacing: try log.checkpointFront())
                while half == draft.half, try !log.advance(&draft) {}
                let behind = EventLog.key(half.rawValue + UInt32(Limits.checkpointPortionMax) + 1)
                let nobodys = EventLog.key(CheckpointHalf.upper.rawValue)
                for key in [behind, nobodys, [1], [0, 0, 0, 0, 1]] {
                    try log.change { (transaction) throws(LMDBError) in
                        try transaction.put([1], for: key, in: log.checkpoints)
                    }
                    #expect(try log.strayEntries().count == 1, "\(key) beside \(half)")
                    try log.change { (transaction) throws(LMDBError) in
                        try transaction.remove(key, in: log.checkpoints)
                    }
                }
            }
        }
    }

    /// A checkpoint that takes so many portions.
    private func large(_ position: UInt64, _ portionCount: Int) -> Checkpoint {
        Checkpoint(
            position: position, seal: .none, schema: 1,
            rows: Array(
                repeating: UInt8(position),
                count: portionCount * Limits.checkpointPortionMax * Limits.checkpointPieceByteMax))
    }

    /// How many pieces there are, of whichever checkpoint.
    private func pieceCount(_ log: EventLog) throws -> Int {
        try log.look { (transaction) throws(LMDBError) in
            var count = 0
            for half in [CheckpointHalf.lower, .upper] {
                for index in 0..<5 * Limits.checkpointPortionMax
                where try transaction.copy(of: half.key(ofPiece: index), in: log.checkpoints) != nil {
                    count += 1
                }
            }
            return count
        }
    }

    private func value(_ key: UInt32, _ log: EventLog) throws -> [UInt8]? {
        try log.look { (transaction) throws(LMDBError) in
            try transaction.copy(of: EventLog.key(key), in: log.checkpoints)
        }
    }

    private func put(_ value: [UInt8]?, _ key: UInt32, _ log: EventLog) throws {
        try log.change { (transaction) throws(LMDBError) in
            if let value {
                try transaction.put(value, for: EventLog.key(key), in: log.checkpoints)
            } else {
                try transaction.remove(EventLog.key(key), in: log.checkpoints)
            }
        }
    }
}
