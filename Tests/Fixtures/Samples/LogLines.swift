package import Logging
import Synchronization

/// What was logged, line by line.
package final class LogLines: Sendable {
    private let lines = Mutex<[String]>([])

    /// Nothing yet.
    package init() {}

    /// Message and metadata of each, in their order.
    package var all: [String] { lines.withLock { $0 } }

    /// How many hold these words.
    package func count(_ words: String) -> Int { all.count { $0.contains(words) } }

    /// Logs here, whatever the level.
    package var logger: Logger { Logger(label: "test") { _ in Handler(lines: self) } }

    private struct Handler: LogHandler {
        let lines: LogLines
        var metadata: Logger.Metadata = [:]
        var logLevel: Logger.Level = .trace

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
