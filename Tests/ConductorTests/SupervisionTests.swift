import Registry
import Samples
import Testing

@testable import Conductor

@Suite("Silence")
struct SilenceWatchTests {
    @Test("An action that never speaks is lost after its deadline, and again until it is replaced")
    func neverSpeaks() {
        var watch = SilenceWatch(deadline: .seconds(30), scanInterval: .seconds(10))
        for second in stride(from: 0, through: 30, by: 10) {
            #expect(watch.scan([sign(1)], isDeaf: false, now: .seconds(second)) == [], "\(second)")
        }
        for second in [40, 50] {
            let lost = watch.scan([sign(1)], isDeaf: false, now: .seconds(second))
            #expect(lost == [.init(id: .sample(1), actionID: .sample(1), silence: .seconds(second))])
            #expect(lost.map(\.detail) == ["no report within \(second) s of its launch"])
        }
        #expect(watch.scan([sign(1, action: 2)], isDeaf: false, now: .seconds(60)) == [])
    }

    @Test("Successors that never speak either are given up later and later; one that speaks ends that")
    func patience() {
        var watch = SilenceWatch(deadline: .seconds(30), scanInterval: .seconds(10))
        var (action, now, lifetimes) = (UInt64(1), 0, [Int]())
        var launchedAt = 0
        while lifetimes.count < 6 {
            if !watch.scan([sign(1, action: action)], isDeaf: false, now: .seconds(now)).isEmpty {
                lifetimes.append(now - launchedAt)
                (action, launchedAt) = (action + 1, now + 10)
            }
            now += 10
        }
        #expect(lifetimes == [40, 70, 130, 250, 250, 250])
        // It speaks at last, and falls silent: its successor is not made to pay for the ones before.
        for action in [action, action + 1] {
            _ = watch.scan([sign(1, action: action)], isDeaf: false, now: .seconds(now))
            _ = watch.scan([sign(1, action: action, at: 7)], isDeaf: false, now: .seconds(now + 10))
            for _ in 0..<3 {
                now += 10
                #expect(
                    watch.scan([sign(1, action: action, at: 7)], isDeaf: false, now: .seconds(now + 10)) == []
                )
            }
            let lost = watch.scan(
                [sign(1, action: action, at: 7)], isDeaf: false, now: .seconds(now + 20))
            #expect(lost.map(\.detail) == ["no report for 40 s"])
            now += 30
        }
    }

    @Test("An action whose launch is still owed is not silent; its deadline begins when it is launched")
    func owed() {
        var watch = SilenceWatch(deadline: .seconds(30), scanInterval: .seconds(10))
        var owed = sign(1)
        owed.isOwed = true
        for second in stride(from: 0, through: 600, by: 10) {
            #expect(watch.scan([owed], isDeaf: false, now: .seconds(second)) == [])
        }
        for second in [610, 620, 630] {
            #expect(watch.scan([sign(1)], isDeaf: false, now: .seconds(second)) == [], "\(second)")
        }
        #expect(watch.scan([sign(1)], isDeaf: false, now: .seconds(640)).count == 1)
    }

    @Test("Every report begins the deadline anew; the times in the reports do not matter, only their change")
    func speaks() {
        var watch = SilenceWatch(deadline: .seconds(30), scanInterval: .seconds(10))
        var now = 0
        for reportedAt in [1, 1, 1, 500, 500, 500, 2, 2, 2] as [UInt64] {
            #expect(watch.scan([sign(1, at: reportedAt)], isDeaf: false, now: .seconds(now)) == [])
            now += 10
        }
        #expect(watch.scan([sign(1, at: 2)], isDeaf: false, now: .seconds(now)) == [])
        #expect(
            watch.scan([sign(1, at: 2)], isDeaf: false, now: .seconds(now + 10)).map(\.id) == [.sample(1)])
    }

    @Test("One silent among many is found")
    func oneOfMany() {
        var watch = SilenceWatch(deadline: .seconds(20), scanInterval: .seconds(10))
        var lost: [SilenceWatch.Lost] = []
        for second in stride(from: 0, through: 30, by: 10) {
            let signs = (1...50).map { sign($0, at: $0 == 17 ? 1 : UInt64(second)) }
            lost = watch.scan(signs, isDeaf: false, now: .seconds(second))
        }
        #expect(lost.map(\.id) == [.sample(17)])
    }

    @Test("Time in which nothing could be stored is nobody's silence")
    func deaf() {
        var watch = SilenceWatch(deadline: .seconds(30), scanInterval: .seconds(10))
        _ = watch.scan([sign(1)], isDeaf: false, now: .seconds(0))
        for second in stride(from: 10, through: 600, by: 10) {
            #expect(watch.scan([sign(1)], isDeaf: true, now: .seconds(second)) == [])
        }
        for second in [610, 620, 630] {
            #expect(watch.scan([sign(1)], isDeaf: false, now: .seconds(second)) == [], "\(second)")
        }
        #expect(watch.scan([sign(1)], isDeaf: false, now: .seconds(640)).count == 1)
    }

    @Test("Launches may be lost with a broker: when it is back, nobody waits several deadlines for them")
    func patienceEnds() {
        var watch = SilenceWatch(deadline: .seconds(30), scanInterval: .seconds(10))
        var (action, now) = (UInt64(1), 0)
        for _ in 0..<4 {
            while watch.scan([sign(1, action: action)], isDeaf: false, now: .seconds(now)).isEmpty {
                now += 10
            }
            (action, now) = (action + 1, now + 10)
        }
        _ = watch.scan([sign(1, action: action)], isDeaf: false, now: .seconds(now))
        _ = watch.scan([sign(1, action: action)], isDeaf: true, now: .seconds(now + 10))
        for wait in [20, 30, 40] {
            let lost = watch.scan([sign(1, action: action)], isDeaf: false, now: .seconds(now + wait))
            #expect(lost == [], "\(wait)")
        }
        #expect(
            watch.scan([sign(1, action: action)], isDeaf: false, now: .seconds(now + 50)).count == 1)
    }

    @Test("A scan that comes late itself takes nobody's time")
    func late() {
        var watch = SilenceWatch(deadline: .seconds(30), scanInterval: .seconds(10))
        _ = watch.scan([sign(1)], isDeaf: false, now: .seconds(0))
        // Stopped for an hour: at most two intervals count.
        #expect(watch.scan([sign(1)], isDeaf: false, now: .seconds(3_600)) == [])
        #expect(watch.scan([sign(1)], isDeaf: false, now: .seconds(3_610)) == [])
        #expect(watch.scan([sign(1)], isDeaf: false, now: .seconds(3_620)).count == 1)
    }

    @Test("A VIM that left and came back, and one that is new, have their whole deadline")
    func comesBack() {
        var watch = SilenceWatch(deadline: .seconds(30), scanInterval: .seconds(10))
        _ = watch.scan([sign(1)], isDeaf: false, now: .seconds(0))
        _ = watch.scan([], isDeaf: false, now: .seconds(10))
        _ = watch.scan([sign(1)], isDeaf: false, now: .seconds(20))
        for second in [30, 40, 50] {
            #expect(watch.scan([sign(1), sign(2)], isDeaf: false, now: .seconds(second)) == [], "\(second)")
        }
        #expect(watch.scan([sign(1), sign(2)], isDeaf: false, now: .seconds(60)).map(\.id) == [.sample(1)])
    }

    private func sign(_ number: UInt64, action: UInt64? = nil, at reportedAt: UInt64? = nil) -> MonitorSign {
        MonitorSign(
            id: .sample(number), actionID: .sample(action ?? number),
            reportedAt: reportedAt.map { Timestamp(microseconds: $0) })
    }
}

@Suite("The supervisor")
struct SupervisorTests {
    @Test("A silent action is replaced and told bad_action; one that reports is kept, clock gone back or not")
    func replaces() async throws {
        // The clock went back and stands still: every report seems to come at once.
        try await withConductor({ $0.now = { Timestamp(microseconds: 1_000) } }) { conductor in
            let silent = try await conductor.register(.sample("silent"), actor: ada)
            let lively = try await conductor.register(.sample("lively"), actor: ada)
            let supervisor = Supervisor(
                conductor: conductor, reportInterval: .milliseconds(240), logger: quiet)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await supervisor.run() }
                group.addTask {
                    while (try? await Task.sleep(for: .milliseconds(10))) != nil {
                        _ = try? await conductor.updateVIM(
                            lively.id, status: "REACHABLE", actionID: lively.actionID)
                    }
                }
                try await eventually("the silent action is replaced") {
                    conductor.vim(silent.id)?.actionID != silent.actionID
                }
                group.cancelAll()
            }
            #expect(
                try await conductor.updateVIM(silent.id, status: "REACHABLE", actionID: silent.actionID)
                    == .badAction)
            #expect(conductor.vim(lively.id)?.actionID == lively.actionID)
        }
    }
}
