import LMDB
import Samples
import Testing

@testable import EventLog

@Suite("Batches that travel between the two logs of a pair")
struct ShippingTests {
    @Test("A log that took the same batches is the same, vault included, hot and cold, whatever the portions")
    func same() throws {
        for round in UInt64(0)..<20 {
            let seed = runSeed &+ round
            var random = SeededGenerator(seed: seed)
            try withTwoLogs { (leader, standby) throws in
                for epoch in 1...UInt64.random(in: 1...3, using: &random) {
                    for _ in 0..<Int.random(in: 1...30, using: &random) {
                        try leader.appendAny(epoch: epoch, using: &random)
                    }
                }
                if Bool.random(using: &random) {
                    try leader.archiveAll(upTo: leader.head.position * 2 / 3, eventMax: 20)
                }
                try leader.shipAll(to: standby, byteMax: Int.random(in: 1...4_000, using: &random))
                try expectSame(leader, standby, "SEED=\(seed)")
                // From then on batches come out of memory.
                for _ in 0..<10 {
                    let batch = try leader.appendAny(using: &random)
                    try standby.append(travelling: try TravellingBatch(bytes: batch.bytes))
                    try expectSame(leader, standby, "SEED=\(seed)")
                }
            }
        }
    }

    @Test("Several batches are appended in one commit, with all that they do to the vault in their order")
    func together() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTwoLogs { (leader, standby) throws in
            try standby.append(travelling: try leader.appendAny(using: &random))
            for _ in 0..<20 { try leader.appendAny(using: &random) }
            let stored = try leader.travellingBatches(after: standby.head.position, byteMax: .max).batches
            let live = try (0..<20).map { _ in try leader.appendAny(using: &random) }
            let head = try standby.append(travelling: stored + live)
            #expect(head == standby.head)
            try expectSame(leader, standby, "SEED=\(runSeed)")
            #expect(try standby.append(travelling: []) == head)
        }
    }

    @Test("A receiver that is cut off between two batches opens whatever lives where both logs end")
    func keysFirst() throws {
        try withTwoLogs { (leader, standby) throws in
            try leader.append([Said()], vault: [VaultChange(key: [1], value: [11])])
            try leader.append([Said()], vault: [VaultChange(key: [2], value: [22])])
            let portion = try leader.travellingBatches(after: 0, byteMax: .max)
            #expect(portion.isEnd && portion.batches.count == 2)
            try standby.append(travelling: portion.batches[0])
            #expect(try standby.vaultValue(for: [1]) == [11] && standby.vaultValue(for: [2]) == [22])
            // A key that was destroyed meanwhile goes when the destroying comes, and not before.
            try leader.append([Said()], vault: [VaultChange(key: [1], value: nil)])
            try standby.append(travelling: portion.batches[1])
            #expect(try standby.vaultValue(for: [1]) == [11])
            let next = try leader.travellingBatches(
                after: 2, byteMax: .max, knowingVault: portion.vaultRevision)
            try standby.append(travelling: next.batches)
            try expectSame(leader, standby, "")
            // The vault is the same again: it is left out.
            try leader.append([Said()])
            let last = try leader.travellingBatches(after: 3, byteMax: .max, knowingVault: next.vaultRevision)
            #expect(last.batches.map(\.vault) == [.untold] && last.vaultRevision == next.vaultRevision)
        }
    }

    @Test("Portions are about as large as asked, hold a batch at least, and say whether the log ends there")
    func portions() throws {
        try withFreshLog { (log) throws in
            let nothing = try log.travellingBatches(after: 0, byteMax: 1_000)
            #expect(nothing.batches == [] && nothing.isEnd && nothing.vaultRevision == nil)
            for _ in 0..<10 { try log.append([Said(payload: Array(repeating: 1, count: 104))]) }
            // Each has 200 bytes.
            for (byteMax, count) in [(0, 1), (199, 1), (200, 1), (399, 1), (400, 2), (1_000, 5)] {
                let portion = try log.travellingBatches(after: 3, byteMax: byteMax)
                #expect(portion.batches.map(\.firstPosition) == (4..<4 + UInt64(count)).map { $0 })
                #expect(!portion.isEnd)
            }
            #expect(try log.travellingBatches(after: 3, byteMax: 1_400).isEnd)
            #expect(try log.travellingBatches(after: 10, byteMax: 1).isEnd)
            #expect(try log.travellingBatches(after: .max, byteMax: 1).batches == [])
        }
    }

    @Test("Nothing is sent from where no batch ends, nor from what was dropped")
    func unavailable() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTwoLogs { (log, standby) throws in
            try log.append([Said(), Said()], vault: [VaultChange(key: [1], value: [1])])
            #expect(throws: TravelError.doesNotFollow(end: 1, what: "no batch of the other log ends there")) {
                try log.travellingBatches(after: 1, byteMax: 1)
            }
            for _ in 0..<40 { try log.appendAny(using: &random) }
            try log.archiveAll(upTo: 60, eventMax: 20)
            let segment = try #require(try log.archivedSegments().first)
            let state = Checkpoint(
                position: segment.lastPosition, seal: segment.lastSeal, schema: 1, rows: [1])
            let base = LogBase(state: state, firstSeal: try log.firstSeal())
            try log.append([Said(stream: 0, type: 13)], archive: .drops(base))
            try log.removeDroppedFiles()
            let error = #expect(throws: TravelError.self) {
                try log.travellingBatches(after: segment.lastPosition - 1, byteMax: 1)
            }
            guard case .log(.dropped(_, segment.lastPosition, _)) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            let portion = try log.travellingBatches(after: segment.lastPosition, byteMax: 1)
            #expect(portion.batches.first?.firstPosition == segment.lastPosition + 1)
        }
    }

    @Test("What is not understood is not stored, nor is what came with it")
    func unknown() throws {
        try withTwoLogs { (leader, standby) throws in
            try leader.append([Said()])
            let first = try leader.travellingBatches(after: 0, byteMax: 1 << 20).batches
            try standby.append(travelling: first)
            var head = leader.head
            let batches = [Said(), Said(type: 99)].map { event in
                let batch = sealed([event], after: head)
                let travelling = TravellingBatch(batch, vault: [VaultChange(key: [1], value: [2])])
                head = travelling.end
                return travelling
            }
            let (before, values) = (standby.head, try standby.allValues())
            #expect(throws: TravelError.unknown(position: 3, what: "type 99")) {
                try standby.append(travelling: batches) { (batch) throws(TravelError) in
                    guard batch.firstPosition == 3 else { return }
                    throw .unknown(position: 3, what: "type 99")
                }
            }
            // A byte that no version has used yet, under a seal that is right.
            let reserved = try sealedWithReservedByte(after: standby.head)
            #expect(throws: TravelError.self) { try standby.append(travelling: reserved) }
            do throws(TravelError) { try standby.append(travelling: reserved) } catch {
                #expect(error.unknownPart?.contains("reserved bytes") == true)
            }
            #expect(standby.head == before)
            #expect(try standby.allValues() == values && standby.vaultEntries().isEmpty)
            // Nothing is in the way of what is understood.
            try standby.append(travelling: batches)
            #expect(standby.head == head)
        }
    }

    /// A batch of one event whose envelope says more than this version knows.
    private func sealedWithReservedByte(after head: Head) throws -> TravellingBatch {
        let batch = sealed(after: head)
        var value = batch.withView { Array($0.bytes) }
        value[Format.headerByteCount + 27] = 1
        return try value.withUnsafeMutableBytes { buffer in
            let seal = Seal(closing: UnsafeRawBufferPointer(buffer), after: head.seal)
            seal.write(to: buffer, at: Format.sealOffset)
            return TravellingBatch(
                try BatchView(firstPosition: head.position + 1, bytes: UnsafeRawBufferPointer(buffer)),
                vault: .untold)
        }
    }

    @Test("Any flipped bit in a travelling batch is refused, and nothing is written")
    func flipped() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTwoLogs { (leader, standby) throws in
            try standby.append(travelling: try leader.appendAny(using: &random))
            let next = sealed([Said(payload: [1, 2, 3]), Said()], after: leader.head)
            let batch = TravellingBatch(next, vault: [VaultChange(key: [1], value: [2])])
            let (values, vault, head) = (
                try standby.allValues(), try standby.vaultEntries(), standby.head
            )
            for index in batch.bytes.indices {
                var altered = batch.bytes
                altered[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                #expect(throws: TravelError.self, "byte \(index), SEED=\(runSeed)") {
                    try standby.append(travelling: try TravellingBatch(bytes: altered))
                }
            }
            #expect(try standby.allValues() == values && standby.vaultEntries() == vault)
            #expect(standby.head == head)
            try standby.append(travelling: batch)
            #expect(standby.head.position == head.position + 2)
        }
    }

    @Test("A batch that does not follow is refused for what it is, and nothing is written")
    func foreign() throws {
        try withTwoLogs { (leader, standby) throws in
            try leader.append([Said()], time: 100, epoch: 3)
            let first = try leader.travellingBatches(after: 0, byteMax: 1).batches
            try standby.append(travelling: first)
            let head = standby.head
            var gone = head
            gone.position = 7
            var earlier = head
            (earlier.time, earlier.epoch) = (0, 0)
            var other = head
            other.seal = .none
            let refused: [(BatchBuilder, String)] = [
                (sealed(after: gone), "it begins at position 8"),
                (sealed(after: .none), "it begins at position 1"),
                (sealed(after: earlier, time: 99, epoch: 3), "its time 99 is before 100"),
                (sealed(after: earlier, time: 100, epoch: 2), "its epoch 2 is lower than 3"),
            ]
            for (batch, what) in refused {
                #expect(throws: TravelError.doesNotFollow(end: 1, what: what)) {
                    try standby.append(travelling: TravellingBatch(batch, vault: []))
                }
            }
            let error = #expect(throws: TravelError.self) {
                try standby.append(travelling: TravellingBatch(sealed(after: other), vault: []))
            }
            #expect(error?.sentence.contains("does not match its seal") == true)
            // One that follows, before one that does not.
            let next = TravellingBatch(sealed(after: head), vault: [VaultChange(key: [1], value: [1])])
            #expect(throws: TravelError.self) { try standby.append(travelling: [next, next]) }
            #expect(try standby.head == head && standby.refreshHead() == head)
            #expect(try standby.vaultEntries() == [])
        }
    }

    @Test("Events that contradict themselves are refused although the seal fits")
    func contradicting() throws {
        let chains = [
            // Points at itself.
            (8, littleEndianBytes(UInt64(1))),
            // Another time than its batch's.
            (0, littleEndianBytes(UInt64(9))),
            // Reaches beyond the batch.
            (20, littleEndianBytes(UInt32(5))),
        ]
        for (offset, bytes) in chains {
            try withFreshLog { (log) throws in
                let batch = sealed([Said(payload: [1, 2, 3, 4])], after: .none, time: 10)
                var value = batch.withBytes { Array($0) }
                let place = Format.headerByteCount + offset
                value.replaceSubrange(place..<place + bytes.count, with: bytes)
                value.withUnsafeMutableBytes { buffer in
                    Seal(closing: UnsafeRawBufferPointer(buffer), after: .none)
                        .write(to: buffer, at: Format.sealOffset)
                }
                let travelling = try StoredBatch(position: 1, bytes: value).view {
                    TravellingBatch($0, vault: .untold)
                }
                let error = #expect(throws: TravelError.self) { try log.append(travelling: travelling) }
                guard case .damaged(1, _) = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
                #expect(log.head == .none)
            }
        }
    }

    @Test("An opened log has the head that it had: opening begins no epoch and writes no batch")
    func opening() throws {
        try withTemporaryDirectory { directory in
            try withLog(in: directory) { #expect($0.head == .none) }
            let values = try withLog(in: directory) { (log) throws in
                try log.append([Said()], epoch: 4)
                return try log.allValues()
            }
            try withLog(in: directory) { (log) throws in
                #expect(log.head.position == 1 && log.head.epoch == 4)
                #expect(try log.allValues() == values)
            }
        }
    }
}

func expectSame(_ first: EventLog, _ second: EventLog, _ comment: Comment) throws {
    #expect(try first.allValues() == second.allValues(), comment)
    #expect(try first.vaultEntries() == second.vaultEntries(), comment)
    #expect(first.head == second.head, comment)
    #expect(first.identity != second.identity, comment)
}
