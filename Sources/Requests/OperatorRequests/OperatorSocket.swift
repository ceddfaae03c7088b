#if canImport(Glibc)
    import Glibc
#endif

/// The Unix-domain socket `operator.socket` of a data directory.
///
/// A socket's address holds 107 bytes, and data directories may have longer paths. So nobody uses its path:
/// both ends open the directory and reach the socket through that descriptor's name below `/proc/self/fd`.
final class OperatorSocket: Sendable {
    /// The socket's name in the directory.
    static let name = "operator.socket"
    /// Where it is bound, out of everybody's reach, before it has its mode and its name.
    private static let nursery = "operator.new"

    private let descriptor: Int32

    /// Opens the directory; nil if it cannot be, and `errno` says why.
    init?(directory: String) {
        descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
    }

    deinit { close(descriptor) }

    /// Where clients connect; holds as long as this value lives.
    var path: String { "/proc/self/fd/\(descriptor)/\(OperatorSocket.name)" }

    /// Where the server binds, before it calls ``reveal()``.
    var nurseryPath: String { "/proc/self/fd/\(descriptor)/\(OperatorSocket.nursery)/\(OperatorSocket.name)" }

    /// Makes the place where the socket is bound, and removes what a killed server left there; false if that
    /// failed, and `errno` says why.
    func prepare() -> Bool {
        let nursery = OperatorSocket.nursery
        unlinkat(descriptor, nursery + "/" + OperatorSocket.name, 0)
        unlinkat(descriptor, nursery, AT_REMOVEDIR)
        return mkdirat(descriptor, nursery, 0o700) == 0
    }

    /// Gives the bound socket its mode, 0600, and its name; one that a killed server left is replaced.
    ///
    /// False if that failed, and `errno` says why.
    func reveal() -> Bool {
        let bound = OperatorSocket.nursery + "/" + OperatorSocket.name
        guard fchmodat(descriptor, bound, 0o600, 0) == 0,
            renameat(descriptor, bound, descriptor, OperatorSocket.name) == 0
        else { return false }
        unlinkat(descriptor, OperatorSocket.nursery, AT_REMOVEDIR)
        return true
    }

    /// Removes the socket: nobody listens any more.
    func remove() { unlinkat(descriptor, OperatorSocket.name, 0) }

    /// Whether somebody listens: a killed server leaves a socket that refuses.
    var answers: Bool {
        let connection = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard connection >= 0 else { return false }
        defer { close(connection) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(connection, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
    }
}
