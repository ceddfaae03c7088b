import Foundation
import LMDB
import Samples
import Testing

@Suite("A cursor over integer keys")
struct CursorTests {
    @Test("It walks forwards and backwards in the order of the numbers, not of their bytes")
    func walks() throws {
        try withNumbers([1, 2, 255, 256, 65_536, 1 << 40]) { environment, database in
            let forwards = try environment.walk(database) { (cursor) throws(LMDBError) in
                var keys: [UInt64] = []
                while let entry = try cursor.next() { keys.append(entry.number) }
                return keys
            }
            #expect(forwards == [1, 2, 255, 256, 65_536, 1 << 40])

            let backwards = try environment.walk(database) { (cursor) throws(LMDBError) in
                var keys: [UInt64] = []
                var entry = try cursor.last()
                while let found = entry {
                    keys.append(found.number)
                    entry = try cursor.previous()
                }
                return keys
            }
            #expect(backwards == forwards.reversed())
        }
    }

    @Test(
        "Seeking finds the first key that is not less",
        arguments: [(0, 10), (9, 10), (10, 10), (11, 20), (20, 20), (21, nil), (.max, nil)]
            as [(UInt64, UInt64?)])
    func seeks(to key: UInt64, finds expected: UInt64?) throws {
        try withNumbers([10, 20]) { environment, database in
            let found = try environment.walk(database) { (cursor) throws(LMDBError) in
                try cursor.seek(key)?.number
            }
            #expect(found == expected)
        }
    }

    @Test("An empty database has neither first nor last")
    func empty() throws {
        try withNumbers([]) { environment, database in
            try environment.walk(database) { (cursor) throws(LMDBError) in
                #expect(try cursor.first() == nil)
                #expect(try cursor.last() == nil)
                #expect(try cursor.next() == nil)
                #expect(try cursor.seek(0) == nil)
            }
        }
    }

    @Test("An appending write takes greater keys only, and its bytes are what was filled in")
    func appends() throws {
        try withNumbers([5]) { environment, database in
            for refused in [UInt64(4), 5] {
                #expect(throws: LMDBError.keyExists) { try environment.append(refused, in: database) }
            }
            try environment.append(6, byteCount: 10_000, in: database)
            let last = try environment.walk(database) { (cursor) throws(LMDBError) in
                try cursor.last().map { Array($0.value) }
            }
            #expect(last == [UInt8](repeating: 6, count: 10_000))
        }
    }

    @Test("A long value's first page is the one its entry names, or that is told", arguments: 0..<16)
    func pages(byte: Int) throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/data"
            func areTold() throws -> [Bool] {
                let environment = try Environment(path: path, options: .init(mapByteCount: 1 << 24))
                let database = try environment.database("numbers", integerKeys: true)
                return try environment.walk(database) { (cursor) throws(LMDBError) in
                    var told: [Bool] = []
                    while let entry = try cursor.next() { told.append(!cursor.hasItsPages(entry)) }
                    return told
                }
            }
            do {
                let environment = try Environment(path: path, options: .init(mapByteCount: 1 << 24))
                let database = try environment.database("numbers", integerKeys: true)
                try environment.append(0xA5, byteCount: 1_000, in: database)
                try environment.append(0xA6, byteCount: 10_000, in: database)
            }
            #expect(try areTold() == [false, false])
            let url = URL(fileURLWithPath: path)
            var file = try Data(contentsOf: url)
            let value = Data(repeating: 0xA6, count: 10_000)
            file[try #require(file.firstRange(of: value)).lowerBound - 16 + byte] ^= 8
            try file.write(to: url)
            // Two bytes of a page's front are not used.
            #expect(try areTold() == [false, !(8...9).contains(byte)])
        }
    }

    @Test("Removing all keys leaves an empty database that can be used")
    func removeAll() throws {
        try withNumbers([1, 2, 3]) { environment, database in
            try environment.change { (transaction) throws(LMDBError) in
                try transaction.removeAll(in: database)
            }
            #expect(
                try environment.walk(database) { (cursor) throws(LMDBError) in try cursor.first()?.number }
                    == nil)
            try environment.append(1, in: database)
            #expect(
                try environment.walk(database) { (cursor) throws(LMDBError) in try cursor.first()?.number }
                    == 1)
        }
    }
}

private func withNumbers(_ numbers: [UInt64], _ body: (Environment, Database) throws -> Void) throws {
    try withTemporaryDirectory { directory in
        let environment = try Environment(path: directory + "/data", options: .init(mapByteCount: 1 << 24))
        let database = try environment.database("numbers", integerKeys: true)
        for number in numbers { try environment.append(number, in: database) }
        try body(environment, database)
    }
}

extension Environment {
    fileprivate func append(_ number: UInt64, byteCount: Int = 1, in database: Database) throws(LMDBError) {
        try change { (transaction) throws(LMDBError) in
            try withUnsafeBytes(of: number) { (key) throws(LMDBError) in
                try transaction.append(byteCount: byteCount, for: key, in: database) { room in
                    for index in room.indices { room[index] = UInt8(truncatingIfNeeded: number) }
                }
            }
        }
    }

    fileprivate func walk<Result>(
        _ database: Database, _ body: (borrowing Cursor) throws(LMDBError) -> Result
    ) throws(LMDBError) -> Result {
        try look { (transaction) throws(LMDBError) in
            do throws(TransactionError<LMDBError>) {
                return try transaction.withCursor(over: database, body)
            } catch { throw error.error }
        }
    }
}

extension Cursor.Entry {
    fileprivate var number: UInt64 { key.loadUnaligned(as: UInt64.self) }
}
