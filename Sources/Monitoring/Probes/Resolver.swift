import Glibc
import NIOCore
import NIOPosix

/// Looks up host names on a few threads of its own, because the system's call blocks.
///
/// Addresses need no look-up. There is no cache: the system has one where the operator wants one, and a
/// probe tests what is true now.
final class Resolver: Sendable {
    /// How many look-ups run at one time; more wait, and their wait counts as this machine's own.
    private static let threadCount = 8

    /// A look-up failed, with the library's words.
    struct Failure: Error, CustomStringConvertible {
        var description: String
        /// Whether the machine lacked something, so that nothing is known of the name.
        var isOwnTrouble = false
    }

    private let pool = NIOThreadPool(numberOfThreads: Resolver.threadCount)

    func start() { pool.start() }

    /// Lets the threads end when their look-ups have.
    func stopLater() { pool.shutdownGracefully { _ in } }

    /// All stream addresses of a host, in the system's order of preference.
    ///
    /// - Parameter isStillWanted: asked when a thread has come to this look-up: when the name service is dead
    ///   the threads are held up, and what piled up meanwhile must drain without more waiting.
    func addresses(
        of target: ProbeTarget, on loop: any EventLoop, isStillWanted: @escaping @Sendable () -> Bool
    ) -> EventLoopFuture<[SocketAddress]> {
        if let address = try? SocketAddress(ipAddress: target.host, port: Int(target.port)) {
            return loop.makeSucceededFuture([address])
        }
        return pool.runIfActive(eventLoop: loop) {
            guard isStillWanted() else {
                throw Failure(description: "\(target.host): given up", isOwnTrouble: true)
            }
            return try Resolver.lookUp(target.host, port: target.port)
        }
    }

    private static func lookUp(_ host: String, port: UInt16) throws -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &list)
        guard code == 0 else {
            throw Failure(
                description: "\(host): \(String(cString: gai_strerror(code)))",
                isOwnTrouble: code == EAI_MEMORY || code == EAI_SYSTEM && [EMFILE, ENFILE].contains(errno))
        }
        defer { freeaddrinfo(list) }
        var found: [SocketAddress] = []
        var next = list
        while let entry = next {
            next = entry.pointee.ai_next
            guard let raw = entry.pointee.ai_addr else { continue }
            switch entry.pointee.ai_family {
            case AF_INET:
                raw.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                    found.append(SocketAddress($0.pointee, host: ""))
                }
            case AF_INET6:
                raw.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
                    found.append(SocketAddress($0.pointee, host: ""))
                }
            default: break
            }
        }
        guard !found.isEmpty else { throw Failure(description: "\(host): no address") }
        return found
    }
}
