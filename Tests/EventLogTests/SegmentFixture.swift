import Foundation
import Samples
import Testing

@testable import EventLog

/// A batch's bytes, and where it stands.
struct StoredBatch: Hashable {
    var position: UInt64
    var bytes: [UInt8]

    func view<Result>(_ body: (BatchView) throws -> Result) throws -> Result {
        try bytes.withUnsafeBytes { try body(try BatchView(firstPosition: position, bytes: $0)) }
    }
}

/// What a batch is to hold.
struct BatchDraft {
    var events: [Said]
    var time: UInt64
    var epoch: UInt64 = 1
    /// A reserved byte that is not zero: as a later version may write it.
    var isOdd = false
}

/// Seals drafts as the log would, beginning at a position after no seal.
func chained(_ drafts: [BatchDraft], from position: UInt64) -> [StoredBatch] {
    var position = position
    var seal = Seal.none
    return drafts.map { draft in
        var batch = BatchBuilder(firstPosition: position, time: draft.time)
        for event in draft.events {
            event.payload.withUnsafeBytes {
                _ = batch.append(
                    stream: event.stream, previousInStream: min(event.previous, batch.nextPosition - 1),
                    type: event.type, format: event.format, payload: $0)
            }
        }
        _ = batch.seal(
            epoch: draft.epoch,
            after: Head(position: position - 1, seal: seal, time: 0, epoch: 0))
        var bytes = batch.withBytes { Array($0) }
        if draft.isOdd { bytes[Format.headerByteCount + Format.envelopeByteCount - 1] = 1 }
        bytes.withUnsafeMutableBytes { buffer in
            seal = Seal(closing: UnsafeRawBufferPointer(buffer), after: seal)
            seal.write(to: buffer, at: Format.sealOffset)
        }
        let stored = StoredBatch(position: position, bytes: bytes)
        position += UInt64(draft.events.count)
        return stored
    }
}

func encode(_ batches: [StoredBatch], level: Int32 = SegmentEncoder.standardLevel) throws -> [UInt8] {
    let first = try #require(batches.first)
    var encoder = try first.view { SegmentEncoder(first: $0, after: .none, level: level) }
    for batch in batches { try batch.view { try encoder.add($0) } }
    let (header, table, body) = try encoder.finish()
    return header.bytes + table + body
}

func decode(_ segment: [UInt8]) throws -> [StoredBatch] {
    try withSegment(segment) { path in
        var reader = try SegmentReader(path: path, expected: nil)
        var found: [StoredBatch] = []
        while let batch = try reader.next() {
            found.append(StoredBatch(position: batch.firstPosition, bytes: Array(batch.bytes)))
        }
        return found
    }
}

func withSegment<Result>(_ segment: [UInt8], _ body: (String) throws -> Result) throws -> Result {
    try withTemporaryDirectory { directory in
        let path = directory + "/x.segment"
        try Data(segment).write(to: URL(fileURLWithPath: path))
        return try body(path)
    }
}

/// Batches that no conductor would write: any streams, chains, types, sizes, times and epochs.
func anyBatches(using random: inout SeededGenerator) -> [BatchDraft] {
    var time = UInt64.random(in: 0...1 << 52, using: &random)
    var epoch = UInt64.random(in: 0...9, using: &random)
    let streams = (0..<Int.random(in: 1...30, using: &random)).map { _ in
        UInt32.random(in: 0...UInt32.random(in: 0...UInt32.max, using: &random), using: &random)
    }
    return (0..<Int.random(in: 1...60, using: &random)).map { _ in
        time &+= UInt64.random(in: 0...1 << UInt64.random(in: 0...40, using: &random), using: &random)
        if Int.random(in: 0..<20, using: &random) == 0 {
            epoch = UInt64.random(in: 0...UInt64.max, using: &random)
        }
        let events = (0..<Int.random(in: 1...12, using: &random)).map { _ in
            let byteCount = Bool.random(using: &random) ? 24 : Int.random(in: 0...90, using: &random)
            var payload = [UInt8](repeating: 7, count: byteCount)
            for index in payload.indices where Int.random(in: 0..<6, using: &random) == 0 {
                payload[index] = random.bytes(1)[0]
            }
            return Said(
                stream: streams.randomElement(using: &random) ?? 0,
                previous: UInt64.random(in: 0...1_000, using: &random),
                type: UInt16.random(in: 0...3, using: &random) &* 0x5555,
                format: Bool.random(using: &random) ? 1 : 255, payload: payload)
        }
        return BatchDraft(
            events: events, time: time, epoch: epoch, isOdd: Int.random(in: 0..<10, using: &random) == 0)
    }
}

/// Reports as monitors send them: each stream once a minute, a little late, its last word a measurement.
func steadyReports(
    streams: Int, rounds: Int, perBatch: ClosedRange<Int> = 1...1, using random: inout SeededGenerator
) -> [BatchDraft] {
    var drafts: [BatchDraft] = []
    var last = [UInt64](repeating: 0, count: streams + 1)
    let actions = (0...streams).map { _ in random.bytes(16) }
    var position: UInt64 = 0
    for round in 0..<rounds {
        var stream = 1
        while stream <= streams {
            var events: [Said] = []
            for _ in 0..<Int.random(in: perBatch, using: &random) where stream <= streams {
                position += 1
                events.append(
                    Said(
                        stream: UInt32(stream), previous: last[stream],
                        payload: actions[stream] + [1, 1, 0, 0]
                            + littleEndianBytes(UInt32.random(in: 900...1_100, using: &random))))
                last[stream] = position
                stream += 1
            }
            let due = UInt64(round) * 60_000_000 + UInt64(stream) * (60_000_000 / UInt64(streams + 1))
            drafts.append(
                BatchDraft(
                    events: events,
                    time: 1_795_000_000_000_000 + due + UInt64.random(in: 0...2_000, using: &random)))
        }
    }
    return drafts
}

/// What the golden segment holds, from position 1: steady reports and every way to be unusual.
func goldenBatches() -> [StoredBatch] {
    var drafts = [
        BatchDraft(events: GoldenTests.first, time: GoldenTests.time),
        BatchDraft(events: GoldenTests.second, time: GoldenTests.time + 7, epoch: 2),
    ]
    var last = [UInt64](repeating: 0, count: 4)
    for round in UInt64(0)..<6 {
        for stream in 1...3 {
            let noise = (round * 7 + UInt64(stream) * 13) % 11
            let events = [
                Said(
                    stream: UInt32(stream + 1), previous: last[stream],
                    payload: Array(0..<20) + littleEndianBytes(UInt32(1_000 + noise)))
            ]
            last[stream] = 6 + round * 3 + UInt64(stream) - 1
            let time = GoldenTests.time + 1_000 + round * 60_000_000 + UInt64(stream) * 9_000_000
            drafts.append(BatchDraft(events: events, time: time + noise * 100, epoch: 2))
        }
    }
    let end = GoldenTests.time + 400_000_000
    drafts.append(BatchDraft(events: [Said(payload: [1, 2, 3])], time: end, epoch: 3, isOdd: true))
    drafts.append(BatchDraft(events: [Said(stream: 4_000_000_000, previous: 20)], time: end, epoch: 3))
    return chained(drafts, from: 1)
}
