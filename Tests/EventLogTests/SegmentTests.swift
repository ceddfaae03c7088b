import Crypto
import Foundation
import Samples
import Testing

@testable import EventLog

@Suite("A segment of the archive")
struct SegmentTests {
    @Test("Any batches come back byte for byte, whatever they hold", arguments: 0..<40)
    func roundTrip(round: UInt64) throws {
        var random = SeededGenerator(seed: runSeed &+ round)
        let batches = chained(
            anyBatches(using: &random), from: UInt64.random(in: 1...1 << 40, using: &random))
        let segment = try encode(batches, level: 3)
        let found = try decode(segment)
        #expect(found.count == batches.count, "SEED=\(runSeed) round \(round)")
        for (found, stored) in zip(found, batches) where found != stored {
            Issue.record("batch \(stored.position) differs, SEED=\(runSeed) round \(round)")
            return
        }
    }

    @Test("Every flipped bit of a segment is found, with a position within it")
    func everyBit() throws {
        var random = SeededGenerator(seed: runSeed)
        let batches = chained(steadyReports(streams: 5, rounds: 8, using: &random), from: 1)
        let whole = try encode(batches)
        try withTemporaryDirectory { directory in
            let path = directory + "/x.segment"
            // Two bits of every byte, others in the next one.
            for number in 0..<2 * whole.count {
                let bit = number / 2 * 8 + (number / 2 + number % 2 * 3) % 8
                var flipped = whole
                flipped[bit / 8] ^= 1 << UInt8(bit % 8)
                try Data(flipped).write(to: URL(fileURLWithPath: path))
                guard let fault = readingFault(path) else {
                    Issue.record("bit \(bit) of \(whole.count) bytes, SEED=\(runSeed)")
                    return
                }
                if case .damaged(_, let position) = fault { #expect(position <= 40) }
            }
        }
    }

    @Test("A segment that is cut short or has bytes too many is refused, wherever it was cut")
    func lengths() throws {
        var random = SeededGenerator(seed: runSeed)
        let whole = try encode(chained(steadyReports(streams: 3, rounds: 5, using: &random), from: 1))
        try withTemporaryDirectory { directory in
            let path = directory + "/x.segment"
            for bytes in whole.indices.map({ Array(whole[..<$0]) }) + [whole + [0]] {
                try Data(bytes).write(to: URL(fileURLWithPath: path))
                #expect(readingFault(path) != nil, "\(bytes.count) of \(whole.count) bytes")
            }
            try FileManager.default.removeItem(atPath: path)
            #expect(readingFault(path) == .damaged("it is missing"))
        }
    }

    @Test("What a forger made of a block is an error or leads to another seal, never a crash")
    func forgery() throws {
        var random = SeededGenerator(seed: runSeed)
        let batches = chained(anyBatches(using: &random), from: 1)
        let segment = try encode(batches, level: 1)
        let header = try SegmentHeader(reading: Array(segment[..<SegmentHeader.byteCount]))
        let start = SegmentHeader.byteCount + SegmentBlock.byteCount
        #expect(header.blockCount == 1)
        for _ in 0..<400 {
            var forged = segment
            for _ in 0...Int.random(in: 0..<3, using: &random) {
                forged[Int.random(in: start..<forged.count, using: &random)] = random.bytes(1)[0]
            }
            guard forged != segment else { continue }
            forged = sealedAnew(forged, header)
            // A few bits of a compressed frame mean nothing: then it tells the same history.
            let isFound = try withSegment(forged) { readingFault($0) != nil }
            if !isFound { #expect(try decode(forged) == batches, "SEED=\(runSeed)") }
        }
    }

    /// The forger knows how digests are made, but cannot make another history lead to the same seal.
    private func sealedAnew(_ bytes: [UInt8], _ header: SegmentHeader) -> [UInt8] {
        let tableEnd = SegmentHeader.byteCount + SegmentBlock.byteCount
        var block = bytes[SegmentHeader.byteCount..<tableEnd].withUnsafeBytes { SegmentBlock(reading: $0) }
        block.digest = Array(SHA256.hash(data: bytes[tableEnd...]))
        var header = header
        header.tableDigest = Array(SHA256.hash(data: block.bytes))
        return header.bytes + block.bytes + bytes[tableEnd...]
    }

    @Test("A segment of a later version is refused and says so")
    func newerVersion() throws {
        var random = SeededGenerator(seed: runSeed)
        var bytes = try encode(chained(steadyReports(streams: 2, rounds: 2, using: &random), from: 1))
        bytes[8] = 2
        try withTemporaryDirectory { directory in
            let path = directory + "/x.segment"
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            #expect(readingFault(path) == .newer(2))
        }
    }

    @Test("A segment of an earlier day reads: the golden file brings the same batches back")
    func golden() throws {
        let batches = goldenBatches()
        let found = try decode(try goldenBytes("segment-1"))
        #expect(found == batches)
    }

    @Test("Looking for a place needs no seals before the block that holds it, and finds the same batches")
    func skipping() throws {
        var random = SeededGenerator(seed: runSeed)
        let batches = chained(
            steadyReports(streams: 40, rounds: 2_500, perBatch: 20...60, using: &random), from: 7)
        let segment = try encode(batches, level: 1)
        try withSegment(segment) { path in
            for _ in 0..<4 {
                let wanted = try #require(batches.randomElement(using: &random))
                var reader = try SegmentReader(path: path, expected: nil)
                #expect(reader.header.blockCount > 1)
                reader.skipSeals(before: wanted.position)
                while let batch = try reader.next(), batch.firstPosition <= wanted.position {
                    if batch.firstPosition == wanted.position { #expect(Array(batch.bytes) == wanted.bytes) }
                }
            }
        }
    }

    private func readingFault(_ path: String) -> SegmentFault? {
        do throws(SegmentFault) {
            var reader = try SegmentReader(path: path, expected: nil)
            while try reader.next() != nil {}
            return nil
        } catch { return error }
    }
}
