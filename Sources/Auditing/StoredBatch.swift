import Crypto
import EventLog

/// A batch as the auditor reads it, with code of its own (Design.md §5).
///
/// What the writer's code and this one agree on is what the log's description says, not what one of them
/// happens to do.
struct StoredBatch {
    /// The 32 bytes that close a batch.
    struct SealBytes: Equatable {
        var words = SIMD4<UInt64>()

        /// What stands before the first batch.
        static let none = SealBytes()

        /// The log's own value, for reports.
        var seal: Seal? { withUnsafeBytes(of: words) { Seal(bytes: Array($0)) } }

        init() {}

        init(_ seal: Seal) { self = seal.bytes.withUnsafeBytes { SealBytes(reading: $0, at: 0) } }

        init(reading bytes: UnsafeRawBufferPointer, at offset: Int) {
            words = bytes.loadUnaligned(fromByteOffset: offset, as: SIMD4<UInt64>.self)
        }
    }

    static let headerByteCount = 64
    private static let sealedHeaderByteCount = 32

    let firstPosition: UInt64
    let eventCount: UInt64
    let epoch: UInt64
    let time: UInt64
    let seal: SealBytes
    /// Header and events.
    let bytes: UnsafeRawBufferPointer

    var lastPosition: UInt64 { firstPosition + eventCount - 1 }
    var events: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[StoredBatch.headerByteCount...])
    }

    /// Reads a stored value.
    init(at position: UInt64, in value: UnsafeRawBufferPointer) throws(Damage) {
        guard value.count >= StoredBatch.headerByteCount else {
            throw Damage(at: position, "\(value.count) bytes are fewer than a batch's header has")
        }
        let format = value.number(at: 0, UInt16.self)
        guard format == 1 else { throw Damage(at: position, "batch format \(format) is unknown") }
        guard value.number(at: 2, UInt16.self) == 0, value.number(at: 12, UInt32.self) == 0 else {
            throw Damage(at: position, "reserved bytes of the batch's header are not zero")
        }
        let byteCount = Int(value.number(at: 8, UInt32.self))
        guard value.count == StoredBatch.headerByteCount + byteCount else {
            throw Damage(
                at: position,
                "the batch says \(byteCount) bytes of events and has "
                    + "\(value.count - StoredBatch.headerByteCount)")
        }
        eventCount = UInt64(value.number(at: 4, UInt32.self))
        guard eventCount > 0, position > 0, position <= UInt64.max - eventCount else {
            throw Damage(at: position, "no batch of \(eventCount) events can begin here")
        }
        firstPosition = position
        epoch = value.number(at: 16, UInt64.self)
        time = value.number(at: 24, UInt64.self)
        seal = SealBytes(reading: value, at: 32)
        bytes = value
    }

    /// SHA-256(seal before ‖ header bytes 0–31 ‖ events).
    func computedSeal(after before: SealBytes) -> SealBytes {
        var hash = SHA256()
        // The first 64 bytes are one block of SHA-256: handed over as one, nothing is buffered.
        withUnsafeTemporaryAllocation(byteCount: 64, alignment: 32) { block in
            block.storeBytes(of: before.words, as: SIMD4<UInt64>.self)
            UnsafeMutableRawBufferPointer(rebasing: block[32...]).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: bytes[..<StoredBatch.sealedHeaderByteCount]))
            hash.update(bufferPointer: UnsafeRawBufferPointer(block))
        }
        hash.update(bufferPointer: events)
        return hash.finalize().withUnsafeBytes { SealBytes(reading: $0, at: 0) }
    }
}

extension UnsafeRawBufferPointer {
    /// A little-endian number; the caller knows that the bytes are there.
    @inline(__always)
    func number<Number: FixedWidthInteger & BitwiseCopyable>(at offset: Int, _: Number.Type) -> Number {
        Number(littleEndian: loadUnaligned(fromByteOffset: offset, as: Number.self))
    }
}
