/// What a caller asked of a pair.
///
/// Names, descriptions and numbers are used once, so that each wish is found again in the log.
package enum Wish: Hashable, Sendable {
    /// A VIM whose description is its name.
    case register(name: String)
    case update(vim: String, description: String)
    case deregister(vim: String)
    /// `update_vim`.
    case report(vim: String, action: String, status: String, number: Int)
    /// A read that must not be stale.
    case show(vim: String)
}

/// What the caller was told.
package enum Answer: Hashable, Sendable {
    /// It is registered, under this id.
    case registered(vim: String)
    /// It is updated, or deregistered.
    case done
    /// A report's status, or `bad_action`.
    case told(String)
    /// The VIM's description.
    case shown(String)
    /// There is no such VIM.
    case absent
    /// Nothing, or that it may have been done or not.
    case unknown
}

/// A wish, its answer, and when it began and ended for its caller.
package struct Call: Hashable, Sendable {
    package var wish: Wish
    package var answer: Answer
    /// Since the history began.
    package var began: Duration
    package var ended: Duration

    package init(_ wish: Wish, _ answer: Answer, began: Duration, ended: Duration) {
        (self.wish, self.answer, self.began, self.ended) = (wish, answer, began, ended)
    }

    /// Whether the caller may rely on something.
    package var isAnswered: Bool { answer != .unknown }

    /// Whether the caller was told that it changed something for good.
    package var isAcknowledgedWrite: Bool {
        switch answer {
        case .registered, .done, .told: true
        case .shown, .absent, .unknown: false
        }
    }
}
