import Crypto
import Zstd

/// Gathers batches into the bytes of a segment.
struct SegmentEncoder {
    private var model: BatchModel<ColumnWriter>
    private let buffer = BatchBuffer()
    private let level: Int32
    private var header: SegmentHeader
    private var blocks: [SegmentBlock] = []
    private var body: [UInt8] = []
    private var blockEventCount = 0
    private var blockBatchCount: UInt32 = 0
    private var blockFront: (position: UInt64, time: UInt64, seal: Seal)?

    /// High: a segment is written once and read for years.
    static let standardLevel: Int32 = 19

    /// - Parameter first: the segment's first batch; it must still be added.
    init(first: BatchView, after sealBefore: Seal, level: Int32 = standardLevel) {
        self.level = level
        let position = first.firstPosition
        model = BatchModel(port: ColumnWriter(), firstPosition: position, time: first.header.time)
        header = SegmentHeader(
            firstPosition: position, lastPosition: position - 1, batchCount: 0, batchByteCount: 0,
            firstTime: first.header.time, lastTime: 0, lastEpoch: 0, fileByteCount: 0,
            sealBefore: sealBefore, lastSeal: sealBefore, blockCount: 0, tableDigest: [])
    }

    /// How many events were added.
    var eventCount: UInt64 { header.lastPosition + 1 - header.firstPosition }

    /// Whether the next batch should begin another segment.
    var isFull: Bool { eventCount >= Limits.segmentEventMax || body.count >= Limits.segmentByteMax }

    /// Adds the next batch, whose seal the caller has checked.
    mutating func add(_ batch: BatchView) throws(SegmentFault) {
        precondition(batch.firstPosition == header.lastPosition + 1, "a segment holds a run of whole batches")
        if blockFront == nil { blockFront = (batch.firstPosition, batch.header.time, header.lastSeal) }
        buffer.fill(batch.bytes)
        do throws(FormatFault) { try model.code(buffer) } catch {
            throw .damaged(error.sentence, at: batch.firstPosition)
        }
        header.lastPosition = batch.lastPosition
        header.batchCount += 1
        header.batchByteCount += UInt64(batch.bytes.count)
        header.lastTime = batch.header.time
        header.lastEpoch = batch.header.epoch
        header.lastSeal = batch.header.seal
        blockEventCount += Int(batch.header.eventCount)
        blockBatchCount += 1
        if blockEventCount >= Limits.blockEventMax || model.port.byteCount >= Limits.blockByteMax {
            try closeBlock()
        }
    }

    private mutating func closeBlock() throws(SegmentFault) {
        guard let front = blockFront else { return }
        let bytes: [UInt8]
        do throws(ZstdError) { bytes = try model.port.close(level: level) } catch {
            throw .damaged("its columns could not be compressed: \(error)", at: front.position)
        }
        blocks.append(
            SegmentBlock(
                firstPosition: front.position, firstTime: front.time, offset: UInt64(body.count),
                byteCount: UInt32(bytes.count), batchCount: blockBatchCount, sealBefore: front.seal,
                digest: Array(SHA256.hash(data: bytes))))
        body += bytes
        (blockFront, blockEventCount, blockBatchCount) = (nil, 0, 0)
    }

    /// The whole file's parts, in order, and its header.
    consuming func finish() throws(SegmentFault) -> (header: SegmentHeader, table: [UInt8], body: [UInt8]) {
        try closeBlock()
        let start = UInt64(SegmentHeader.byteCount + blocks.count * SegmentBlock.byteCount)
        var table: [UInt8] = []
        for var block in blocks {
            block.offset += start
            table += block.bytes
        }
        header.blockCount = UInt32(blocks.count)
        header.tableDigest = Array(SHA256.hash(data: table))
        header.fileByteCount = start + UInt64(body.count)
        return (header, table, body)
    }
}
