extension Sequence<UInt8> {
    /// Two lower-case hexadecimal digits a byte, as keys and digests are written.
    package var hexadecimal: String {
        var digits: [UInt8] = []
        digits.reserveCapacity(2 * underestimatedCount)
        for byte in self {
            for value in [byte >> 4, byte & 0xF] {
                digits.append(value + (value < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") - 10))
            }
        }
        return String(decoding: digits, as: UTF8.self)
    }
}
