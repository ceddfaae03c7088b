/// How many actions each worker should carry: pure.
///
/// A share is the worker's part of all actions by its capacity. Around it lies a dead zone: a worker takes a
/// little more than its share, and gives back only what is clearly beyond that. Without it the last action
/// would wander between two workers for ever.
struct FairShares {
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

    /// - Parameters:
    ///   - actionCount: all actions, those that nobody carries yet included.
    ///   - capacities: of the workers that are there.
    init(actionCount: Int, capacities: [Int]) {
        self.actionCount = actionCount
        capacitySum = capacities.reduce(0, +)
    }

    /// - Parameters:
    ///   - capacity: the worker's, which is among those given before.
    ///   - load: how many actions it carries.
    func order(capacity: Int, load: Int) -> Order {
        guard capacitySum > actionCount else {
            // Everybody takes what there is room for.
            return Order(loadMax: capacity, surplus: max(0, load - capacity))
        }
        // Rounded up, so that the shares of all hold all.
        let share = (actionCount * capacity + capacitySum - 1) / capacitySum
        let slack = max(1, share / FairShares.slackDivisor)
        let step = max(FairShares.stepMin, load / FairShares.stepDivisor)
        return Order(
            loadMax: min(capacity, share + slack),
            surplus: load > share + 2 * slack ? min(load - share, step) : max(0, load - capacity))
    }
}
