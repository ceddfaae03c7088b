/// An ICMP echo request or reply, version 4 or 6 (RFC 792, RFC 4443 section 4).
///
/// Replies are matched by a random cookie in the payload: identifier and sequence number have only sixteen
/// bits each, and the kernel overwrites the identifier of unprivileged sockets.
struct EchoPacket: Hashable {
    var identifier: UInt16
    var sequence: UInt16
    var cookie: UInt64

    private static let headerByteCount = 8

    /// The request as it is sent; version 6 leaves the check sum to the kernel.
    func request(isVersion6: Bool) -> [UInt8] {
        var bytes: [UInt8] = [isVersion6 ? 128 : 8, 0, 0, 0]
        for number in [identifier, sequence] {
            bytes += [UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number)]
        }
        for shift in stride(from: 56, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: cookie >> UInt64(shift)))
        }
        if !isVersion6 {
            let sum = EchoPacket.checkSum(bytes)
            bytes[2] = UInt8(truncatingIfNeeded: sum >> 8)
            bytes[3] = UInt8(truncatingIfNeeded: sum)
        }
        return bytes
    }

    /// The cookie of an echo reply; nil for anything else.
    static func replyCookie(_ bytes: some RandomAccessCollection<UInt8>, isVersion6: Bool) -> UInt64? {
        guard bytes.first == (isVersion6 ? 129 : 0) else { return nil }
        return cookie(bytes)
    }

    /// The cookie of a request of ours that came back inside an error.
    static func requestCookie(_ bytes: some RandomAccessCollection<UInt8>, isVersion6: Bool) -> UInt64? {
        guard bytes.first == (isVersion6 ? 128 : 8) else { return nil }
        return cookie(bytes)
    }

    /// What follows the IPv4 header that raw sockets deliver; nil if that is cut short.
    static func withoutIPv4Header(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard let first = bytes.first, first >> 4 == 4 else { return nil }
        let headerByteCount = Int(first & 0xF) * 4
        guard headerByteCount >= 20, bytes.count >= headerByteCount else { return nil }
        return bytes.dropFirst(headerByteCount)
    }

    private static func cookie(_ bytes: some RandomAccessCollection<UInt8>) -> UInt64? {
        let payload = bytes.dropFirst(headerByteCount)
        guard payload.count >= 8 else { return nil }
        return payload.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The internet check sum (RFC 1071) of an even number of bytes.
    static func checkSum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: bytes.count - 1, by: 2) {
            sum += UInt32(bytes[index]) << 8 | UInt32(bytes[index + 1])
        }
        while sum >> 16 != 0 { sum = (sum & 0xFFFF) + (sum >> 16) }
        return ~UInt16(truncatingIfNeeded: sum)
    }
}
