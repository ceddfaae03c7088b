import Conductor
import Registry

/// Moves old batches into the archive, beside whom the server serves.
struct ArchiveTask: OperatorTask {
    /// Which batches.
    struct Wish: Codable {
        /// Those before this moment, in microseconds since 1970.
        var before: UInt64
        /// Who asks.
        var userName: String
    }

    static let path = "archive"

    let conductor: Conductor

    func run(
        _ wish: Wish, progress: @escaping @Sendable (OperatorProgress) -> Void
    ) async throws(OperatorFailure) -> ArchiveReport {
        do throws(CommandFailure) {
            return try await conductor.archive(
                before: Timestamp(microseconds: wish.before),
                actor: Actor(userName: wish.userName, remoteAddress: "local"),
                progress: { progress(OperatorProgress(done: $0, total: $1, unit: "events")) })
        } catch { throw OperatorFailure(error.sentence) }
    }
}
