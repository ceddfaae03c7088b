/// Where a program of a test runs and listens: beside the test, or on a host of a ``TestNetwork``.
package struct Place: Hashable, Sendable {
    /// The address to listen on.
    package let address: String
    /// The network namespace; nil is the test's own.
    let namespace: String?
    /// The interface with the address.
    let interface: String

    /// Beside the test, for nobody outside this machine.
    package static let loopback = Place(address: "127.0.0.1", namespace: nil, interface: "lo")

    /// What to start, from where the test runs, so that a program runs here.
    ///
    /// The program takes its place, and with it its process number.
    package func command(_ program: String, _ arguments: [String]) -> (String, [String]) {
        guard let namespace else { return (program, arguments) }
        return ("/usr/bin/nsenter", ["--net=/run/netns/\(namespace)", program] + arguments)
    }
}
