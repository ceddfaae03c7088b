/// Something that an operator asks of whoever writes the log.
///
/// The operator's door carries it to a running server; where none runs, the command line does it itself with
/// the same code. Wish and outcome travel as JSON.
public protocol OperatorTask: Sendable {
    /// What is asked for.
    associatedtype Wish: Codable & Sendable
    /// What came of it.
    associatedtype Outcome: Codable & Sendable

    /// Its path below `/operator/v1/`, such as `vault/rotate`.
    static var path: String { get }

    /// Does it.
    ///
    /// A caller who goes away cancels the task: it then stops where stopping leaves nothing half done, or not
    /// at all.
    ///
    /// - Parameter progress: may be called often, from any thread; what cannot be shown in time is dropped.
    func run(_ wish: Wish, progress: @escaping @Sendable (OperatorProgress) -> Void)
        async throws(OperatorFailure) -> Outcome
}

/// How far an operator's task is.
public struct OperatorProgress: Codable, Hashable, Sendable {
    /// How much is done.
    public var done: UInt64
    /// How much there is to do.
    public var total: UInt64
    /// What is counted, in the plural: `data keys`.
    public var unit: String

    /// All parts at once.
    public init(done: UInt64, total: UInt64, unit: String) {
        self.done = done
        self.total = total
        self.unit = unit
    }
}

/// Why an operator's task was not done: one sentence that says what to do.
public struct OperatorFailure: Error, Hashable, Sendable {
    /// One sentence.
    public let sentence: String

    /// A sentence.
    public init(_ sentence: String) { self.sentence = sentence }
}
