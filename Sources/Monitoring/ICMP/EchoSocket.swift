import Glibc
import NIOCore

/// One ICMP socket: unprivileged if the kernel lets us, else raw.
///
/// Plain system calls on a descriptor; who uses it from where is decided by ``EchoService``.
struct EchoSocket: Sendable {
    /// No socket: why, and what the operator can do about it.
    struct Refusal: Error, Hashable, Sendable {
        var errno: CInt
        var explanation: String
        /// Whether it may be over in a moment (no descriptor free), so that nothing is proven.
        var isTransient: Bool
    }

    /// Something that came in.
    enum Arrival: Equatable {
        case reply(cookie: UInt64, from: EchoAddress)
        /// A router, or the kernel, says that a request of ours cannot get there.
        case unreachable(cookie: UInt64, type: UInt8, code: UInt8)
        /// Something that is not for us.
        case other
    }

    /// Numbers from Linux's headers that Glibc does not pass on.
    private enum Linux {
        static let solRaw: CInt = 255
        static let icmpFilter: CInt = 1
        static let icmp6Filter: CInt = 1
        static let ipReceiveErrors: CInt = 11
        static let ipv6ReceiveErrors: CInt = 25
        static let errorQueue: CInt = 0x2000
    }

    let descriptor: CInt
    let isVersion6: Bool
    let isRaw: Bool

    /// Opens a socket for one address family.
    static func open(isVersion6: Bool) -> Result<EchoSocket, Refusal> {
        let family = isVersion6 ? AF_INET6 : AF_INET
        let ipProtocol = CInt(isVersion6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)
        let flags = CInt(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        var descriptor = socket(family, CInt(SOCK_DGRAM.rawValue) | flags, ipProtocol)
        var isRaw = false
        if descriptor < 0, errno == EACCES || errno == EPERM {
            descriptor = socket(family, CInt(SOCK_RAW.rawValue) | flags, ipProtocol)
            isRaw = true
        }
        guard descriptor >= 0 else { return .failure(refusal(errno, isVersion6: isVersion6)) }
        let opened = EchoSocket(descriptor: descriptor, isVersion6: isVersion6, isRaw: isRaw)
        opened.setOptions()
        return .success(opened)
    }

    /// Sends a packet; the error number, or nil if it went out.
    func send(_ packet: [UInt8], to address: SocketAddress) -> CInt? {
        // An error that an earlier packet earned is handed to whoever sends next: it is not ours, try again.
        for attempt in 0..<2 {
            let sent = address.withSockAddr { raw, byteCount in
                sendto(descriptor, packet, packet.count, 0, raw, socklen_t(byteCount))
            }
            if sent >= 0 { return nil }
            let code = errno
            if attempt == 1 || code == EAGAIN || code == ENOBUFS { return code }
        }
        return nil
    }

    /// Waits up to so many milliseconds for something to come in.
    func waitForInput(milliseconds: CInt) {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        _ = poll(&entry, 1, milliseconds)
    }

    /// Takes the next reply; nil if there is none.
    func receive(into buffer: inout [UInt8]) -> Arrival? {
        var from = sockaddr_storage()
        var fromByteCount = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let byteCount = withUnsafeMutableBytes(of: &from) { raw in
            recvfrom(
                descriptor, &buffer, buffer.count, 0, raw.baseAddress?.assumingMemoryBound(to: sockaddr.self),
                &fromByteCount)
        }
        guard byteCount >= 0 else {
            // A pending error of an earlier packet; the error queue has it in full.
            return errno == EAGAIN || errno == EBADF ? nil : .other
        }
        var bytes = buffer[..<byteCount]
        if isRaw, !isVersion6 {
            guard let rest = EchoPacket.withoutIPv4Header(bytes) else { return .other }
            bytes = rest
        }
        guard let address = EchoAddress(from),
            let cookie = EchoPacket.replyCookie(bytes, isVersion6: isVersion6)
        else { return .other }
        return .reply(cookie: cookie, from: address)
    }

    /// Takes the next entry of the error queue; nil if there is none.
    func receiveError(into buffer: inout [UInt8]) -> Arrival? {
        var control = [UInt8](repeating: 0, count: 512)
        let received = buffer.withUnsafeMutableBytes { data in
            control.withUnsafeMutableBytes { control -> (Int, Int) in
                var part = iovec(iov_base: data.baseAddress, iov_len: data.count)
                return withUnsafeMutablePointer(to: &part) { part in
                    var message = msghdr()
                    message.msg_iov = part
                    message.msg_iovlen = 1
                    message.msg_control = control.baseAddress
                    message.msg_controllen = control.count
                    let byteCount = recvmsg(descriptor, &message, Linux.errorQueue)
                    return (byteCount, Int(message.msg_controllen))
                }
            }
        }
        guard received.0 >= 0 else { return nil }
        guard let (type, code) = EchoSocket.unreachable(in: control[..<received.1]),
            let cookie = EchoPacket.requestCookie(buffer[..<received.0], isVersion6: isVersion6)
        else { return .other }
        return .unreachable(cookie: cookie, type: type, code: code)
    }

    func close() { _ = Glibc.close(descriptor) }

    /// Finds the `sock_extended_err` among control messages: type and code of an ICMP error.
    private static func unreachable(in control: ArraySlice<UInt8>) -> (type: UInt8, code: UInt8)? {
        // cmsghdr: length (8 bytes), level, type (4 each); then errno (4), origin, type, code.
        guard control.count >= 23 else { return nil }
        let start = control.startIndex
        let origin = control[start + 20]
        guard origin == 2 || origin == 3 else { return nil }  // from ICMP, from ICMPv6
        return (control[start + 21], control[start + 22])
    }

    private func setOptions() {
        set(
            isVersion6 ? CInt(IPPROTO_IPV6) : CInt(IPPROTO_IP),
            isVersion6 ? Linux.ipv6ReceiveErrors : Linux.ipReceiveErrors, 1)
        // Room for a burst of replies; the kernel cuts what is beyond its own limit.
        set(SOL_SOCKET, SO_RCVBUF, 4 << 20)
        guard isRaw else { return }
        // A raw socket sees all ICMP of the machine: let only echo replies through (a set bit blocks).
        if isVersion6 {
            var blocked = [UInt32](repeating: .max, count: 8)
            blocked[129 / 32] &= ~(1 << (129 % 32))
            _ = setsockopt(descriptor, CInt(IPPROTO_ICMPV6), Linux.icmp6Filter, blocked, 32)
        } else {
            set(Linux.solRaw, Linux.icmpFilter, CInt(bitPattern: ~UInt32(1)))
        }
    }

    private func set(_ level: CInt, _ option: CInt, _ value: CInt) {
        var value = value
        _ = setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<CInt>.size))
    }

    private static func refusal(_ code: CInt, isVersion6: Bool) -> Refusal {
        let family = isVersion6 ? "ICMPv6" : "ICMP"
        switch code {
        case EPERM, EACCES:
            return Refusal(
                errno: code,
                explanation: "\(family) sockets are not permitted: let the server's group use them with "
                    + "sysctl net.ipv4.ping_group_range=\"0 2147483647\", or give it CAP_NET_RAW",
                isTransient: false)
        case EAFNOSUPPORT, EPROTONOSUPPORT:
            return Refusal(
                errno: code, explanation: "this machine's kernel does not speak \(family)",
                isTransient: false)
        default:
            return Refusal(
                errno: code, explanation: "no \(family) socket: \(String(cString: strerror(code)))",
                isTransient: true)
        }
    }
}
