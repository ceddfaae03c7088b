// Runs the pair's protocol on simulated devices, some seeds of it; tools/test runs the many.
import PairProtocol
import Simulation
import Testing

@Suite("The simulated pair")
struct SimulationTests {
    @Test("No seed violates anything, every fault happens, and the pair is whole again after every run")
    func seeds() {
        let totals = SeedRange(1..<1_001, planted: nil).runAll(threadCount: 1)
        #expect(totals.violation == nil, "\(String(describing: totals.violation))")
        #expect(totals.seedCount == 1_000 && totals.acknowledgedCount > 50_000, "\(totals)")
        #expect(totals.faultCounts.count == 16, "\(totals.faultCounts)")
        #expect(totals.healedMax > .zero && totals.healedMax < Simulation.healingMax)
    }

    @Test("A seed replays identically, and tells the story of what happened")
    func replay() {
        for seed: UInt64 in 1...20 {
            let first = Simulation.run(seed: seed, isStoryKept: true)
            let second = Simulation.run(seed: seed, isStoryKept: true)
            #expect(first.story == second.story && first.stepCount == second.stepCount)
            #expect(first.stepCount == Simulation.run(seed: seed).stepCount, "listening changes nothing")
            #expect(first.story.contains { $0.contains("serves epoch") })
        }
    }

    @Test("A planted bug is found, by the same seed each time, and its story ends with the violation")
    func planted() throws {
        let seeds = SeedRange(1..<2_000, planted: .shrinkForgotten)
        let found = try #require(seeds.firstViolation(threadCount: 1))
        #expect(found.what.contains("insync"))
        #expect(seeds.firstViolation(threadCount: 2)?.seed == found.seed)
        let outcome = Simulation.run(seed: found.seed, planted: .shrinkForgotten, isStoryKept: true)
        #expect(outcome.violation == found.what)
        #expect(outcome.story.last?.contains("VIOLATION: " + found.what) ?? false)
    }
}
