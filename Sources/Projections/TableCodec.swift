import Registry

/// The table as a checkpoint's rows, and back.
///
/// Rows, little-endian: last position in stream 0 (8), VIM count (8), each VIM: watch and details (fixed,
/// 82 bytes), configuration (4 bytes of length, then the payload of `vim.registered`); entry count (8), each
/// entry 30 bytes. Whoever changes this changes ``schema``: an older checkpoint is then made anew.
/// A log's base is stored in the same form and cannot be made anew, so forms that were once released are read
/// for ever.
extension VIMTable {
    /// The version of the rows' form.
    public static let schema: UInt32 = 1

    /// The table as bytes.
    public func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.write(lastConductorPosition)
        writer.write(UInt64(ids.count))
        for row in ids.indices { write(row: row, to: &writer) }
        writer.write(UInt64(entries.count))
        for entry in entries {
            writer.write(entry.position)
            writer.write(entry.time.microseconds)
            writer.write(entry.stream)
            writer.write(entry.roundTripMicroseconds)
            writer.write(entry.finding)
            writer.write(entry.kind.rawValue)
            writer.write(entry.status.rawValue)
        }
        return writer.bytes
    }

    /// Reads what ``encoded()`` wrote; nil if the bytes are anything else.
    public init?(encoded bytes: [UInt8], position: UInt64) {
        self.init()
        var reader = ByteReader(bytes)
        guard let conductor: UInt64 = reader.read(), let count: UInt64 = reader.read() else { return nil }
        lastConductorPosition = conductor
        for row in 0..<count {
            guard let (vim, lastPosition) = VIMTable.readRow(Int(row), from: &reader) else { return nil }
            addRow(vim, at: lastPosition)
        }
        guard let entryCount: UInt64 = reader.read() else { return nil }
        for _ in 0..<entryCount {
            guard let position: UInt64 = reader.read(), let time: UInt64 = reader.read(),
                let stream: UInt32 = reader.read(), let roundTrip: UInt32 = reader.read(),
                let finding: UInt16 = reader.read(), let kindByte: UInt8 = reader.read(),
                let statusByte: UInt8 = reader.read(), let kind = HistoryEntry.Kind(rawValue: kindByte),
                let status = VIMStatus(rawValue: statusByte), stream > 0, stream <= ids.count
            else { return nil }
            entries.append(
                StoredHistoryEntry(
                    position: position, time: Timestamp(microseconds: time), stream: stream, kind: kind,
                    status: status, finding: ProbeFinding(packed: finding, roundTripMicroseconds: roundTrip)))
        }
        guard reader.isAtEnd else { return nil }
        self.position = position
    }

    private func write(row: Int, to writer: inout ByteWriter) {
        let (watch, details) = (watches[row], details[row].details)
        writer.write(lastPositions[row])
        writer.write(details.createdAt.microseconds)
        writer.write(details.deregisteredAt)
        writer.write(details.version)
        writer.write(watch.updatedAt)
        writer.write(watch.reportedAt)
        writer.write(watch.actionID.value.high)
        writer.write(watch.actionID.value.low)
        writer.write(watch.finding.roundTripMicroseconds)
        writer.write(watch.finding.packed)
        writer.write(watch.status.rawValue)
        let registered = VIMRegistered(id: ids[row], configuration: details.configuration, actor: Actor())
        Event.vimRegistered(registered).withPayload { _, payload in
            writer.write(UInt32(payload.count))
            writer.bytes.append(contentsOf: payload)
        }
    }

    private static func readRow(_ row: Int, from reader: inout ByteReader) -> (VIM, lastPosition: UInt64)? {
        guard let lastPosition: UInt64 = reader.read(), let createdAt: UInt64 = reader.read(),
            let deregisteredAt = reader.readMoment(), let version: UInt32 = reader.read(),
            let updatedAt = reader.readMoment(), let reportedAt = reader.readMoment(),
            let high: UInt64 = reader.read(), let low: UInt64 = reader.read(),
            let roundTrip: UInt32 = reader.read(), let packed: UInt16 = reader.read(),
            let statusByte: UInt8 = reader.read(), let status = VIMStatus(rawValue: statusByte),
            let byteCount: UInt32 = reader.read(), let payload = reader.readBytes(Int(byteCount))
        else { return nil }
        let event = payload.withUnsafeBytes {
            try? Event(type: EventType.vimRegistered.rawValue, format: 1, payload: $0)
        }
        guard case .vimRegistered(let registered) = event else { return nil }
        let vim = VIM(
            id: registered.id, stream: UInt32(row) + 1, configuration: registered.configuration,
            version: version,
            watch: Watch(
                status: status, finding: ProbeFinding(packed: packed, roundTripMicroseconds: roundTrip),
                actionID: MonitorActionID(UniqueID(high: high, low: low)), updatedAt: updatedAt.moment,
                reportedAt: reportedAt.moment),
            createdAt: Timestamp(microseconds: createdAt), deregisteredAt: deregisteredAt.moment)
        return (vim, lastPosition)
    }
}

struct ByteWriter {
    var bytes: [UInt8] = []

    mutating func write(_ number: some FixedWidthInteger) {
        withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// A moment that may be missing: 0 stands for nil, and nothing happens in 1970.
    mutating func write(_ moment: Timestamp?) { write(moment?.microseconds ?? 0) }
}

struct ByteReader {
    private let bytes: [UInt8]
    private var offset = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { offset == bytes.count }

    mutating func read<Number: FixedWidthInteger & BitwiseCopyable>() -> Number? {
        let size = MemoryLayout<Number>.size
        guard bytes.count - offset >= size else { return nil }
        defer { offset += size }
        return bytes.withUnsafeBytes {
            Number(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: Number.self))
        }
    }

    mutating func readBytes(_ count: Int) -> ArraySlice<UInt8>? {
        guard count >= 0, bytes.count - offset >= count else { return nil }
        defer { offset += count }
        return bytes[offset..<offset + count]
    }

    /// A moment that may be missing; the outer nil means the bytes ended.
    mutating func readMoment() -> (moment: Timestamp?, Void)? {
        guard let microseconds: UInt64 = read() else { return nil }
        return (microseconds == 0 ? nil : Timestamp(microseconds: microseconds), ())
    }
}
