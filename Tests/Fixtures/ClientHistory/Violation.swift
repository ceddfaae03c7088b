/// A promise that was not kept.
package struct Violation: Hashable, Sendable, CustomStringConvertible {
    package enum Kind: String, Sendable {
        /// What was acknowledged is not in the log.
        case lost
        /// An answer that was overtaken before it was asked for.
        case stale
        /// It lies before something that was answered before it began.
        case moved
        /// Another answer than the log's order gives.
        case wrong
    }

    package let kind: Kind
    package let call: Call
    package let sentence: String

    package var description: String { "\(kind.rawValue): \(call.wish) → \(call.answer): \(sentence)" }
}
