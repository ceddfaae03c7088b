import Crypto

/// Brings the batches of a segment back, one after the other.
///
/// What the file's header promises is checked on the way: the SHA-256 of every block before it is looked at,
/// and the seals at every block's beginning and at the end. Reads with `pread`: a file that is truncated
/// meanwhile is an error and no signal.
struct SegmentReader {
    let header: SegmentHeader
    private let file: SegmentFile
    private let blocks: [SegmentBlock]
    private let isSealing: Bool
    private let buffer = BatchBuffer()
    private var model: BatchModel<ColumnReader>
    private var blockIndex = 0
    private var batchesLeft: UInt32 = 0
    private var nextPosition: UInt64
    /// The seal of the last batch that was brought back.
    private var seal: Seal
    /// Before this block seals need not be known.
    private var firstSealedBlock = 0

    /// - Parameters:
    ///   - expected: what the index says of the file; nil takes the file's word for it.
    ///   - isSealing: whether seals are computed and checked; else the batches' seals are zero.
    init(path: String, expected: SegmentHeader?, isSealing: Bool = true) throws(SegmentFault) {
        file = try SegmentFile(path: path)
        let header = try SegmentHeader(reading: try file.read(SegmentHeader.byteCount, at: 0))
        guard expected.map({ $0 == header }) ?? true else {
            throw .damaged("it is another segment than the one that was archived")
        }
        guard file.byteCount == header.fileByteCount else {
            throw .damaged("it has \(file.byteCount) bytes where \(header.fileByteCount) were written")
        }
        let tableByteCount = UInt64(header.blockCount) * UInt64(SegmentBlock.byteCount)
        guard tableByteCount <= header.fileByteCount else { throw .damaged("its block table is too long") }
        let table = try file.read(Int(tableByteCount), at: UInt64(SegmentHeader.byteCount))
        guard Array(SHA256.hash(data: table)) == header.tableDigest else {
            throw .damaged("its block table does not match its SHA-256")
        }
        self.header = header
        self.isSealing = isSealing
        blocks = (0..<Int(header.blockCount)).map { index in
            table.withUnsafeBytes {
                SegmentBlock(
                    reading: UnsafeRawBufferPointer(
                        rebasing: $0[index * SegmentBlock.byteCount..<(index + 1) * SegmentBlock.byteCount]))
            }
        }
        nextPosition = header.firstPosition
        seal = header.sealBefore
        model = BatchModel(
            port: ColumnReader(), firstPosition: header.firstPosition, time: header.firstTime)
    }

    /// Whoever looks for a place needs no seals before the block that holds it; call before the first batch.
    mutating func skipSeals(before position: UInt64) {
        firstSealedBlock = max(0, (blocks.lastIndex { $0.firstPosition <= position } ?? 0))
    }

    /// The same by time: no seals before the block that holds the last batch at or before it.
    mutating func skipSeals(beforeTime time: UInt64) {
        firstSealedBlock = max(0, (blocks.lastIndex { $0.firstTime <= time } ?? 0))
    }

    /// The next batch, valid until the next call; nil after the last.
    mutating func next() throws(SegmentFault) -> BatchView? {
        if batchesLeft == 0 {
            guard try openBlock() else { return nil }
        }
        let position = nextPosition
        let batch: BatchView
        do throws(FormatFault) {
            try model.code(buffer)
            if isSealing, blockIndex > firstSealedBlock {
                let bytes = UnsafeRawBufferPointer(buffer.bytes)
                seal = Seal(closing: bytes, after: seal)
                seal.write(to: buffer.bytes, at: Format.sealOffset)
            }
            batch = try BatchView(firstPosition: position, bytes: UnsafeRawBufferPointer(buffer.bytes))
        } catch { throw .damaged(error.sentence, at: position) }
        batchesLeft -= 1
        nextPosition = batch.lastPosition + 1
        if batchesLeft == 0, blockIndex == blocks.count { try checkEnd() }
        return batch
    }

    /// Opens the next block; false after the last.
    private mutating func openBlock() throws(SegmentFault) -> Bool {
        guard blockIndex < blocks.count else { return false }
        let block = blocks[blockIndex]
        guard block.firstPosition == nextPosition, block.batchCount > 0,
            !isSealing || blockIndex <= firstSealedBlock || block.sealBefore == seal
        else { throw .damaged("its blocks do not follow each other", at: nextPosition) }
        seal = block.sealBefore
        let bytes = try file.read(Int(block.byteCount), at: block.offset)
        guard Array(SHA256.hash(data: bytes)) == block.digest else {
            throw .damaged("a block does not match its SHA-256", at: block.firstPosition)
        }
        do throws(FormatFault) {
            guard model.port.isAtEnd else { throw FormatFault("a block holds more than its batches") }
            model.port = try ColumnReader(reading: bytes)
        } catch { throw .damaged(error.sentence, at: block.firstPosition) }
        blockIndex += 1
        batchesLeft = block.batchCount
        return true
    }

    private func checkEnd() throws(SegmentFault) {
        guard nextPosition == header.lastPosition + 1, model.port.isAtEnd else {
            throw .damaged("its batches end at \(nextPosition - 1)", at: nextPosition)
        }
        guard !isSealing || seal == header.lastSeal else {
            throw .damaged(
                "its batches do not lead to the seal that was archived",
                at: blocks.last?.firstPosition ?? header.firstPosition)
        }
    }
}
