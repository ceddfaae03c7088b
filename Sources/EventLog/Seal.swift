import Crypto

/// The SHA-256 that closes a batch and chains it to the seal before it.
///
/// `seal = SHA-256(seal before ‖ the batch's value without its seal)`; before the first batch stand 32
/// zero bytes. Two logs with the same seal at the same position are identical up to there.
public struct Seal: Hashable, Sendable, CustomStringConvertible {
    private var words: InlineWords

    private struct InlineWords: Hashable, Sendable {
        var first: UInt64 = 0
        var second: UInt64 = 0
        var third: UInt64 = 0
        var fourth: UInt64 = 0
    }

    /// What stands before the first batch.
    public static let none = Seal(words: InlineWords())

    private init(words: InlineWords) { self.words = words }

    /// Reads 32 bytes; nil if there are more or fewer.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 32 else { return nil }
        self = Array(bytes).withUnsafeBytes { Seal(reading: $0, at: 0) }
    }

    /// Reads 32 bytes that the caller knows to be there.
    init(reading bytes: UnsafeRawBufferPointer, at offset: Int) {
        words = bytes.loadUnaligned(fromByteOffset: offset, as: InlineWords.self)
    }

    /// Closes a batch's value, of which the bytes at the seal's place do not count.
    init(closing batch: UnsafeRawBufferPointer, after previous: Seal) {
        var hash = SHA256()
        withUnsafeBytes(of: previous.words) { hash.update(bufferPointer: $0) }
        hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: batch[..<Format.sealOffset]))
        hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: batch[Format.headerByteCount...]))
        self = hash.finalize().withUnsafeBytes { Seal(reading: $0, at: 0) }
    }

    func write(to bytes: UnsafeMutableRawBufferPointer, at offset: Int) {
        bytes.storeBytes(of: words, toByteOffset: offset, as: InlineWords.self)
    }

    /// The 32 bytes.
    public var bytes: [UInt8] { withUnsafeBytes(of: words) { Array($0) } }

    /// 64 hexadecimal digits.
    public var description: String {
        func digit(_ value: UInt8) -> UInt8 {
            value + (value < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") - 10)
        }
        return String(unsafeUninitializedCapacity: 64) { digits in
            for (index, byte) in bytes.enumerated() {
                digits[2 * index] = digit(byte >> 4)
                digits[2 * index + 1] = digit(byte & 0xF)
            }
            return 64
        }
    }
}
