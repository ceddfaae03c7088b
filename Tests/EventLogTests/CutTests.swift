import Foundation
import LMDB
import Samples
import Synchronization
import Testing

@testable import EventLog

@Suite("Cutting a log where its pair's other log goes on otherwise")
struct CutTests {
    @Test(
        "What was behind the mark is in a side file; the log is as it was there, and goes on as the leader's"
    )
    func cutAndGoOn() throws {
        for round in UInt64(0)..<20 {
            let seed = runSeed &+ round
            var random = SeededGenerator(seed: seed)
            try withTemporaryDirectory { directory in
                try withFreshLog { (leader) throws in
                    try withLog(in: directory) { (log) throws in
                        let isOld = Bool.random(using: &random)
                        try part(leader, log, archiving: isOld, using: &random)
                        let mark = leader.head
                        for _ in 0..<Int.random(in: 1...9, using: &random) {
                            try leader.appendAny(epoch: 3, using: &random)
                        }
                        let (gone, before) = (try log.allValues(from: mark.position + 1), try log.allValues())
                        var asked = mark
                        asked.time = 0
                        let path = try #require(try log.cut(to: asked))
                        #expect(log.head == mark)
                        #expect(try log.allValues() == before.filter { $0.position <= mark.position })
                        var kept: [StoredBatch] = []
                        let file = try CutFile.read(path) { batch in
                            kept.append(
                                StoredBatch(
                                    position: batch.firstPosition, bytes: batch.withView { Array($0.bytes) }))
                        }
                        #expect(kept == gone, "SEED=\(seed)")
                        #expect(file.mark == mark && file.identity == log.identity)
                        #expect(log.cutFiles() == [path])
                        #expect(try log.strayEntries() == [])
                        #expect(try log.cut(to: mark) == nil, "there is nothing left to cut")
                        try leader.shipAll(to: log, byteMax: 2_000)
                        try expectSame(leader, log, "SEED=\(seed)")
                    }
                    try withLog(in: directory) { (log) throws in try expectSame(leader, log, "SEED=\(seed)") }
                }
            }
        }
    }

    @Test("A log whose beginning is another one is cut to nothing, and takes the leader's from the first")
    func everything() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTwoLogs { (leader, log) throws in
            for _ in 0..<5 {
                try leader.appendAny(using: &random)
                try log.appendAny(using: &random)
            }
            let path = try #require(try log.cut(to: .none))
            #expect(try log.head == .none && log.allValues() == [])
            #expect(try CutFile.read(path).mark == .none)
            try leader.shipAll(to: log, byteMax: 1)
            try expectSame(leader, log, "SEED=\(runSeed)")
        }
    }

    @Test("A key that a cut batch destroyed comes back with the leader's vault")
    func vault() throws {
        try withTwoLogs { (leader, log) throws in
            try leader.append([Said()], vault: [VaultChange(key: [1], value: [11])])
            try leader.shipAll(to: log, byteMax: 1)
            try log.append([Said()], epoch: 2, vault: [VaultChange(key: [1], value: nil)])
            try leader.append([Said()], epoch: 3)
            try log.cut(to: try leader.head(at: 1))
            #expect(try log.vaultValue(for: [1]) == nil)
            try leader.shipAll(to: log, byteMax: 1)
            try expectSame(leader, log, "")
        }
    }

    @Test("A checkpoint that shows more than is left goes in the same commit, another stays")
    func checkpoint() throws {
        for (position, isKept) in [(UInt64(2), true), (3, true), (4, false)] {
            try withFreshLog { (log) throws in
                for _ in 0..<5 { try log.append([Said()]) }
                let head = try log.head(at: position)
                try log.write(Checkpoint(position: position, seal: head.seal, schema: 1, rows: [1, 2]))
                try log.cut(to: try log.head(at: 3))
                #expect(try (log.readCheckpoint() != nil) == isKept)
            }
        }
    }

    @Test("What is no end of a batch of this log, or is archived, is refused, and nothing changes")
    func refused() throws {
        var random = SeededGenerator(seed: runSeed)
        try withFreshLog { (log) throws in
            try log.append([Said(), Said()])
            for _ in 0..<40 { try log.appendAny(using: &random) }
            try log.archiveAll(upTo: 60, eventMax: 20)
            let (values, end) = (try log.allValues(), try log.archivedEnd())
            let last = try log.head(at: log.head.position - 1)
            for change in [\Head.epoch, \Head.position] {
                var other = last
                other[keyPath: change] += 1
                #expect(throws: CutError.noEnd(position: other.position)) { try log.cut(to: other) }
            }
            var other = last
            other.seal = log.head.seal
            #expect(throws: CutError.noEnd(position: last.position)) { try log.cut(to: other) }
            other.position = .max
            #expect(throws: CutError.noEnd(position: .max)) { try log.cut(to: other) }
            for mark in [try log.head(at: end), try log.head(at: 2), .none] {
                let error = #expect(throws: CutError.archived(position: mark.position, end: end)) {
                    try log.cut(to: mark)
                }
                #expect(error?.sentence.contains("restore this node") == true)
            }
            #expect(try log.allValues() == values && log.cutFiles() == [])
        }
    }

    @Test("Interrupted before its commit, a cut has done nothing but a file, and is made again")
    func interrupted() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            let (values, mark, path) = try withLog(in: directory) { (log) throws in
                for _ in 0..<20 { try log.appendAny(using: &random) }
                let values = try log.allValues()
                let mark = try log.head(at: values[12].position - 1)
                let path = try log.writeCutFile(behind: mark)
                // A file that was being written when the process was killed.
                try Data([1]).write(to: URL(fileURLWithPath: path + ".partial"))
                return (values, mark, path)
            }
            try withLog(in: directory) { (log) throws in
                #expect(try log.allValues() == values && log.cutFiles() == [path])
                #expect(FileManager.default.fileExists(atPath: path + ".partial") == false)
                #expect(try log.cut(to: mark) == path)
                #expect(try log.allValues() == Array(values.prefix(12)) && log.cutFiles() == [path])
            }
            try CutFile.read(path)
        }
    }

    @Test("If the side file cannot be written, the log stays as it is")
    func noSideFile() throws {
        try withFreshLog { (log) throws in
            for _ in 0..<3 { try log.append([Said()]) }
            // A file in the place of the folder: nobody may write into it, not even root.
            try Data().write(to: URL(fileURLWithPath: log.cutDirectory))
            let error = #expect(throws: CutError.self) { try log.cut(to: try log.head(at: 1)) }
            #expect(error?.sentence.contains("cannot be written") == true)
            #expect(try log.head.position == 3 && log.events().count == 3)
        }
    }

    @Test("A damaged batch is not cut away: the side file could not tell it")
    func damaged() throws {
        try withFreshLog { (log) throws in
            for _ in 0..<4 { try log.append([Said(payload: [1, 2, 3])]) }
            var value = try #require(try log.storedBatch(3))
            value[value.count - 1] ^= 1
            try log.tamper(with: 3, value)
            #expect(throws: CutError.self) { try log.cut(to: try log.head(at: 1)) }
            #expect(try log.head.position == 4 && log.storedBatch(4) != nil && log.cutFiles() == [])
        }
    }

    @Test("A side file has the bytes that it always had, and one of an earlier day reads")
    func golden() throws {
        try withFreshLog { (log) throws in
            try log.append(GoldenTests.first, time: GoldenTests.time, epoch: 1)
            try log.append(GoldenTests.second, time: GoldenTests.time + 7, epoch: 2)
            let (mark, end) = (try log.head(at: 2), log.head)
            let path = try #require(try log.cut(to: mark))
            let seal = end.seal.description.prefix(8)
            #expect(path == log.directory + "/cut/3-5-\(GoldenTests.time + 7)-\(seal).cut")
            let written = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
            let golden = try goldenBytes("cut-1")
            // The identity is this log's, and so is the SHA-256.
            #expect(written[..<16] == golden[..<16] && written[16..<32] == log.identity[...])
            #expect(written[32...].dropLast(32) == golden[32...].dropLast(32))
            try Data(golden).write(to: URL(fileURLWithPath: path))
            let file = try CutFile.read(path) { #expect($0.firstPosition == 3 && $0.vault == .untold) }
            #expect(file == CutFile(identity: Array(0..<16), mark: mark, end: end))
        }
    }

    @Test("Any flipped bit, a missing end and more bytes of a side file are found; a later version is told")
    func sideFileDamage() throws {
        var random = SeededGenerator(seed: runSeed)
        try withFreshLog { (log) throws in
            for _ in 0..<4 { try log.append([Said(payload: random.bytes(20))]) }
            let path = try #require(try log.cut(to: try log.head(at: 2)))
            let whole = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
            func isRefused(_ bytes: [UInt8]) throws -> Bool {
                try Data(bytes).write(to: URL(fileURLWithPath: path))
                do throws(EventLogError) { try CutFile.read(path) } catch {
                    #expect(error.sentence.contains(path))
                    return true
                }
                return false
            }
            for index in whole.indices {
                var altered = whole
                altered[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                #expect(try isRefused(altered), "byte \(index), SEED=\(runSeed)")
                #expect(try isRefused(Array(whole[..<index])), "\(index) bytes")
            }
            #expect(try isRefused(whole + [0]))
            var later = whole
            later[8] = 2
            #expect(try isRefused(later))
            #expect(throws: EventLogError.newerFormat(path: path, found: 2, known: 1)) {
                try CutFile.read(path)
            }
            #expect(try !isRefused(whole))
        }
    }

    @Test("Who reads behind the mark while the log is cut is told so; who reads before it goes on")
    func beside() throws {
        for (cutAt, isTold) in [(UInt64(5), false), (20, true)] {
            try withFreshLog { (log) throws in
                // More than one view of the file, so that the reader comes back to it.
                for _ in 0..<40 { try log.append([Said(payload: Array(repeating: 1, count: 900_000))]) }
                let mark = try log.head(at: 10)
                var read: UInt64 = 0
                let reading = {
                    try log.readEvents(verifyingSeals: true) { (event) throws(any Error) -> Bool in
                        read = event.position
                        // On another thread: a read transaction of this one is open.
                        if read == cutAt { try onAnotherThread { try log.cut(to: mark) } }
                        return true
                    }
                }
                if isTold {
                    #expect {
                        try reading()
                    } throws: { error in
                        guard case ReadError<any Error>.log(let fault) = error else { return false }
                        return fault == .cut(path: log.path, to: 10) && fault.isRetriable
                    }
                } else {
                    try reading()
                    #expect(read == 10)
                }
            }
        }
    }

    @Test("Another process's head goes back with the cut, and a look from before it takes nothing back")
    func knownHead() throws {
        try withFreshLog { (log) throws in
            for _ in 0..<5 { try log.append([Said()]) }
            // As a reader has it that last looked before.
            let earlier = log.knownHead.withLock { $0 }
            let mark = try log.head(at: 2)
            try log.cut(to: mark)
            log.knownHead.withLock { $0 = earlier }
            #expect(try log.readHead() == mark && log.head == mark)
            try log.append([Said()], epoch: 2)
            #expect(try log.readHead().position == 3)
        }
    }

    @Test("A reading in steps that a cut overtakes begins anew")
    func undisturbed() throws {
        try withFreshLog { (log) throws in
            for _ in 0..<5 { try log.append([Said()]) }
            let mark = try log.head(at: 2)
            var count = 0
            let end = try log.undisturbedByDrops { () throws in
                count += 1
                let end = log.head.position
                if count == 1 { try log.cut(to: mark) }
                return end
            }
            #expect(end == 2 && count == 2)
        }
    }

    @Test("A segment that was written before the cut does not enter the log behind it")
    func staleSegment() throws {
        try withFreshLog { (log) throws in
            for _ in 0..<5 { try log.append([Said()]) }
            let segment = try #require(try log.writeSegment(upTo: 4))
            try log.cut(to: try log.head(at: 2))
            for _ in 0..<5 { try log.append([Said()], epoch: 2) }
            #expect(throws: EventLogError.cut(path: log.path, to: 2)) {
                try log.append([Said(stream: 0, type: 11)], archive: .enters(segment))
            }
            #expect(try log.archivedEnd() == 0 && log.head.position == 7)
        }
    }

    /// Gives both logs a common beginning, and the second one more of its own.
    private func part(
        _ leader: EventLog, _ log: EventLog, archiving isOld: Bool, using random: inout SeededGenerator
    ) throws {
        for _ in 0..<Int.random(in: isOld ? 20...30 : 1...30, using: &random) {
            try leader.appendAny(using: &random)
        }
        try leader.shipAll(to: log, byteMax: 3_000)
        if isOld {
            // The event of an archiving is common, too.
            let segment = try #require(try log.writeSegment(upTo: log.head.position / 2))
            let told = sealed([Said(stream: 0, type: 11)], after: log.head)
            _ = try log.append(sealed: told, archive: .enters(segment))
            while try log.removeArchived() {}
            try leader.append(travelling: TravellingBatch(told, vault: []))
        }
        for _ in 0..<Int.random(in: 1...9, using: &random) { try log.appendAny(epoch: 2, using: &random) }
    }
}

@Suite("What a pair remembers in its log")
struct PairMemoryTests {
    @Test("It is kept over a restart, replaced as a whole, and is no stray entry; altered, it is told")
    func memory() throws {
        try withTemporaryDirectory { directory in
            try withLog(in: directory) { (log) throws in
                #expect(try log.pairMemory() == nil)
                try log.store(pairMemory: [1, 2, 3])
                try log.append([Said()])
                try log.store(pairMemory: [])
                #expect(try log.pairMemory() == [])
                try log.store(pairMemory: Array(repeating: 7, count: EventLog.pairMemoryByteMax))
            }
            try withLog(in: directory, .read) { (log) throws in
                #expect(try log.pairMemory() == Array(repeating: 7, count: EventLog.pairMemoryByteMax))
                #expect(try log.strayEntries() == [] && log.head.position == 1)
            }
            try withLog(in: directory) { (log) throws in
                let stored = try log.look { (transaction) throws(LMDBError) in
                    try transaction.copy(of: EventLog.pairKey, in: log.meta)
                }
                var altered = try #require(stored)
                altered[altered.count - 1] ^= 1
                try log.change { (transaction) throws(LMDBError) in
                    try transaction.put(altered, for: EventLog.pairKey, in: log.meta)
                }
                #expect(throws: EventLogError.self) { try log.pairMemory() }
                #expect(try log.strayEntries().count == 1)
            }
        }
    }
}
