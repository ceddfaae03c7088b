import Samples
import Testing

@testable import EventLog

/// The golden files were made by a program of its own from the description of the format.
@Suite("The bytes of a travelling batch")
struct TravelFormatTests {
    private static let changes = [
        VaultChange(key: Array(0..<16), value: Array("wrapped".utf8)),
        VaultChange(key: Array(16..<32), value: nil),
    ]
    private static let entries = [
        changes[0], VaultChange(key: Array(16..<32), value: []),
    ]

    @Test("A leader's batch, one from the log and one with the whole vault travel as they always did")
    func golden() throws {
        try withFreshLog { (log) throws in
            let first = try log.append(GoldenTests.first, time: GoldenTests.time, epoch: 1)
            let second = sealed(
                GoldenTests.second, after: first, time: GoldenTests.time + 7, epoch: 2)
            let live = TravellingBatch(second, vault: TravelFormatTests.changes)
            #expect(live.bytes == (try goldenBytes("travelling-1-changes")))
            _ = try log.append(sealed: second, vault: TravelFormatTests.entries)
            // Its first batch brings the vault.
            let portion = try log.travellingBatches(after: 2, byteMax: 1)
            #expect(portion.batches.map(\.bytes) == [try goldenBytes("travelling-1-whole")])
            let known = try log.travellingBatches(
                after: 0, byteMax: 1, knowingVault: portion.vaultRevision)
            #expect(known.batches.map(\.bytes) == [try goldenBytes("travelling-1-untold")])
        }
    }

    @Test("What was encoded is read back")
    func roundTrip() throws {
        let changed = try TravellingBatch(bytes: try goldenBytes("travelling-1-changes"))
        #expect(changed.firstPosition == 3 && changed.lastPosition == 5 && changed.end.epoch == 2)
        #expect(changed.vault == .changes(TravelFormatTests.changes))
        #expect(changed.withView { Array($0.bytes) } == (try goldenBytes("batch-2")))
        let whole = try TravellingBatch(bytes: try goldenBytes("travelling-1-whole"))
        #expect(whole.vault == .whole(TravelFormatTests.entries))
        #expect(try TravellingBatch(bytes: try goldenBytes("travelling-1-untold")).vault == .untold)
    }

    @Test("Truncated and altered bytes, and any others, give an error and no crash")
    func garbage() throws {
        var random = SeededGenerator(seed: runSeed)
        for name in ["changes", "whole", "untold"] {
            let golden = try goldenBytes("travelling-1-\(name)")
            for count in golden.indices { #expect(isRefused(Array(golden[..<count])), "\(count)") }
            #expect(isRefused(golden + [0]))
            let valueRange = try TravellingBatch(bytes: golden).withView { 24..<24 + $0.bytes.count }
            for index in golden.indices where !valueRange.contains(index) {
                var altered = golden
                altered[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                #expect(isRefused(altered), "byte \(index), SEED=\(runSeed)")
            }
            for _ in 0..<2_000 {
                // With a checksum that fits, so that what it guards is looked at, too.
                var altered = golden
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    altered[Int.random(in: 0..<golden.count, using: &random)] = random.bytes(1)[0]
                }
                _ = isRefused(altered)
                _ = isRefused(withChecksum(altered))
            }
        }
        for _ in 0..<2_000 {
            #expect(isRefused(random.bytes(Int.random(in: 0...200, using: &random))), "SEED=\(runSeed)")
        }
    }

    @Test("A later version of the form or of the batch is told as such")
    func newer() throws {
        var bytes = try goldenBytes("travelling-1-untold")
        bytes[24] = 2
        #expect(throws: TravelError.newerFormat(found: 2, known: 1)) { try TravellingBatch(bytes: bytes) }
        bytes[0] = 9
        let error = #expect(throws: TravelError.newerFormat(found: 9, known: 1)) {
            try TravellingBatch(bytes: bytes)
        }
        #expect(error?.sentence.contains("update this node") == true)
    }

    private func isRefused(_ bytes: [UInt8]) -> Bool {
        do throws(TravelError) { _ = try TravellingBatch(bytes: bytes) } catch {
            if case .log = error { Issue.record("no log was asked") }
            return true
        }
        return false
    }

    private func withChecksum(_ bytes: [UInt8]) -> [UInt8] {
        let valueByteCount = bytes[16..<20].reversed().reduce(0) { $0 << 8 | Int($1) }
        guard valueByteCount <= bytes.count - 40 else { return bytes }
        let body = bytes.dropLast(16)
        return body + TravelFormat.checksum(of: body, valueByteCount: valueByteCount)
    }
}
