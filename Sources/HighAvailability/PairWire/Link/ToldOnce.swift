import Logging

/// A log that says each sentence once, until the link has stood for a while: what fails at each retry would
/// fill it.
struct ToldOnce {
    private let logger: Logger
    private var told: Set<String> = []
    /// Beyond this old sentences are forgotten: strangers may make new ones.
    private static let toldMax = 64

    init(logger: Logger) { self.logger = logger }

    /// Says it; false if it was said before.
    @discardableResult
    mutating func warn(_ sentence: String) -> Bool {
        if told.count >= ToldOnce.toldMax { told = [] }
        guard told.insert(sentence).inserted else { return false }
        logger.warning("\(sentence)")
        return true
    }

    mutating func forget() { told = [] }
}
