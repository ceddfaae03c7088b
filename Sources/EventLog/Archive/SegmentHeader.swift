import Crypto

/// The fixed front of a segment file; the log's index keeps a copy of it.
///
/// 192 bytes, little-endian:
///
///     0  magic 8, version 2, reserved 2, block count 4
///     16 first position 8, last position 8, batch count 8, bytes of the batches 8
///     48 first time 8, last time 8, last epoch 8, bytes of the file 8
///     80 seal before the first batch 32, seal of the last batch 32
///     144 SHA-256 of the block table 32, SHA-256 of bytes 0–175 (first 16 bytes)
///
/// The table names the SHA-256 of every block: equal headers mean equal files.
public struct SegmentHeader: Hashable, Sendable {
    /// The position of its first event.
    public var firstPosition: UInt64
    /// The position of its last event.
    public var lastPosition: UInt64
    /// How many batches it holds.
    public var batchCount: UInt64
    /// How many bytes the batches had in the data file.
    public var batchByteCount: UInt64
    /// When its first batch was committed, in microseconds since 1970.
    public var firstTime: UInt64
    /// When its last batch was committed, in microseconds since 1970.
    public var lastTime: UInt64
    /// The epoch of its last batch.
    public var lastEpoch: UInt64
    /// How many bytes the segment's file has.
    public var fileByteCount: UInt64
    /// The seal before its first batch.
    public var sealBefore: Seal
    /// The seal of its last batch.
    public var lastSeal: Seal
    var blockCount: UInt32
    /// SHA-256 of the block table.
    var tableDigest: [UInt8]

    /// The version that this code writes; a greater one is refused.
    public static let version: UInt16 = 1
    static let byteCount = 192
    static let magic = Array("VEDSEG\r\n".utf8)
    private static let digestOffset = 144
    private static let checksumOffset = 176

    /// How many events it holds.
    public var eventCount: UInt64 { lastPosition - firstPosition + 1 }

    /// The head right after it.
    var head: Head { Head(position: lastPosition, seal: lastSeal, time: lastTime, epoch: lastEpoch) }

    /// The name of its file in the archive's folder.
    public var fileName: String { SegmentHeader.fileName(firstPosition) }

    static func fileName(_ firstPosition: UInt64) -> String {
        let digits = String(firstPosition)
        return String(repeating: "0", count: 20 - digits.count) + digits + fileSuffix
    }

    static let fileSuffix = ".segment"

    /// The bytes as they stand in the file and in the index.
    var bytes: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: SegmentHeader.byteCount)
        bytes.withUnsafeMutableBytes { buffer in
            buffer.copyBytes(from: SegmentHeader.magic)
            buffer.store(SegmentHeader.version, at: 8)
            buffer.store(blockCount, at: 12)
            let numbers = [
                firstPosition, lastPosition, batchCount, batchByteCount, firstTime, lastTime, lastEpoch,
                fileByteCount,
            ]
            for (index, number) in numbers.enumerated() { buffer.store(number, at: 16 + 8 * index) }
            sealBefore.write(to: buffer, at: 80)
            lastSeal.write(to: buffer, at: 112)
        }
        bytes.replaceSubrange(SegmentHeader.digestOffset..<SegmentHeader.checksumOffset, with: tableDigest)
        bytes.replaceSubrange(
            SegmentHeader.checksumOffset...,
            with: SegmentHeader.checksum(bytes[..<SegmentHeader.checksumOffset]))
        return bytes
    }

    /// Reads a header; a sentence says what is wrong with it otherwise.
    init(reading bytes: [UInt8]) throws(SegmentFault) {
        guard bytes.count == SegmentHeader.byteCount, Array(bytes[..<8]) == SegmentHeader.magic else {
            throw .damaged("it does not begin like a segment")
        }
        let version = bytes.withUnsafeBytes { $0.load(at: 8) as UInt16 }
        guard version <= SegmentHeader.version else { throw .newer(version) }
        guard
            Array(bytes[SegmentHeader.checksumOffset...])
                == SegmentHeader.checksum(bytes[..<SegmentHeader.checksumOffset])
        else { throw .damaged("its header does not match its checksum") }
        let numbers = bytes.withUnsafeBytes { buffer in (0..<8).map { buffer.load(at: 16 + 8 * $0) as UInt64 }
        }
        (firstPosition, lastPosition, batchCount, batchByteCount) = (
            numbers[0], numbers[1], numbers[2], numbers[3]
        )
        (firstTime, lastTime, lastEpoch, fileByteCount) = (numbers[4], numbers[5], numbers[6], numbers[7])
        blockCount = bytes.withUnsafeBytes { $0.load(at: 12) as UInt32 }
        (sealBefore, lastSeal) = bytes.withUnsafeBytes {
            (Seal(reading: $0, at: 80), Seal(reading: $0, at: 112))
        }
        tableDigest = Array(bytes[SegmentHeader.digestOffset..<SegmentHeader.checksumOffset])
        guard firstPosition > 0, firstPosition <= lastPosition, blockCount > 0 else {
            throw .damaged("its header contradicts itself")
        }
    }

    init(
        firstPosition: UInt64, lastPosition: UInt64, batchCount: UInt64, batchByteCount: UInt64,
        firstTime: UInt64, lastTime: UInt64, lastEpoch: UInt64, fileByteCount: UInt64, sealBefore: Seal,
        lastSeal: Seal, blockCount: UInt32, tableDigest: [UInt8]
    ) {
        self.firstPosition = firstPosition
        self.lastPosition = lastPosition
        self.batchCount = batchCount
        self.batchByteCount = batchByteCount
        self.firstTime = firstTime
        self.lastTime = lastTime
        self.lastEpoch = lastEpoch
        self.fileByteCount = fileByteCount
        self.sealBefore = sealBefore
        self.lastSeal = lastSeal
        self.blockCount = blockCount
        self.tableDigest = tableDigest
    }

    private static func checksum(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        Array(SHA256.hash(data: bytes).prefix(16))
    }
}

/// A block's entry in the table that follows the header: 96 bytes, little-endian.
///
/// First position 8, time of its first batch 8, offset in the file 8, length 4, batch count 4, seal before
/// its first batch 32, SHA-256 of its bytes 32.
struct SegmentBlock: Hashable, Sendable {
    var firstPosition: UInt64
    var firstTime: UInt64
    var offset: UInt64
    var byteCount: UInt32
    var batchCount: UInt32
    var sealBefore: Seal
    var digest: [UInt8]

    static let byteCount = 96

    var bytes: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: SegmentBlock.byteCount)
        bytes.withUnsafeMutableBytes { buffer in
            buffer.store(firstPosition, at: 0)
            buffer.store(firstTime, at: 8)
            buffer.store(offset, at: 16)
            buffer.store(byteCount, at: 24)
            buffer.store(batchCount, at: 28)
            sealBefore.write(to: buffer, at: 32)
        }
        bytes.replaceSubrange(64..., with: digest)
        return bytes
    }

    init(reading bytes: UnsafeRawBufferPointer) {
        firstPosition = bytes.load(at: 0)
        firstTime = bytes.load(at: 8)
        offset = bytes.load(at: 16)
        byteCount = bytes.load(at: 24)
        batchCount = bytes.load(at: 28)
        sealBefore = Seal(reading: bytes, at: 32)
        digest = Array(bytes[64..<SegmentBlock.byteCount])
    }

    init(
        firstPosition: UInt64, firstTime: UInt64, offset: UInt64, byteCount: UInt32, batchCount: UInt32,
        sealBefore: Seal, digest: [UInt8]
    ) {
        self.firstPosition = firstPosition
        self.firstTime = firstTime
        self.offset = offset
        self.byteCount = byteCount
        self.batchCount = batchCount
        self.sealBefore = sealBefore
        self.digest = digest
    }
}

/// What is wrong with a segment, before it is known which file it came from.
enum SegmentFault: Error, Hashable {
    /// Written by a later version.
    case newer(UInt16)
    /// One sentence without the file's name; the position is 0 if the whole file is meant.
    case damaged(String, at: UInt64 = 0)
}
