import Crypto

/// The bytes of a travelling batch, little-endian.
///
///     0  version 2, kind of what is said of the vault 2, count of the vault's entries 4
///     8  position of the first event 8
///     16 bytes of the value 4, reserved 4
///     24 the batch's value as it is stored
///        the vault's entries, each: bytes of the key 2, whether it is put (1) or destroyed (0) 2, bytes of
///        the value 4, key, value
///        the first 16 bytes of SHA-256(bytes 0–23 ‖ entries)
///
/// The value has a seal of its own, so that nothing is hashed twice. Kinds: 0 untold, 1 changes, 2 whole.
enum TravelFormat {
    static let version: UInt16 = 1
    static let frontByteCount = 24
    static let entryFrontByteCount = 8
    static let checksumByteCount = 16
    /// LMDB takes no longer keys.
    static let keyByteMax = 511

    static func valueRange(byteCount: Int) -> Range<Int> { frontByteCount..<frontByteCount + byteCount }

    static func encode(
        _ value: UnsafeRawBufferPointer, at firstPosition: UInt64, _ vault: TravellingVault
    ) -> [UInt8] {
        let (kind, entries): (UInt16, [VaultChange]) =
            switch vault {
            case .untold: (0, [])
            case .changes(let changes): (1, changes)
            case .whole(let entries): (2, entries)
            }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(
            entries.reduce(frontByteCount + value.count + checksumByteCount) {
                $0 + entryFrontByteCount + $1.key.count + ($1.value?.count ?? 0)
            })
        bytes.append(version)
        bytes.append(kind)
        bytes.append(UInt32(entries.count))
        bytes.append(firstPosition)
        bytes.append(UInt32(value.count))
        bytes.append(UInt32(0))
        bytes.append(contentsOf: value)
        for entry in entries {
            precondition((1...keyByteMax).contains(entry.key.count), "the vault takes no such key")
            bytes.append(UInt16(entry.key.count))
            bytes.append(UInt16(entry.value == nil ? 0 : 1))
            bytes.append(UInt32(entry.value?.count ?? 0))
            bytes.append(contentsOf: entry.key)
            bytes.append(contentsOf: entry.value ?? [])
        }
        bytes.append(contentsOf: checksum(of: bytes[...], valueByteCount: value.count))
        return bytes
    }

    static func decode(
        _ bytes: [UInt8]
    ) throws(TravelError) -> (firstPosition: UInt64, header: BatchHeader, vault: TravellingVault) {
        var reader = ByteReader(bytes)
        let found: UInt16 = try reader.number()
        guard found <= version else { throw .newerFormat(found: found, known: version) }
        guard found == version else { throw .damaged(position: 0, what: "version \(found) never existed") }
        let kind: UInt16 = try reader.number()
        let entryCount: UInt32 = try reader.number()
        let firstPosition: UInt64 = try reader.number()
        let valueByteCount = Int(try reader.number() as UInt32)
        let reserved: UInt32 = try reader.number()
        guard valueByteCount <= Limits.batchValueByteMax else {
            throw .damaged(position: 0, what: "no batch has \(valueByteCount) bytes")
        }
        let value = try reader.bytes(valueByteCount)
        guard bytes.count - reader.offset >= checksumByteCount,
            Array(bytes.suffix(checksumByteCount))
                == checksum(of: bytes.dropLast(checksumByteCount), valueByteCount: valueByteCount)
        else { throw .damaged(position: 0, what: "it does not match its checksum") }
        guard reserved == 0 else { throw .damaged(position: 0, what: "reserved bytes are not zero") }
        let header = try header(of: value, at: firstPosition)
        var entries: [VaultChange] = []
        for _ in 0..<entryCount { entries.append(try entry(of: &reader)) }
        guard bytes.count - reader.offset == checksumByteCount else {
            throw .damaged(position: firstPosition, what: "it has more bytes than it tells")
        }
        return (firstPosition, header, try vault(kind, entries, at: firstPosition))
    }

    private static func header(
        of value: ArraySlice<UInt8>, at firstPosition: UInt64
    ) throws(TravelError) -> BatchHeader {
        let result = value.withUnsafeBytes { value in
            Result { () throws(TravelError) in
                if value.count >= 2, case let found = value.load(at: 0) as UInt16, found > Format.batchVersion
                {
                    throw .newerFormat(found: found, known: Format.batchVersion)
                }
                do throws(FormatFault) {
                    return try BatchView(firstPosition: firstPosition, bytes: value).header
                } catch { throw .damaged(position: firstPosition, what: error.sentence) }
            }
        }
        return try result.get()
    }

    private static func entry(of reader: inout ByteReader) throws(TravelError) -> VaultChange {
        let keyByteCount = Int(try reader.number() as UInt16)
        let isPut: UInt16 = try reader.number()
        let valueByteCount = Int(try reader.number() as UInt32)
        guard (1...keyByteMax).contains(keyByteCount), isPut == 1 || isPut == 0 && valueByteCount == 0 else {
            throw .damaged(position: 0, what: "an entry of the vault contradicts itself")
        }
        let key = Array(try reader.bytes(keyByteCount))
        let value = Array(try reader.bytes(valueByteCount))
        return VaultChange(key: key, value: isPut == 1 ? value : nil)
    }

    private static func vault(
        _ kind: UInt16, _ entries: [VaultChange], at position: UInt64
    ) throws(TravelError) -> TravellingVault {
        switch kind {
        case 0 where entries.isEmpty: return .untold
        case 1: return .changes(entries)
        case 2 where entries.allSatisfy({ $0.value != nil }): return .whole(entries)
        default: throw .damaged(position: position, what: "what it says of the vault contradicts itself")
        }
    }

    /// Of all but the value and the checksum itself.
    static func checksum(of bytes: ArraySlice<UInt8>, valueByteCount: Int) -> [UInt8] {
        var hash = SHA256()
        bytes.withUnsafeBytes { bytes in
            hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: bytes[..<frontByteCount]))
            hash.update(
                bufferPointer: UnsafeRawBufferPointer(rebasing: bytes[(frontByteCount + valueByteCount)...]))
        }
        return Array(hash.finalize().prefix(checksumByteCount))
    }
}

extension [UInt8] {
    fileprivate mutating func append(_ number: some FixedWidthInteger & BitwiseCopyable) {
        Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
    }
}

/// Takes numbers and bytes off a buffer and never reads beyond it.
private struct ByteReader {
    private let all: [UInt8]
    private(set) var offset = 0

    init(_ bytes: [UInt8]) { all = bytes }

    mutating func bytes(_ count: Int) throws(TravelError) -> ArraySlice<UInt8> {
        guard count <= all.count - offset else {
            throw .damaged(position: 0, what: "it ends after \(all.count) bytes, within what it tells")
        }
        defer { offset += count }
        return all[offset..<offset + count]
    }

    mutating func number<Number: FixedWidthInteger & BitwiseCopyable>() throws(TravelError) -> Number {
        try bytes(MemoryLayout<Number>.size).withUnsafeBytes { $0.load(at: 0) }
    }
}
