/// How many actions each worker should carry: pure.
///
/// A share is the worker's part of all actions by its capacity. Around it lies a dead zone: a worker takes a
/// little more than its share, and gives back only what is clearly beyond that. Without it the last action
/// would wander between two workers for ever. While somebody is clearly short of its share the zone's upper
/// half is closed: else many workers, each a little above its share, would leave a small one idle.
struct FairShares {
    /// One worker: how much it would carry at most, and how much it carries.
    struct Worker: Hashable {
        var capacity: Int
        var load: Int
    }

    /// What is asked of one worker.
    struct Order: Hashable {
        /// It takes actions while it carries fewer.
        var loadMax: Int
        /// So many it gives back now.
        var surplus: Int
    }

    /// The dead zone: a twentieth of the share.
    private static let slackDivisor = 20
    /// At most a quarter of a worker's actions move in one step (but this many always may), so that a new
    /// worker is filled within a few announcements and no storm of new ids goes through the log.
    private static let stepDivisor = 4
    private static let stepMin = 64

    private let actionCount: Int
    private let capacitySum: Int
    /// What those who are clearly short lack of their shares, but for what waits to be taken anyway.
    private var shortage = 0

    /// - Parameters:
    ///   - workers: those that are there.
    ///   - waitingCount: actions that nobody carries yet.
    init(_ workers: [Worker], waitingCount: Int) {
        actionCount = workers.reduce(waitingCount) { $0 + $1.load }
        capacitySum = workers.reduce(0) { $0 + $1.capacity }
        guard capacitySum > actionCount else { return }
        let lack = workers.reduce(0) { isShort($1) ? $0 + share(of: $1) - $1.load : $0 }
        shortage = max(0, lack - waitingCount)
    }

    /// - Parameter worker: one of those given before.
    func order(for worker: Worker) -> Order {
        let (capacity, load) = (worker.capacity, worker.load)
        guard capacitySum > actionCount else {
            // Everybody takes what there is room for.
            return Order(loadMax: capacity, surplus: max(0, load - capacity))
        }
        let (share, slack) = (share(of: worker), slack(of: worker))
        let step = max(FairShares.stepMin, load / FairShares.stepDivisor)
        var surplus = min(max(0, load - share), shortage)
        if load > share + 2 * slack { surplus = load - share }
        return Order(
            loadMax: min(capacity, shortage > 0 && !isShort(worker) ? share : share + slack),
            surplus: max(min(surplus, step), load - capacity))
    }

    /// Rounded up, so that the shares of all hold all.
    private func share(of worker: Worker) -> Int {
        (actionCount * worker.capacity + capacitySum - 1) / capacitySum
    }

    private func slack(of worker: Worker) -> Int { max(1, share(of: worker) / FairShares.slackDivisor) }

    private func isShort(_ worker: Worker) -> Bool { worker.load < share(of: worker) - 2 * slack(of: worker) }
}
