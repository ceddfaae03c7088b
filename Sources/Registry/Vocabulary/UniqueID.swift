/// Sixteen bytes that name one thing for ever, written as a UUID (RFC 9562, section 4).
public struct UniqueID: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The first eight bytes, most significant first.
    public let high: UInt64
    /// The last eight bytes, most significant first.
    public let low: UInt64

    /// Makes an id of two words.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Makes a random id (UUID version 4) from a random source that the caller owns.
    public init(using random: inout some RandomNumberGenerator) {
        let versioned = (random.next() & 0xFFFF_FFFF_FFFF_0FFF) | 0x4000
        let varianted = (random.next() & 0x3FFF_FFFF_FFFF_FFFF) | 0x8000_0000_0000_0000
        self.init(high: versioned, low: varianted)
    }

    /// Reads the 36-character form with hyphens, or the same 32 digits without; nil for anything else.
    public init?(_ text: some StringProtocol) {
        // Every report brings two ids: walking a foreign string type byte by byte costs ten times as much.
        var text = String(text)
        guard let id = text.withUTF8(UniqueID.init(digits:)) else { return nil }
        self = id
    }

    private init?(digits utf8: UnsafeBufferPointer<UInt8>) {
        var words: (UInt64, UInt64) = (0, 0)
        var digitCount = 0
        guard utf8.count == 36 || utf8.count == 32 else { return nil }
        let hyphenated = utf8.count == 36
        for (index, byte) in utf8.enumerated() {
            if hyphenated, index == 8 || index == 13 || index == 18 || index == 23 {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            guard let digit = UniqueID.hexadecimalDigit(byte) else { return nil }
            if digitCount < 16 { words.0 = words.0 << 4 | digit } else { words.1 = words.1 << 4 | digit }
            digitCount += 1
        }
        guard digitCount == 32 else { return nil }
        self.init(high: words.0, low: words.1)
    }

    /// Reads sixteen bytes, most significant first; nil if there are more or fewer.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        // Every event brings ids: walking a foreign collection byte by byte costs a microsecond.
        let words = bytes.withContiguousStorageIfAvailable { bytes in
            let words = UnsafeRawBufferPointer(bytes)
            return (
                UInt64(bigEndian: words.loadUnaligned(as: UInt64.self)),
                UInt64(bigEndian: words.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
        let (high, low) =
            words ?? (
                bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) },
                bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) }
            )
        self.init(high: high, low: low)
    }

    /// The sixteen bytes, most significant first.
    public var bytes: [UInt8] {
        (0..<16).map { index in
            let word = index < 8 ? high : low
            return UInt8(truncatingIfNeeded: word >> (56 - 8 * UInt64(index % 8)))
        }
    }

    /// The 36-character lower-case form.
    public var description: String {
        String(unsafeUninitializedCapacity: 36) { buffer in
            var position = 0
            for digit in 0..<32 {
                if digit == 8 || digit == 12 || digit == 16 || digit == 20 {
                    buffer[position] = UInt8(ascii: "-")
                    position += 1
                }
                let word = digit < 16 ? high : low
                let value = UInt8(truncatingIfNeeded: word >> (60 - 4 * UInt64(digit % 16))) & 0xF
                buffer[position] = value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
                position += 1
            }
            return 36
        }
    }

    /// Orders ids as their texts are ordered.
    public static func < (left: UniqueID, right: UniqueID) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }

    private static func hexadecimalDigit(_ byte: UInt8) -> UInt64? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(byte - UInt8(ascii: "A") + 10)
        default: nil
        }
    }
}

/// Names one VIM for ever, also after its deregistration.
public struct VIMID: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The id itself.
    public let value: UniqueID

    /// Gives an id its meaning.
    public init(_ value: UniqueID) { self.value = value }

    /// Reads a UUID; nil if the text is none.
    public init?(_ text: some StringProtocol) {
        guard let value = UniqueID(text) else { return nil }
        self.value = value
    }

    /// The UUID in lower case.
    public var description: String { value.description }

    /// Orders ids as their texts are ordered.
    public static func < (left: VIMID, right: VIMID) -> Bool { left.value < right.value }
}

/// Names one monitor action.
///
/// A VIM has exactly one wanted action; all others are told `bad_action`.
public struct MonitorActionID: Hashable, Sendable, CustomStringConvertible {
    /// The id itself.
    public let value: UniqueID

    /// Gives an id its meaning.
    public init(_ value: UniqueID) { self.value = value }

    /// Reads a UUID; nil if the text is none.
    public init?(_ text: some StringProtocol) {
        guard let value = UniqueID(text) else { return nil }
        self.value = value
    }

    /// The UUID in lower case.
    public var description: String { value.description }
}
