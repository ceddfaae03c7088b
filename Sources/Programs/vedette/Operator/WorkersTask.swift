import Registry

/// Shows the workers that the server hears of.
struct WorkersTask: OperatorTask {
    /// Nothing is to be said.
    struct Wish: Codable {}

    /// What the server knows.
    struct Outcome: Codable {
        var workers: [Row]
        /// Actions that no worker has taken yet.
        var waiting: Int
    }

    /// One worker.
    struct Row: Codable {
        var name: String
        var host: String
        var processID: UInt32
        var version: String
        /// How many monitor actions it carries.
        var load: Int
        /// It takes actions while it carries fewer.
        var loadMax: Int
        var capacity: Int
        /// Since it was last heard.
        var silentSeconds: Double
    }

    static let path = "workers"

    /// Nil if monitor actions run elsewhere.
    let roster: WorkerRosterReader?

    func run(
        _ wish: Wish, progress: @escaping @Sendable (OperatorProgress) -> Void
    ) async throws(OperatorFailure) -> Outcome {
        guard let roster else {
            throw OperatorFailure(
                "this server has no workers, its monitor actions run elsewhere: start it with "
                    + "--workflows workers")
        }
        let rows = roster.workers().map {
            Row(
                name: $0.name, host: $0.host, processID: $0.processID, version: $0.version, load: $0.load,
                loadMax: $0.loadMax, capacity: $0.capacity,
                silentSeconds: Double($0.silence / .milliseconds(1)) / 1_000)
        }
        return Outcome(workers: rows.sorted { $0.name < $1.name }, waiting: roster.waitingCount())
    }
}

/// How the server's workers are looked at.
struct WorkerRosterReader: Sendable {
    var workers: @Sendable () -> [WorkerSighting]
    var waitingCount: @Sendable () -> Int
}
