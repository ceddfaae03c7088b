import FoundationEssentials
import Registry

/// One line of an answer, as JSON: any number with progress, then one with the outcome or the error.
struct OperatorLine<Outcome: Codable & Sendable>: Codable, Sendable {
    var progress: OperatorProgress?
    var outcome: Outcome?
    var error: String?

    /// The line with its end.
    var bytes: [UInt8] {
        guard let data = try? JSONEncoder().encode(self) else {
            // Only numbers that are none cannot be encoded, and no task has them.
            return Array("{\"error\":\"the answer could not be written as JSON\"}\n".utf8)
        }
        return Array(data) + [UInt8(ascii: "\n")]
    }
}

/// Stands for the outcome where there is none.
struct NoOutcome: Codable, Sendable {}
