import Registry

/// Stands for a task at the node of a pair that does not lead: says where the one is that does it.
struct LeadersTask<Task: OperatorTask>: OperatorTask {
    static var path: String { Task.path }

    /// Where the API of the leader answers; nil if there is none.
    let leader: @Sendable () -> String?

    func run(
        _ wish: Task.Wish, progress: @escaping @Sendable (OperatorProgress) -> Void
    ) async throws(OperatorFailure) -> Task.Outcome {
        guard let leader = leader() else {
            throw OperatorFailure("nobody leads the pair now: see vedette pair status, and try again")
        }
        throw OperatorFailure(
            "this node follows, the one whose API is at \(leader) leads: run the command there, in its data "
                + "directory")
    }
}
