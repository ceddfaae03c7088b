import Crypto
import LMDB

// What a log of a pair notes beside its format and identity, each entry of `meta` behind the first 8 bytes of
// SHA-256(name ‖ value): nothing else would tell that it was altered.
extension EventLog {
    static let pairKey = Array("pair".utf8)
    static let cutKey = Array("cut".utf8)
    private static let checksumByteCount = 8

    /// What is noted under a name; nil if nothing is.
    func note(_ name: [UInt8], _ transaction: borrowing ReadTransaction) throws(ReadFault) -> [UInt8]? {
        let stored: [UInt8]?
        do throws(LMDBError) { stored = try transaction.copy(of: name, in: meta) } catch {
            throw .library(error)
        }
        guard let stored else { return nil }
        let value = Array(stored.dropFirst(EventLog.checksumByteCount))
        guard stored == EventLog.checked(value, name) else {
            throw .damaged(
                position: 0, what: "its note \"\(String(decoding: name, as: UTF8.self))\" is altered")
        }
        return value
    }

    func put(
        note value: [UInt8], _ name: [UInt8], in transaction: borrowing WriteTransaction
    ) throws(LMDBError) {
        try transaction.put(EventLog.checked(value, name), for: name, in: meta)
    }

    private static func checked(_ value: [UInt8], _ name: [UInt8]) -> [UInt8] {
        SHA256.hash(data: name + value).prefix(checksumByteCount) + value
    }
}
