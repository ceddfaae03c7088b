import LMDB
import Samples

func withEnvironment(
    mapByteCount: Int = 1 << 24, _ body: (Environment, Database) throws -> Void
) throws {
    try withTemporaryDirectory { try withEnvironment(in: $0, mapByteCount: mapByteCount, body) }
}

func withEnvironment(
    in directory: String, mapByteCount: Int = 1 << 24, _ body: (Environment, Database) throws -> Void
) throws {
    let environment = try Environment(
        path: directory + "/data", options: .init(mapByteCount: mapByteCount))
    try body(environment, try environment.database("numbers"))
}

extension Environment {
    func look<Result>(
        _ body: (borrowing ReadTransaction) throws(LMDBError) -> Result
    ) throws(LMDBError) -> Result {
        do throws(TransactionError<LMDBError>) { return try read(body) } catch { throw error.error }
    }

    func change<Result>(
        _ body: (borrowing WriteTransaction) throws(LMDBError) -> Result
    ) throws(LMDBError) -> Result {
        do throws(TransactionError<LMDBError>) { return try write(body) } catch { throw error.error }
    }

    func put(_ value: [UInt8], for key: [UInt8], in database: Database) throws(LMDBError) {
        try change { (transaction) throws(LMDBError) in try transaction.put(value, for: key, in: database) }
    }

    /// Stores one number under two keys in one commit.
    func putPair(_ number: Int, in database: Database) throws(LMDBError) {
        let value = Array("\(number)".utf8)
        try change { (transaction) throws(LMDBError) in
            try transaction.put(value, for: [1], in: database)
            try transaction.put(value, for: [2], in: database)
        }
    }

    func value(of key: [UInt8], in database: Database) throws(LMDBError) -> [UInt8]? {
        try look { (transaction) throws(LMDBError) in try transaction.copy(of: key, in: database) }
    }
}
