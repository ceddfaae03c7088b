/// What of an event of the log a history is held to.
package struct LoggedEvent: Hashable, Sendable {
    package enum Fact: Hashable, Sendable {
        case registered(name: String, description: String)
        /// Without a description it stays as it was.
        case updated(description: String?)
        case deregistered
        case assigned(action: String)
        case reported(action: String, status: String, isAccepted: Bool, number: Int)
        case other
    }

    package var position: Int
    package var vim: String
    package var fact: Fact

    package init(_ position: Int, _ vim: String, _ fact: Fact) {
        (self.position, self.vim, self.fact) = (position, vim, fact)
    }
}
