import PairProtocol

/// What a simulated batch says.
enum Content: Sendable {
    case epochStarted(UInt64)
    case operations([Operation])

    var eventCount: Int {
        switch self {
        case .epochStarted: 1
        case .operations(let operations): operations.count
        }
    }
}

/// What a client or monitor action asked, and the answer it gets once its batch is acknowledged.
struct Operation: Sendable {
    enum Kind: Sendable {
        /// A registration, update or deregistration: from now on another action is wanted.
        case assign
        /// `update_vim`; true if the action was the wanted one, else `bad_action`.
        case report(isWanted: Bool)
    }

    var kind: Kind
    var vim: Int
    var action: Int
    /// When the caller asked.
    var began: Duration
}

/// Which action each VIM wants.
struct WantedActions: Sendable {
    /// Each VIM begins with an action of its own.
    private var actions = (0..<WantedActions.vimCount).map { -1 - $0 }

    static let vimCount = 3

    subscript(vim: Int) -> Int { actions[vim] }

    mutating func apply(_ content: Content) {
        guard case .operations(let operations) = content else { return }
        for operation in operations {
            if case .assign = operation.kind { assign(operation.action, to: operation.vim) }
        }
    }

    mutating func assign(_ action: Int, to vim: Int) { actions[vim] = action }
}

/// A batch in a simulated log.
struct SimulatedBatch: Sendable {
    var before: UInt64
    var end: Mark
    /// Where its content lies among those of the run.
    var content: Int

    init(before: UInt64, end: Mark, content: Int) {
        self.before = before
        self.end = end
        self.content = content
    }

    /// A batch behind another, sealed.
    init(after end: Mark, epoch: UInt64, content: Int, eventCount: Int) {
        let first = SeededRandom.mix(end.seal.x ^ UInt64(content) &* 0x9E37_79B9_7F4A_7C15 ^ epoch)
        let second = SeededRandom.mix(end.seal.y &+ first)
        before = end.position
        self.end = Mark(
            position: end.position + UInt64(eventCount), epoch: epoch,
            seal: SIMD4(first, second, UInt64(content) + 1, epoch))
        self.content = content
    }

    init(_ batch: ShippedBatch) {
        before = batch.before
        end = batch.end
        content = Int(batch.end.seal.z) - 1
    }

    var shipped: ShippedBatch { ShippedBatch(before: before, end: end, bytes: []) }
}
