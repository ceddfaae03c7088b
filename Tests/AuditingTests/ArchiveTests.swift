import Foundation
import Projections
import Recording
import Registry
import Samples
import Testing

@testable import Auditing
@testable import EventLog

@Suite("The verifier of a log with an archive")
struct ArchiveVerifierTests {
    @Test("A whole log is whole, hot or cold, however it is cut into stretches")
    func whole() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            let keys = try recordSample(in: directory, commandCount: 600, using: &random)
            let end = try archive(directory, segmentEventMax: 120)
            for length in [UInt64(1), 7, 64, 1 << 18] {
                #expect(faults(in: directory, keys: keys, stretchLength: length) == [], "SEED=\(runSeed)")
            }
            let report = try Verifier(directory: directory).run()
            let log = try EventLog(directory: directory, access: .read)
            #expect(report.head == log.head && report.eventCount == log.head.position)
            #expect(try log.archivedSegments().count > 2 && end > 300)
        }
    }

    @Test("Any flipped bit of a segment is found, with the file's name and a position in it")
    func flippedBits() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            let keys = try recordSample(in: directory, commandCount: 200, using: &random)
            try archive(directory, segmentEventMax: 100)
            let names = try FileManager.default.contentsOfDirectory(atPath: directory + "/archive")
            for round in 0..<60 {
                let path = directory + "/archive/" + (try #require(names.randomElement(using: &random)))
                let url = URL(fileURLWithPath: path)
                let whole = try Data(contentsOf: url)
                var flipped = whole
                let bit = Int.random(in: 0..<whole.count * 8, using: &random)
                flipped[bit / 8] ^= 1 << UInt8(bit % 8)
                try flipped.write(to: url)
                let damage = try #require(
                    try Verifier(directory: directory, workerCount: 2, stretchLength: 16).run().damage,
                    "SEED=\(runSeed) round \(round)")
                #expect(damage.path == path && damage.position > 0)
                try whole.write(to: url)
            }
            #expect(faults(in: directory, keys: keys) == [])
        }
    }

    @Test("A missing segment is told by its name")
    func missing() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            try recordSample(in: directory, commandCount: 200, using: &random)
            try archive(directory, segmentEventMax: 1_000)
            let path = directory + "/archive/00000000000000000001.segment"
            try FileManager.default.removeItem(atPath: path)
            let damage = try #require(try Verifier(directory: directory).run().damage)
            #expect(damage.path == path && damage.sentence == "it is missing" && damage.position == 1)
        }
    }

    @Test("A segment whose batches lead to another seal than its index says is found")
    func otherSeal() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            try recordSample(in: directory, commandCount: 200, using: &random)
            try archive(directory, segmentEventMax: 100)
            var header: SegmentHeader
            do {
                let log = try EventLog(directory: directory, access: .read)
                header = try #require(try log.archivedSegments().first)
            }
            header.lastSeal = header.sealBefore
            let path = directory + "/archive/" + header.fileName
            var file = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
            file.replaceSubrange(0..<SegmentHeader.byteCount, with: header.bytes)
            try Data(file).write(to: URL(fileURLWithPath: path))
            let key = withUnsafeBytes(of: header.firstPosition) { Array($0) }
            try Tamper(directory).replace(key, in: "segments", by: key, header.bytes)
            let damage = try #require(try Verifier(directory: directory).run().damage)
            #expect(damage.path == path && damage.sentence.contains("do not lead to the seal"), "\(damage)")
        }
    }

    /// Archives most of a log, part of whose leftovers stay in the data file; returns how far.
    @discardableResult
    private func archive(_ directory: String, segmentEventMax: UInt64) throws -> UInt64 {
        let log = try EventLog(directory: directory, access: .write, mapByteCount: 1 << 30)
        let end = log.head.position * 3 / 4
        while let segment = try log.writeSegment(upTo: end, eventMax: segmentEventMax) {
            let table = try Replay(of: log).table
            var batch = BatchBuilder(firstPosition: log.head.position + 1, time: log.head.time + 1)
            let event = Event.logArchived(
                LogArchived(
                    firstPosition: segment.firstPosition, lastPosition: segment.lastPosition,
                    file: segment.fileName, lastSeal: segment.lastSeal.bytes,
                    batchByteCount: segment.batchByteCount, fileByteCount: segment.fileByteCount,
                    actor: Actor()))
            event.withPayload { format, payload in
                _ = batch.append(
                    stream: 0, previousInStream: table.lastPosition(inStream: 0),
                    type: event.type.rawValue, format: format, payload: payload)
            }
            _ = try log.append(&batch, epoch: 1, archive: .enters(segment))
        }
        _ = try log.removeArchived(batchMax: 30)
        return try log.archivedEnd()
    }
}
