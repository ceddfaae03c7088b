import Glibc
import NIOCore

/// An address without port or scope: what replies are compared by.
struct EchoAddress: Hashable, Sendable {
    var isVersion6: Bool
    private var high: UInt64 = 0
    private var low: UInt64 = 0

    /// Nil for anything that is no IP address.
    init?(_ address: SocketAddress) {
        guard
            let found = address.withSockAddr({ raw, byteCount in
                EchoAddress(UnsafeRawBufferPointer(start: raw, count: byteCount))
            })
        else { return nil }
        self = found
    }

    /// Reads what `recvfrom` filled in; nil if it is no IP address.
    init?(_ storage: sockaddr_storage) {
        guard let found = withUnsafeBytes(of: storage, { EchoAddress($0) }) else { return nil }
        self = found
    }

    /// Reads a `sockaddr_in` (address at byte 4) or a `sockaddr_in6` (at byte 8), as Linux lays them out.
    private init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= 16 else { return nil }
        switch CInt(bytes.loadUnaligned(as: sa_family_t.self)) {
        case AF_INET:
            isVersion6 = false
            low = UInt64(bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        case AF_INET6:
            guard bytes.count >= 24 else { return nil }
            isVersion6 = true
            high = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
            low = bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
        default: return nil
        }
    }
}
