package import Encodings

/// One method of an interface.
package protocol RPCMethod: Sendable {
    /// Its name on the wire.
    var name: String { get }
    /// Answers a call.
    ///
    /// Runs on the thread that owns the connection: it must be quick and must not block.
    /// - Parameter reply: called exactly once, on any thread.
    func call(
        _ arguments: [String: JSONValue],
        reply: @escaping @Sendable (Result<JSONValue, RPCFailure>) -> Void)
}

/// An interface: a version and its methods.
package struct RPCInterface: Sendable {
    /// The version served; callers of lesser minor versions are served, too.
    package var version: RPCVersion
    /// Its methods, by name.
    package var methods: [String: any RPCMethod]

    /// An interface of methods with different names.
    package init(version: RPCVersion, methods: [any RPCMethod]) {
        self.version = version
        self.methods = Dictionary(methods.map { ($0.name, $0) }) { first, _ in first }
    }
}
