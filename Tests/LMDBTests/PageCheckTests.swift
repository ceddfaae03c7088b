import Foundation
import Samples
import Testing

@testable import LMDB

@Suite("The pages of a data file")
struct PageCheckTests {
    @Test("Whatever was put and removed, every page has its place, and the check says so")
    func whole() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            try withEnvironment(in: directory) { environment, database in
                for round in 0..<40 {
                    try change(environment, database, &random)
                    for isThorough in [false, true] {
                        do throws(TransactionError<PageFault>) {
                            try environment.checkPages(isThorough: isThorough)
                        } catch { Issue.record("round \(round), SEED=\(runSeed): \(error)") }
                    }
                }
            }
        }
    }

    @Test("A state that a writer has left two commits behind is not taken for a damaged one")
    func overtaken() throws {
        try withEnvironment { environment, database in
            try environment.putPair(1, in: database)
            let results = try environment.look { (transaction) throws(LMDBError) in
                var results: [Bool?] = []
                for number in 2..<6 {
                    do throws(PageFault) {
                        results.append(
                            try PageCheck.run(
                                path: environment.path, transaction: transaction.id, isThorough: true))
                    } catch { Issue.record("after \(number - 2) commits: \(error)") }
                    try environment.putPair(number, in: database)
                }
                return results
            }
            #expect(results == [false, false, nil, nil])
            #expect(try environment.checkPages(isThorough: true) == false)
        }
    }

    @Test("A page that is garbage, zeroes or another page is found, or nothing that is stored was on it")
    func overwritten() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            try withEnvironment(in: directory) { environment, database in
                for _ in 0..<40 { try change(environment, database, &random) }
            }
            let path = directory + "/data"
            let whole = try Data(contentsOf: URL(fileURLWithPath: path))
            let stored = try keys(in: directory)
            let pageCount = whole.count / 4_096
            var foundCount = 0
            for page in 2..<pageCount {
                let other = Int.random(in: 2..<pageCount, using: &random)
                let bytes = [
                    random.bytes(4_096), [UInt8](repeating: 0, count: 4_096), Array(page: other, of: whole),
                ]
                for bytes in bytes where bytes != Array(page: page, of: whole) {
                    var damaged = whole
                    damaged.replaceSubrange(page * 4_096..<(page + 1) * 4_096, with: bytes)
                    try damaged.write(to: URL(fileURLWithPath: path))
                    if try isWhole(directory) {
                        #expect(try keys(in: directory) == stored, "SEED=\(runSeed), page \(page)")
                    } else {
                        foundCount += 1
                    }
                }
            }
            #expect(foundCount > pageCount / 2, "SEED=\(runSeed)")
        }
    }

    @Test("A number of the first two pages that is altered is found")
    func roots() throws {
        try withTemporaryDirectory { directory in
            try withEnvironment(in: directory) { environment, database in
                for number in 0..<20 { try environment.putPair(number, in: database) }
            }
            let path = directory + "/data"
            let whole = try Data(contentsOf: URL(fileURLWithPath: path))
            // Of the newer one: flags, levels, counts and root of both trees, last page, number of the state.
            let newer = whole.number(at: 144) > whole.number(at: 4_096 + 144) ? 0 : 4_096
            for offset in [46, 48, 56, 64, 72, 80, 92, 94, 96, 104, 112, 120, 128, 136] {
                var damaged = whole
                damaged[newer + offset] ^= 2
                try damaged.write(to: URL(fileURLWithPath: path))
                #expect(try !isWhole(directory), "offset \(offset)")
            }
        }
    }

    @Test("Each flipped bit of a state's number is found, or leads to the state before and an undone commit")
    func numbers() throws {
        try withTemporaryDirectory { directory in
            for commitCount in 20..<24 {
                let path = directory + "/data"
                try withEnvironment(in: directory) { environment, database in
                    for number in 0..<commitCount { try environment.putPair(number, in: database) }
                }
                let whole = try Data(contentsOf: URL(fileURLWithPath: path))
                #expect(try isCommitUndone(in: directory) == false)
                let newer = whole.number(at: 144) > whole.number(at: 4_096 + 144) ? 0 : 4_096
                var undone: [Int] = []
                for bit in 0..<64 {
                    for start in [0, 4_096] {
                        var damaged = whole
                        damaged[start + 144 + bit / 8] ^= 1 << (bit % 8)
                        try damaged.write(to: URL(fileURLWithPath: path))
                        switch try isCommitUndone(in: directory) {
                        case true: undone.append(start == newer ? bit : -1)
                        case false: Issue.record("bit \(bit) of the page at \(start)")
                        case nil: break
                        }
                    }
                }
                // The second lowest bit takes two away from the number, if it is set.
                #expect(undone == (whole.number(at: newer + 144) & 2 == 2 ? [1] : []))
                try FileManager.default.removeItem(atPath: path)
            }
        }
    }

    @Test("A value whose first page tells another number of pages is not freed")
    func freeing() throws {
        try withTemporaryDirectory { directory in
            let value = [UInt8](repeating: 0xAB, count: 10_000)
            try withEnvironment(in: directory) { environment, database in
                try environment.put(value, for: [1], in: database)
            }
            let url = URL(fileURLWithPath: directory + "/data")
            var file = try Data(contentsOf: url)
            let start = try #require(file.firstRange(of: Data(value.prefix(64)))?.lowerBound)
            file[start - 4] = 200  // the lowest byte of the number of pages
            try file.write(to: url)
            try withEnvironment(in: directory) { (environment, database) throws in
                #expect(throws: LMDBError.corrupted) {
                    try environment.change { (transaction) throws(LMDBError) in
                        try transaction.removeAll(in: database)
                    }
                }
                #expect(throws: LMDBError.corrupted) {
                    try environment.change { (transaction) throws(LMDBError) in
                        _ = try transaction.removeFirst(1, in: database) { _ in true }
                    }
                }
            }
            try withEnvironment(in: directory) { environment, database in
                let kept = try environment.value(of: [1], in: database)
                #expect(kept == value)
            }
        }
    }

    /// Puts and removes some, long values among them.
    private func change(
        _ environment: Environment, _ database: Database, _ random: inout SeededGenerator
    ) throws {
        for _ in 0..<10 {
            let key = random.bytes(Int.random(in: 1...200, using: &random))
            let value = random.bytes(Int.random(in: 0..<3, using: &random) == 0 ? 9_000 : 90)
            try environment.put(value, for: key, in: database)
        }
        let keys = try keys(of: environment, database)
        for key in keys.shuffled(using: &random).prefix(Int.random(in: 0...9, using: &random)) {
            try environment.change { (transaction) throws(LMDBError) in
                _ = try transaction.remove(key, in: database)
            }
        }
    }

    private func isWhole(_ directory: String) throws -> Bool { try isCommitUndone(in: directory) != nil }

    /// Nil if damage was found.
    private func isCommitUndone(in directory: String) throws -> Bool? {
        let environment: Environment
        do throws(LMDBError) {
            environment = try Environment(
                path: directory + "/data", options: .init(mapByteCount: 1 << 24, readOnly: true))
        } catch { return nil }
        do throws(TransactionError<PageFault>) { return try environment.checkPages(isThorough: true) } catch {
            return nil
        }
    }

    private func keys(in directory: String) throws -> [[UInt8]] {
        let environment = try Environment(
            path: directory + "/data", options: .init(mapByteCount: 1 << 24, readOnly: true))
        return try keys(of: environment, try environment.database("numbers"))
    }

    private func keys(of environment: Environment, _ database: Database) throws -> [[UInt8]] {
        try environment.read { (transaction) throws in
            try transaction.withCursor(over: database) { (cursor) throws in
                var keys: [[UInt8]] = []
                while let entry = try cursor.next() { keys.append(Array(entry.key)) }
                return keys
            }
        }
    }
}

extension [UInt8] {
    fileprivate init(page: Int, of file: Data) { self = Array(file[page * 4_096..<(page + 1) * 4_096]) }
}

extension Data {
    fileprivate func number(at offset: Int) -> UInt64 {
        withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
    }
}
