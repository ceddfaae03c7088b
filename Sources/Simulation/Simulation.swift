public import PairProtocol

/// A run of the whole pair under one seed: the same seed, the same run.
///
/// After every step it is checked that nothing acknowledged is missing, reordered or doubled on a later
/// leader, that whoever stands in `insync` holds all of it, that no stale action is answered as the wanted
/// one, and that no read shows less or more than what was acknowledged. When the faults end, the pair must
/// serve again, with both nodes in `insync`, within ``healingMax``.
public struct Simulation: Sendable {
    /// How a run ended.
    public struct Outcome: Sendable {
        /// What was violated; nil if nothing was.
        public var violation: String?
        /// Positions that were acknowledged.
        public var acknowledgedCount: Int
        /// Things that happened.
        public var stepCount: Int
        /// Faults by name.
        public var faultCounts: [String: Int]
        /// From the end of the faults until the pair was whole.
        public var healed: Duration
        /// What happened, a line each, if it was asked for.
        public var story: [String]
    }

    /// In simulated time; the lease is a second.
    public static let healingMax: Duration = .seconds(30)

    /// Runs one seed.
    ///
    /// - Parameters:
    ///   - planted: a bug that the run should find.
    ///   - isStoryKept: whether to tell what happened; costs time.
    public static func run(seed: UInt64, planted: PlantedBug? = nil, isStoryKept: Bool = false) -> Outcome {
        var world = World(seed: seed, planted: planted, isStoryKept: isStoryKept)
        let chaosEnd = world.profile.chaos
        while world.checker.violation == nil, world.step(until: chaosEnd) {}
        var healed = Duration.zero
        if world.checker.violation == nil {
            world.now = chaosEnd
            world.isDetailed = true
            world.calmDown()
            let position = world.checker.end
            let end = chaosEnd + healingMax
            while world.checker.violation == nil, !world.isWhole(since: position) {
                guard world.step(until: end) else {
                    world.checker.fail("the pair is not whole \(healingMax) after the last fault")
                    break
                }
            }
            healed = world.now - chaosEnd
        }
        if let violation = world.checker.violation { world.tell("VIOLATION: \(violation)") }
        return Outcome(
            violation: world.checker.violation, acknowledgedCount: Int(world.checker.end),
            stepCount: world.stepCount,
            faultCounts: Dictionary(
                uniqueKeysWithValues: world.faultCounts.map { ("\($0.key)", $0.value) }),
            healed: healed, story: world.story?.lines ?? [])
    }
}
