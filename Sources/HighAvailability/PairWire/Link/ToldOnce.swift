import Logging

/// A log that says each sentence once, until the link stands: what fails at each retry would fill it.
struct ToldOnce {
    private let logger: Logger
    private var told: Set<String> = []
    /// Beyond this old sentences are forgotten: strangers may make new ones.
    private static let toldMax = 64

    init(logger: Logger) { self.logger = logger }

    mutating func warn(_ sentence: String) {
        if told.count >= ToldOnce.toldMax { told = [] }
        if told.insert(sentence).inserted { logger.warning("\(sentence)") }
    }

    mutating func forget() { told = [] }
}
