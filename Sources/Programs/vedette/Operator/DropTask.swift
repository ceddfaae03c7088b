import Conductor
import Registry

/// Destroys archived events, beside whom the server serves.
struct DropTask: OperatorTask {
    /// Which events.
    struct Wish: Codable {
        /// Those of segments that end at or before this position.
        var upTo: UInt64
        /// Who asks.
        var userName: String
    }

    static let path = "archive/drop"

    let conductor: Conductor

    func run(
        _ wish: Wish, progress: @escaping @Sendable (OperatorProgress) -> Void
    ) async throws(OperatorFailure) -> DropReport {
        do throws(CommandFailure) {
            return try await conductor.drop(
                upTo: wish.upTo, actor: Actor(userName: wish.userName, remoteAddress: "local"),
                progress: { progress(OperatorProgress(done: $0, total: $1, unit: "events")) })
        } catch { throw OperatorFailure(error.sentence) }
    }
}
