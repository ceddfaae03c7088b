package import Logging
import Synchronization

/// What was logged, line by line.
package final class LogLines: Sendable {
    private let lines = Mutex<[String]>([])
    private let level: Logger.Level

    /// Nothing yet, and nothing below a level later.
    package init(level: Logger.Level = .trace) { self.level = level }

    /// Message and metadata of each, in their order.
    package var all: [String] { lines.withLock { $0 } }

    /// How many hold these words.
    package func count(_ words: String) -> Int { all.count { $0.contains(words) } }

    /// Logs here.
    package var logger: Logger { Logger(label: "test") { _ in Handler(lines: self, logLevel: level) } }

    private struct Handler: LogHandler {
        let lines: LogLines
        var logLevel: Logger.Level
        var metadata: Logger.Metadata = [:]

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let metadata = metadata.merging(event.metadata ?? [:]) { $1 }
            lines.lines.withLock { $0.append("\(event.message) \(metadata)") }
        }
    }
}
