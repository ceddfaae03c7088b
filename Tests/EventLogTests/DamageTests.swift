import Foundation
import LMDB
import Samples
import Testing

@testable import EventLog

@Suite("A damaged log")
struct DamageTests {
    @Test("Every flipped bit of a small log is found, at the batch that holds it")
    func everyByte() throws {
        try withFreshLog { (log) throws in
            try appendSample(to: log)
            for position in [UInt64(1), 3, 4] {
                let whole = try #require(try log.storedBatch(position))
                for index in whole.indices {
                    for mask in [UInt8(1) << (index % 8), 0x80 >> (index % 8)] {
                        var flipped = whole
                        flipped[index] ^= mask
                        try log.tamper(with: position, flipped)
                        #expect(
                            log.damage()?.damagedPosition == position, "byte \(index) of batch \(position)")
                    }
                }
                try log.tamper(with: position, whole)
                #expect(log.damage() == nil)
            }
        }
    }

    @Test("A flipped bit in the first batch of a reading from the middle is found, too")
    func fromTheMiddle() throws {
        try withFreshLog { (log) throws in
            try appendSample(to: log)
            for start in [UInt64(3), 4, 5] {
                let position: UInt64 = start == 3 ? 3 : 4
                let whole = try #require(try log.storedBatch(position))
                var flipped = whole
                flipped[whole.count - 1] ^= 1
                try log.tamper(with: position, flipped)
                #expect(log.damage(from: start)?.damagedPosition == position)
                try log.tamper(with: position, whole)
                #expect(log.damage(from: start) == nil)
            }
        }
    }

    @Test("Where pages lead to one page again and again, a place in the log is not searched for ever")
    func misleadingPages() throws {
        try withTemporaryDirectory { directory in
            try withLog(in: directory) { (log) throws in
                // Two of them fill a page.
                let large = Said(payload: [UInt8](repeating: 7, count: 1_400))
                for _ in 0..<60 { try log.append([large]) }
            }
            let url = URL(fileURLWithPath: directory + "/events.lmdb")
            var file = [UInt8](try Data(contentsOf: url))
            func word(_ place: Int) -> Int { Int(file[place]) + Int(file[place + 1]) << 8 }
            for page in stride(from: 2 * 4_096, to: file.count, by: 4_096) where word(page + 10) == 1 {
                // Every child of a branch is now the one in its middle: a node begins with 48 bits of number.
                let nodes = (0..<(word(page + 12) - 16) / 2).map { page + word(page + 16 + 2 * $0) }
                let middle = nodes[nodes.count / 2]
                let child = Array(file[middle..<middle + 6])
                for node in nodes { file.replaceSubrange(node..<node + 6, with: child) }
            }
            try Data(file).write(to: url)
            try withLog(in: directory, .read) { (log) throws in
                var toldCount = 0
                for position in UInt64(1)...60 {
                    do throws(EventLogError) { _ = try log.head(at: position) } catch { toldCount += 1 }
                }
                #expect(toldCount > 30)
            }
        }
    }

    @Test("Random flipped bits of a larger log are found")
    func randomBits() throws {
        var random = SeededGenerator(seed: runSeed)
        try withFreshLog { (log) throws in
            var positions: [UInt64] = []
            for _ in 0..<60 {
                positions.append(log.head.position + 1)
                try log.append(
                    (0..<Int.random(in: 1...20, using: &random)).map { _ in
                        Said(payload: random.bytes(Int.random(in: 0...200, using: &random)))
                    })
            }
            for _ in 0..<150 {
                let position = try #require(positions.randomElement(using: &random))
                let whole = try #require(try log.storedBatch(position))
                var flipped = whole
                flipped[Int.random(in: whole.indices, using: &random)] ^=
                    1
                    << UInt8.random(
                        in: 0...7, using: &random)
                try log.tamper(with: position, flipped)
                #expect(log.damage()?.damagedPosition == position, "SEED=\(runSeed)")
                try log.tamper(with: position, whole)
            }
            #expect(log.damage() == nil)
        }
    }

    @Test("Truncated, lengthened and foreign values are found without reading beyond them")
    func lengths() throws {
        try withFreshLog { (log) throws in
            try appendSample(to: log)
            let whole = try #require(try log.storedBatch(3))
            let broken =
                whole.indices.map { Array(whole[..<$0]) } + [
                    whole + [0], whole + whole, [0xFF], Array(repeating: 0xFF, count: 500),
                ]
            for value in broken {
                try log.tamper(with: 3, value)
                #expect(log.damage(verifyingSeals: false)?.damagedPosition == 3, "\(value.count) bytes")
            }
        }
    }

    @Test("Envelopes whose lengths do not add up are found even without seals")
    func envelopes() throws {
        try withFreshLog { (log) throws in
            try appendSample(to: log)
            let whole = try #require(try log.storedBatch(1))
            let (count, firstLength) = (4, 64 + 20)
            for (offset, byte) in [
                (count, 1), (count, 3), (count + 3, 0x7F), (firstLength, 0), (firstLength + 3, 0xFF),
            ] {
                var broken = whole
                broken[offset] = UInt8(byte)
                try log.tamper(with: 1, broken)
                #expect(
                    log.damage(verifyingSeals: false)?.damagedPosition != nil, "\(byte) at \(offset)")
            }
        }
    }

    @Test("A missing batch is found, be it the first, the middle or before where reading begins")
    func missing() throws {
        for (gone, start, found) in [(1, 1, 1), (3, 1, 3), (3, 3, 3), (4, 5, 5)] as [(UInt64, UInt64, UInt64)]
        {
            try withFreshLog { (log) throws in
                try appendSample(to: log)
                try log.append([Said()])
                try log.tamper(with: gone, nil)
                for verifyingSeals in [false, true] {
                    #expect(
                        log.damage(from: start, verifyingSeals: verifyingSeals)?.damagedPosition == found,
                        "batch \(gone) read from \(start)")
                }
                // They need not be right any more, but they must come back.
                for place in 0...8 as ClosedRange<UInt64> {
                    _ = try? log.head(at: place)
                    _ = try? log.head(atTime: place * 5)
                }
            }
        }
    }

    @Test("Two batches that changed places are found")
    func swapped() throws {
        try withFreshLog { (log) throws in
            for number in 0..<4 { try log.append([Said(payload: [UInt8(number)])], time: 5) }
            let (second, third) = (try log.storedBatch(2), try log.storedBatch(3))
            try log.tamper(with: 2, third)
            try log.tamper(with: 3, second)
            #expect(log.damage()?.damagedPosition == 2)
        }
    }

    @Test(
        "A batch under an impossible position is damage, not a crash",
        arguments: [0, .max, .max - 1] as [UInt64])
    func impossiblePosition(_ position: UInt64) throws {
        try withTemporaryDirectory { directory in
            try withLog(in: directory) { (log) throws in
                try appendSample(to: log)
                let batch = try log.storedBatch(1)
                try log.tamper(with: position, batch)
                #expect(log.damage()?.damagedPosition != nil)
                _ = try? log.head(at: position)
                _ = try? log.head(atTime: 0)
                _ = try? log.head(atTime: .max)
            }
            if position > 0 {
                #expect(throws: EventLogError.self) { try withLog(in: directory, .read) { _ in } }
            }
        }
    }

    @Test("A log whose last batch is damaged does not open, and the error says where")
    func lastBatch() throws {
        try withTemporaryDirectory { directory in
            try withLog(in: directory) { (log) throws in
                try appendSample(to: log)
                try log.tamper(with: 4, Array(try #require(try log.storedBatch(4)).dropLast()))
            }
            for access in [EventLog.Access.write, .read, .maintain] {
                let error = #expect(throws: EventLogError.self) {
                    try withLog(in: directory, access) { _ in }
                }
                #expect(error?.damagedPosition == 4)
                #expect(error?.sentence.contains(directory) == true)
                #expect(error?.sentence.contains("backup") == true)
            }
        }
    }

    /// Batches at 1 (two events), 3 (one) and 4 (two).
    private func appendSample(to log: EventLog) throws {
        try log.append([Said(payload: [1, 2, 3]), Said(payload: [4])])
        try log.append([Said(payload: [])], epoch: 2)
        try log.append([Said(payload: [5, 6]), Said(payload: [7])])
    }
}
