/// What goes wrong in a run; each seed draws which of it, and how often.
enum Fault: CaseIterable, Sendable {
    case crash, crashBoth, freeze, cutOneWay, cutBothWays, cutFromEtcd, isolated, etcdDown, diskFull,
        deviceFailure
    case slowDisk, clockJump, diskLost, switchover, etcdRestored, badNetwork
}

/// How a run goes.
struct Profile: Sendable {
    var faults: [Fault]
    /// Between two faults, on average.
    var pause: Duration
    /// Between two operations of clients, on average.
    var operationPause: Duration
    var isReordering: Bool
    var lossChance: Double
    var doubleChance: Double
    var lateChance: Double
    /// How long a late message is on its way at most, in microseconds.
    var lateMax: Int
    var etcdLossChance: Double
    var etcdLateChance: Double
    var chaos: Duration

    init(_ random: inout SeededRandom) {
        let some = Fault.allCases.filter { _ in random.chance(0.45) }
        faults = some.isEmpty ? [.crash] : some
        pause = random.duration(300_000, 3_000_000)
        operationPause = random.duration(8_000, 120_000)
        isReordering = random.chance(0.3)
        lossChance = random.chance(0.4) ? 0.03 : 0
        doubleChance = random.chance(0.25) ? 0.3 : random.chance(0.3) ? 0.05 : 0
        lateChance = random.chance(0.2) ? 0.25 : random.chance(0.5) ? 0.06 : 0.005
        lateMax = random.chance(0.5) ? 60_000 : 4_000_000
        etcdLossChance = random.chance(0.5) ? 0.08 : 0.01
        etcdLateChance = random.chance(0.5) ? 0.08 : 0.01
        chaos = random.duration(3_000_000, 9_000_000)
    }
}
