/// Memory for one batch after the other.
///
/// The bytes move when it grows; whoever is handed them must not keep them.
final class BatchBuffer {
    private var memory: UnsafeMutableRawBufferPointer
    private var byteCount = 0

    init() { memory = .allocate(byteCount: 4_096, alignment: 16) }

    deinit { memory.deallocate() }

    /// The batch's bytes.
    var bytes: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: memory[..<byteCount])
    }

    /// Makes it so many bytes long and keeps those that it has.
    func resize(_ count: Int) {
        if count > memory.count {
            let larger = UnsafeMutableRawBufferPointer.allocate(
                byteCount: max(count, 2 * memory.count), alignment: 16)
            larger.copyMemory(from: UnsafeRawBufferPointer(bytes))
            memory.deallocate()
            memory = larger
        }
        byteCount = count
    }

    /// Takes a copy of a batch.
    func fill(_ batch: UnsafeRawBufferPointer) {
        resize(batch.count)
        bytes.copyMemory(from: batch)
    }

    /// The front of the batch; nil if it has none.
    var header: BatchHeader? { try? BatchHeader(reading: UnsafeRawBufferPointer(bytes)) }

    /// Whether the batch says no more than the model tells again: every event has the batch's time, reserved
    /// bytes are zero, lengths add up.
    var isUsual: Bool {
        let bytes = UnsafeRawBufferPointer(bytes)
        guard let header, let batch = try? BatchView(firstPosition: 1, bytes: bytes) else { return false }
        var offset = Format.headerByteCount
        do throws(WalkError<Never>) {
            return try batch.forEachEvent { (event) throws(Never) -> Bool in
                defer { offset += Format.envelopeByteCount + event.payload.count }
                return event.envelope.time == header.time
                    && (bytes.load(at: offset + 24) as UInt64) >> 24 == 0
            }
        } catch { return false }
    }
}
