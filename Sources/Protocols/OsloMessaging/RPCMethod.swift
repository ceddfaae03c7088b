package import Encodings

/// What became of a call.
package typealias RPCOutcome = Result<JSONValue, RPCFailure>

/// One method of an interface.
package protocol RPCMethod: Sendable {
    /// Its name on the wire.
    var name: String { get }
    /// Answers a call.
    ///
    /// Runs on the thread that owns the connection: it must be quick and must not block.
    /// - Parameter reply: called exactly once, on any thread.
    func call(_ arguments: RPCArguments, reply: @escaping @Sendable (RPCOutcome) -> Void)
    /// Answers calls that came together.
    ///
    /// - Parameters:
    ///   - mayBlock: nobody needs the thread before the answers are there, so it may wait for the disk.
    ///   - reply: called with the answers to one or more of the calls, each told by its index, until every
    ///     call is answered exactly once; on any thread.
    func call(
        _ calls: [RPCArguments], mayBlock: Bool,
        reply: @escaping @Sendable (_ answers: [(index: Int, outcome: RPCOutcome)]) -> Void)
}

extension RPCMethod {
    /// One after another, for methods that gain nothing by seeing them together.
    package func call(
        _ calls: [RPCArguments], mayBlock: Bool,
        reply: @escaping @Sendable (_ answers: [(index: Int, outcome: RPCOutcome)]) -> Void
    ) {
        for (index, arguments) in calls.enumerated() { call(arguments) { reply([(index, $0)]) } }
    }
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
