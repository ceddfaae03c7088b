import Zstd

/// What a block is divided into: values of one kind lie together, since they compress well together.
enum Column: Int, CaseIterable {
    /// How many events each batch has, and whether anything about it is unusual; epochs that change.
    case batches
    /// One byte an event: how far it is from the stream that was due, and what else is unusual.
    case controls
    /// Numbers that only unusual events need: streams, positions, types, lengths.
    case details
    /// How far times are from the expected: their upper bits.
    case times
    /// Which words of a payload changed.
    case masks
    /// How far words are from the expected: their upper bits.
    case words
    /// Upper bits that do not fit into a byte.
    case escapes
    /// The lower bits of times and words: noise, which nothing compresses.
    case noise
    /// Payloads that are no small repetition.
    case payloads
}

/// One side of the codec: it stores values into columns, or brings stored ones back.
///
/// The model of the log (``BatchModel``) is written once against this and run in both directions, so that
/// what the reader does is what the writer did. Each call returns the value that stands in the column: the
/// writer's is the one that was handed in, the reader's argument is not looked at.
protocol ColumnPort {
    static var isWriting: Bool { get }
    mutating func byte(_ value: UInt8, _ column: Column) throws(FormatFault) -> UInt8
    /// Seven bits a byte, the lowest first.
    mutating func number(_ value: UInt64, _ column: Column) throws(FormatFault) -> UInt64
    /// The lowest bits of a value, at most 56.
    mutating func noise(_ value: UInt64, bitCount: Int) throws(FormatFault) -> UInt64
    /// The writer reads the buffer, the reader fills it.
    mutating func payload(_ bytes: UnsafeMutableRawBufferPointer) throws(FormatFault)
}

/// Gathers the columns of a block.
struct ColumnWriter: ColumnPort {
    static let isWriting = true
    private var columns = [[UInt8]](repeating: [], count: Column.allCases.count)
    private var bits: UInt64 = 0
    private var bitCount = 0

    /// Bytes gathered so far.
    var byteCount: Int { columns.reduce(0) { $0 + $1.count } }

    mutating func byte(_ value: UInt8, _ column: Column) -> UInt8 {
        columns[column.rawValue].append(value)
        return value
    }

    mutating func number(_ value: UInt64, _ column: Column) -> UInt64 {
        var rest = value
        while rest > 0x7F {
            columns[column.rawValue].append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        columns[column.rawValue].append(UInt8(rest))
        return value
    }

    mutating func noise(_ value: UInt64, bitCount count: Int) -> UInt64 {
        let low = value & ((1 << UInt64(count)) - 1)
        bits |= low << UInt64(bitCount)
        bitCount += count
        while bitCount >= 8 {
            columns[Column.noise.rawValue].append(UInt8(truncatingIfNeeded: bits))
            bits >>= 8
            bitCount -= 8
        }
        return low
    }

    mutating func payload(_ bytes: UnsafeMutableRawBufferPointer) {
        columns[Column.payloads.rawValue].append(contentsOf: bytes)
    }

    /// The columns as they are stored, each as its length, its frame's length and its frame; empties them.
    mutating func close(level: Int32) throws(ZstdError) -> [UInt8] {
        if bitCount > 0 { columns[Column.noise.rawValue].append(UInt8(truncatingIfNeeded: bits)) }
        (bits, bitCount) = (0, 0)
        var block: [UInt8] = []
        for index in columns.indices {
            let column = columns[index]
            columns[index].removeAll(keepingCapacity: true)
            let frame = try column.withUnsafeBytes { bytes in
                Result { () throws(ZstdError) in
                    bytes.isEmpty ? [] : try Zstd.compress(bytes, level: level)
                }
            }.get()
            for count in [column.count, frame.count] {
                withUnsafeBytes(of: UInt32(count).littleEndian) { block.append(contentsOf: $0) }
            }
            block += frame
        }
        return block
    }
}

/// Brings the columns of a block back.
struct ColumnReader: ColumnPort {
    static let isWriting = false
    private var columns: [[UInt8]] = []
    private var offsets = [Int](repeating: 0, count: Column.allCases.count)
    private var bits: UInt64 = 0
    private var bitCount = 0

    /// Every column is bounded, so that a few forged bytes do not claim all memory.
    private static let columnByteMax = Limits.blockByteMax + Limits.batchByteMax + 2 * Limits.payloadByteMax

    init() {}

    init(reading block: [UInt8]) throws(FormatFault) {
        var offset = 0
        for _ in Column.allCases {
            guard block.count - offset >= 8 else { throw FormatFault("a block ends within its columns") }
            let (byteCount, frameCount) = block.withUnsafeBytes {
                (Int($0.load(at: offset) as UInt32), Int($0.load(at: offset + 4) as UInt32))
            }
            offset += 8
            guard byteCount <= ColumnReader.columnByteMax, frameCount <= block.count - offset else {
                throw FormatFault("a block's column is longer than it can be")
            }
            columns.append(try ColumnReader.column(block[offset..<offset + frameCount], byteCount))
            offset += frameCount
        }
        guard offset == block.count else { throw FormatFault("a block has bytes too many") }
    }

    private static func column(_ frame: ArraySlice<UInt8>, _ byteCount: Int) throws(FormatFault) -> [UInt8] {
        if frame.isEmpty, byteCount == 0 { return [] }
        let result = frame.withUnsafeBytes { bytes in
            Result { () throws(ZstdError) in try Zstd.decompress(bytes, byteCount: byteCount) }
        }
        do throws(ZstdError) { return try result.get() } catch {
            throw FormatFault("a block's column cannot be decompressed: \(error)")
        }
    }

    /// Whether everything was brought back.
    var isAtEnd: Bool { zip(columns, offsets).allSatisfy { $0.count == $1 } }

    mutating func byte(_: UInt8, _ column: Column) throws(FormatFault) -> UInt8 {
        let index = column.rawValue
        let offset = offsets[index]
        guard offset < columns[index].count else { throw FormatFault("a block's column ends too early") }
        offsets[index] = offset + 1
        return columns[index][offset]
    }

    mutating func number(_: UInt64, _ column: Column) throws(FormatFault) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let part = try byte(0, column)
            value |= UInt64(part & 0x7F) << shift
            if part & 0x80 == 0 { return value }
            shift += 7
            guard shift < 64 else { throw FormatFault("a block's number is too long") }
        }
    }

    mutating func noise(_: UInt64, bitCount count: Int) throws(FormatFault) -> UInt64 {
        while bitCount < count {
            bits |= UInt64(try byte(0, .noise)) << UInt64(bitCount)
            bitCount += 8
        }
        let low = bits & ((1 << UInt64(count)) - 1)
        bits >>= UInt64(count)
        bitCount -= count
        return low
    }

    mutating func payload(_ bytes: UnsafeMutableRawBufferPointer) throws(FormatFault) {
        let index = Column.payloads.rawValue
        let offset = offsets[index]
        guard bytes.count <= columns[index].count - offset else {
            throw FormatFault("a block's column ends too early")
        }
        columns[index].withUnsafeBytes {
            bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + bytes.count]))
        }
        offsets[index] = offset + bytes.count
    }
}
