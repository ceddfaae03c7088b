import Registry
import Samples
import Testing

@testable import Workflows

@Suite("How workers share the load")
struct BalanceTests {
    @Test("Two workers share what is registered; each action runs in exactly one")
    func shared() {
        var world = WorkerSimulation(seed: 1)
        _ = world.startWorker(capacity: 1_000)
        _ = world.startWorker(capacity: 1_000)
        world.run(seconds: 60)
        world.register(400)
        world.run(seconds: 120)
        #expect(world.unwatched.isEmpty)
        #expect(world.imbalance < 0.25)
        #expect(world.doubleCount == 0)
    }

    @Test("An idle worker beside a loaded one has its part within minutes, and then nothing moves any more")
    func idle() {
        var world = WorkerSimulation(seed: 2)
        let first = world.startWorker(capacity: 5_000)
        world.register(2_000)
        world.run(seconds: 120)
        #expect(world.workers[first]?.core.load == 2_000)
        let second = world.startWorker(capacity: 5_000)
        world.run(seconds: 180)
        #expect(world.workers[second]?.core.load ?? 0 > 850)
        #expect(world.unwatched.isEmpty)
        let moves = world.moveCount
        world.run(seconds: 600)
        #expect(world.moveCount == moves)
    }

    @Test("A worker twice as large carries twice as much")
    func proportional() {
        var world = WorkerSimulation(seed: 3)
        let small = world.startWorker(capacity: 300)
        let large = world.startWorker(capacity: 600)
        world.register(450)
        world.run(seconds: 300)
        #expect(abs((world.workers[small]?.core.load ?? 0) - 150) < 30)
        #expect(abs((world.workers[large]?.core.load ?? 0) - 300) < 45)
    }

    @Test("Nobody carries more than its capacity; what finds no room waits, and is taken when there is some")
    func full() {
        var world = WorkerSimulation(seed: 4)
        _ = world.startWorker(capacity: 100)
        world.register(250)
        world.run(seconds: 120)
        #expect(world.overloadedCount == 0)
        #expect(world.unwatched.count == 150)
        #expect(world.desk.waitingCount == 150)
        #expect(world.desk.takeShortage(now: world.now) == 150)
        _ = world.startWorker(capacity: 200)
        world.run(seconds: 120)
        #expect(world.unwatched.isEmpty)
        #expect(world.desk.takeShortage(now: world.now) == 0)
    }

    @Test("A worker told to stop gives everything back, and it runs elsewhere at once")
    func stopped() {
        var world = WorkerSimulation(seed: 5)
        let first = world.startWorker(capacity: 1_000)
        _ = world.startWorker(capacity: 1_000)
        world.register(300)
        world.run(seconds: 120)
        world.stopWorker(first)
        world.run(seconds: 60)
        #expect(world.unwatched.isEmpty)
        #expect(world.staleCount == 0)
    }

    @Test("A new conductor learns from the workers what runs, and starts nothing a second time")
    func conductorRestart() {
        var world = WorkerSimulation(seed: 6)
        _ = world.startWorker(capacity: 1_000)
        _ = world.startWorker(capacity: 1_000)
        world.register(300)
        world.run(seconds: 120)
        let (moves, running) = (world.moveCount, world.workers.mapValues(\.running))
        world.restartConductor()
        world.run(seconds: 300)
        #expect(world.moveCount == moves)
        #expect(world.doubleCount == 0)
        #expect(world.workers.mapValues(\.running) == running)
        #expect(world.unwatched.isEmpty)
    }

    @Test("What runs and has not reported yet goes on under a new conductor, in one worker and under its id")
    func restartBeforeFirstReports() {
        var world = WorkerSimulation(seed: 7)
        _ = world.startWorker(capacity: 1_000)
        world.run(seconds: 20)
        world.register(300)
        while world.workers.values.flatMap(\.running).count < 300 { world.run(seconds: 1) }
        let running = world.workers.values.flatMap(\.running)
        #expect(world.reported.count < 150)
        // It has room, and hears of tickets before the other has said what it carries.
        _ = world.startWorker(capacity: 1_000)
        world.restartConductor()
        world.run(seconds: 40)
        #expect(world.doubleCount == 0)
        #expect(
            world.wanted.allSatisfy { wanted in
                running.contains { $0.key == wanted.key && $0.value == wanted.value.actionID }
            })
        world.run(seconds: 300)
        #expect(world.doubleCount == 0 && world.unwatched.isEmpty)
    }

    @Test(
        "After any number of deaths, restarts and changes all VIMs are watched once, evenly, and it stays so",
        arguments: 0..<12)
    func anything(_ number: Int) {
        let seed = runSeed &+ UInt64(number)
        var world = WorkerSimulation(seed: seed)
        world.register(200)
        for _ in 0..<40 {
            let living = world.workers.keys.sorted { $0.value < $1.value }
            switch Int.random(in: 0..<9, using: &world.random) {
            case 0, 1: _ = world.startWorker(capacity: .random(in: 50...400, using: &world.random))
            case 2: living.randomElement(using: &world.random).map { world.kill($0) }
            case 3: living.randomElement(using: &world.random).map { world.stopWorker($0) }
            case 4: world.restartBroker()
            case 5: world.restartConductor()
            case 6: world.register(.random(in: 1...60, using: &world.random))
            case 7: world.deregister(.random(in: 1...60, using: &world.random))
            default: world.wanted.keys.sorted { $0.value < $1.value }.first.map { world.assign($0) }
            }
            world.run(seconds: .random(in: 1...90, using: &world.random))
            #expect(world.overloadedCount == 0, "SEED=\(runSeed) \(number)")
            #expect(world.doubleCount == 0, "SEED=\(runSeed) \(number)")
        }
        // Room for all, and peace.
        while world.workers.values.reduce(0, { $0 + $1.core.capacity }) <= world.wanted.count + 50 {
            _ = world.startWorker(capacity: 300)
        }
        for _ in 0..<6 {
            world.run(seconds: 180)
            world.replaceSilent()
        }
        world.run(seconds: 300)
        #expect(world.unwatched.isEmpty, "SEED=\(runSeed) \(number)")
        #expect(world.imbalance < 0.4, "SEED=\(runSeed) \(number)")
        let moves = world.moveCount
        world.run(seconds: 900)
        #expect(world.moveCount == moves, "SEED=\(runSeed) \(number)")
        #expect(world.unwatched.isEmpty, "SEED=\(runSeed) \(number)")
        #expect(world.staleCount == 0, "SEED=\(runSeed) \(number)")
    }
}
