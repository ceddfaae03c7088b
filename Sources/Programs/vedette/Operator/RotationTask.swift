import Conductor
import Registry

/// Wraps all data keys under a new master key.
struct RotationTask: OperatorTask {
    /// How.
    struct Wish: Codable {
        /// An absolute path, since the server's working directory is another one; nil makes a random key.
        var newMasterKeyFile: String?
        /// Who asks.
        var userName: String
    }

    static let path = "vault/rotate"

    let conductor: Conductor

    func run(
        _ wish: Wish, progress: @escaping @Sendable (OperatorProgress) -> Void
    ) async throws(OperatorFailure) -> RotationReport {
        do throws(RotationFault) {
            return try await conductor.rotateMasterKey(
                to: wish.newMasterKeyFile, actor: Actor(userName: wish.userName, remoteAddress: "local"),
                progress: { progress(OperatorProgress(done: $0, total: $1, unit: "data keys")) })
        } catch { throw OperatorFailure(error.sentence) }
    }
}
