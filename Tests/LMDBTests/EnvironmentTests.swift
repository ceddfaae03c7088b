import Foundation
import LMDB
import Samples
import Testing

@Suite("An LMDB environment")
struct EnvironmentTests {
    @Test("What is put is read; a missing key is nil; a removed key is gone")
    func putAndRemove() throws {
        try withEnvironment { environment, database in
            try environment.put([9, 8, 7], for: [1], in: database)
            #expect(try environment.value(of: [1], in: database) == [9, 8, 7])
            #expect(try environment.value(of: [2], in: database) == nil)

            try environment.put([], for: [1], in: database)
            #expect(try environment.value(of: [1], in: database) == [])

            let removed = try environment.change { (transaction) throws(LMDBError) in
                (try transaction.remove([1], in: database), try transaction.remove([1], in: database))
            }
            #expect(removed == (true, false))
            #expect(try environment.value(of: [1], in: database) == nil)
        }
    }

    @Test("A body that throws leaves nothing behind, and the next transaction works")
    func abort() throws {
        struct Stop: Error {}
        try withEnvironment { environment, database in
            for _ in 0..<10 {
                #expect(throws: TransactionError<any Error>.self) {
                    try environment.write { (transaction) throws(any Error) in
                        try transaction.put([1], for: [1], in: database)
                        #expect(try transaction.copy(of: [1], in: database) == [1])
                        throw Stop()
                    }
                }
            }
            #expect(try environment.value(of: [1], in: database) == nil)
            try environment.put([2], for: [1], in: database)
            #expect(try environment.value(of: [1], in: database) == [2])
        }
    }

    @Test("A reader keeps seeing the state it began with while a writer commits")
    func isolation() throws {
        try withEnvironment { environment, database in
            try environment.put([1], for: [1], in: database)
            try environment.look { (transaction) throws(LMDBError) in
                try environment.put([2], for: [1], in: database)
                try environment.put([3], for: [2], in: database)
                #expect(try transaction.copy(of: [1], in: database) == [1])
                #expect(try transaction.copy(of: [2], in: database) == nil)
            }
            #expect(try environment.value(of: [1], in: database) == [2])
        }
    }

    @Test("Readers on many threads beside a writer see whole commits only")
    func manyReaders() async throws {
        try await withTemporaryDirectory { directory in
            let environment = try Environment(
                path: directory + "/data", options: .init(mapByteCount: 1 << 24))
            let database = try environment.database("numbers")
            try environment.putPair(0, in: database)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { for number in 1...200 { try environment.putPair(number, in: database) } }
                for _ in 0..<4 {
                    group.addTask {
                        for _ in 0..<500 {
                            let pair = try environment.look { (transaction) throws(LMDBError) in
                                (
                                    try transaction.copy(of: [1], in: database),
                                    try transaction.copy(of: [2], in: database)
                                )
                            }
                            #expect(pair.0 == pair.1)
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test("A full map is an error, changes nothing, and a larger map goes on")
    func mapFull() throws {
        try withEnvironment(mapByteCount: 1 << 18) { environment, database in
            try environment.put([1], for: [1], in: database)
            let large = [UInt8](repeating: 7, count: 1 << 19)
            #expect(throws: LMDBError.mapFull) {
                try environment.change { (transaction) throws(LMDBError) in
                    try transaction.put([2], for: [1], in: database)
                    try transaction.put(large, for: [2], in: database)
                }
            }
            #expect(try environment.value(of: [1], in: database) == [1])

            try environment.resizeMap(to: 1 << 22)
            try environment.put(large, for: [2], in: database)
            #expect(try environment.value(of: [2], in: database) == large)
            #expect(environment.usage.mapByteCount == 1 << 22)
            #expect(environment.usage.usedByteCount > 1 << 19)
        }
    }

    @Test("Opened read-only, it reads and does not write, and a missing database is not found")
    func readOnly() throws {
        try withTemporaryDirectory { directory in
            try withEnvironment(in: directory) { try $0.put([5], for: [1], in: $1) }
            let environment = try Environment(
                path: directory + "/data", options: .init(mapByteCount: 1 << 24, readOnly: true))
            let database = try environment.database("numbers")
            #expect(try environment.value(of: [1], in: database) == [5])
            #expect(throws: LMDBError(code: EACCES)) { try environment.put([6], for: [1], in: database) }
            #expect(throws: LMDBError.notFound) { _ = try environment.database("other") }
            #expect(try environment.value(of: [1], in: database) == [5])
        }
    }

    @Test("A file that cannot be opened is an error, however often it is tried")
    func cannotOpen() throws {
        try withTemporaryDirectory { directory in
            let foreign = directory + "/foreign"
            try Data(repeating: 0x41, count: 20_000).write(to: URL(fileURLWithPath: foreign))
            for _ in 0..<200 {
                #expect(throws: LMDBError(code: ENOENT)) {
                    _ = try Environment(
                        path: directory + "/none/data", options: .init(mapByteCount: 1 << 20))
                }
                let error = #expect(throws: LMDBError.self) {
                    _ = try Environment(path: foreign, options: .init(mapByteCount: 1 << 20))
                }
                #expect(error == .invalid)
                #expect(error?.isDamage == true)
            }
        }
    }

    @Test("A new file can be read by its owner alone")
    func permissions() throws {
        try withTemporaryDirectory { directory in
            try withEnvironment(in: directory) { _, _ in }
            for name in ["data", "data-lock"] {
                let attributes = try FileManager.default.attributesOfItem(atPath: directory + "/" + name)
                #expect(attributes[.posixPermissions] as? Int == 0o600)
            }
        }
    }

    @Test("Errors keep the library's code and words")
    func errors() {
        #expect(LMDBError.mapFull.description.contains("MDB_MAP_FULL"))
        #expect(LMDBError.noSpace.code == ENOSPC)
        #expect(LMDBError.corrupted.isDamage)
        #expect(!LMDBError.notFound.isDamage)
    }
}
