import Registry
import Testing

@testable import Monitoring

/// A fleet in a world of virtual time: endpoints that answer or not, a network that may be gone.
private struct FleetWorld {
    var fleet: MonitorFleet
    var now = at(0)
    var random = SeededGenerator(seed: 1)
    /// Endpoints (VIM number modulo this) are distinct hosts.
    var endpointCount: Int
    var deadEndpoints: Set<Int> = []
    var isNetworkGone = false
    var probeMilliseconds: Int64 = 5
    /// Reports as they came: when, which VIM, what.
    var reports: [(time: Moment, vim: VIMID, status: VIMStatus)] = []
    var probeCounts: [VIMID: Int] = [:]
    var probesUnderWayMax = 0
    var badActions: Set<VIMID> = []
    private var underWay: [(due: Moment, ticket: MonitorFleet.ProbeTicket)] = []

    init(endpointCount: Int, limits: FleetLimits = FleetLimits()) {
        fleet = MonitorFleet(limits: limits)
        self.endpointCount = endpointCount
    }

    func assignment(_ number: Int, status: VIMStatus, action: Int? = nil) -> MonitorAssignment {
        MonitorAssignment(
            vimID: testVIM(number), actionID: testAction(action ?? number), type: .openstack,
            authURL: "http://host-\(number % endpointCount):5000/v3", settings: MonitorSettings(),
            status: status)
    }

    mutating func launch(_ numbers: Range<Int>, status: VIMStatus = .pending) {
        for number in numbers {
            fleet.launch(
                assignment(number, status: status),
                pace: MonitorPace(MonitorSettings(), reportIntervalMilliseconds: 60_000), kind: .http,
                now: now, phase: Double.random(in: 0..<1, using: &random))
        }
    }

    /// Lets so much virtual time pass, in steps of five milliseconds.
    mutating func pass(milliseconds: Int64) {
        let end = now.after(milliseconds: milliseconds)
        while now < end {
            finishProbes()
            perform(fleet.advance(now: now, wallTime: Timestamp(microseconds: 0)))
            now = now.after(milliseconds: 5)
        }
    }

    private mutating func finishProbes() {
        var rest: [(due: Moment, ticket: MonitorFleet.ProbeTicket)] = []
        let all = underWay
        underWay = []
        for entry in all {
            guard entry.due <= now else {
                rest.append(entry)
                continue
            }
            let host = ProbeTarget(entry.ticket.order.authURL)?.host.dropFirst(5)
            let isDead = isNetworkGone || deadEndpoints.contains(host.flatMap { Int($0) } ?? -1)
            fleet.probeFinished(entry.ticket, isDead ? .failure : .answer, now: now)
        }
        underWay = rest
    }

    private mutating func perform(_ effects: [MonitorFleet.Effect]) {
        for effect in effects {
            switch effect {
            case .probe(let ticket):
                probeCounts[ticket.order.vimID, default: 0] += 1
                underWay.append((now.after(milliseconds: probeMilliseconds), ticket))
                probesUnderWayMax = max(probesUnderWayMax, fleet.probeCount)
            case .report(let ticket, let report):
                reports.append((now, report.id, report.status))
                let answer: ReportAnswer =
                    badActions.contains(report.id) ? .badAction : .accepted(report.status)
                _ = fleet.reportAnswered(ticket, answer, now: now)
            }
        }
    }

    func alarms(since time: Moment) -> [VIMID] {
        reports.filter { $0.time >= time && $0.status == .unreachable }.map(\.vim)
    }
}

@Suite("A fleet of monitor actions")
struct MonitorFleetTests {
    @Test("10,000 fresh actions are all found reachable, each is probed every interval and told every minute")
    func tenThousand() {
        var world = FleetWorld(endpointCount: 10_000)
        world.launch(0..<10_000)
        world.pass(milliseconds: 5_000)
        #expect(Set(world.reports.map(\.vim)).count == 10_000)
        #expect(world.reports.count == 10_000)
        world.pass(milliseconds: 115_000)
        #expect(world.probeCounts.values.allSatisfy { (12...14).contains($0) })
        #expect(world.alarms(since: at(0)).isEmpty)
        var last: [VIMID: Moment] = [:]
        for report in world.reports {
            if let before = last[report.vim] {
                #expect(report.time.microseconds(since: before) <= 60_010_000)
            }
            last[report.vim] = report.time
        }
        // Spread: in no second of the second minute did more than a twentieth report.
        let seconds = Dictionary(grouping: world.reports) { $0.time.microseconds / 1_000_000 }
        #expect(seconds.filter { $0.key >= 60 }.values.allSatisfy { $0.count < 500 })
    }

    @Test("10,000 resumed actions spread their first probes over the interval and raise no alarm")
    func resumed() {
        var world = FleetWorld(endpointCount: 10_000)
        world.launch(0..<10_000, status: .reachable)
        world.pass(milliseconds: 1_000)
        #expect((700...1_300).contains(world.probeCounts.count))
        world.pass(milliseconds: 59_100)
        #expect(world.probeCounts.count == 10_000)
        #expect(Set(world.reports.map(\.vim)).count == 10_000)
        #expect(world.reports.allSatisfy { $0.status == .reachable })
    }

    @Test("Probes under way never exceed their bound, and nobody starves")
    func bound() {
        var world = FleetWorld(endpointCount: 1_000, limits: FleetLimits(probesMax: 16, reportsMax: 16))
        world.launch(0..<1_000)
        world.pass(milliseconds: 2_000)
        #expect(world.probesUnderWayMax == 16)
        #expect(world.probeCounts.count == 1_000)
    }

    @Test("A dead endpoint is told within seconds, with all VIMs on it")
    func deadEndpoint() {
        var world = FleetWorld(endpointCount: 100)
        world.launch(0..<500)
        world.pass(milliseconds: 15_000)
        let death = world.now
        world.deadEndpoints = [7]
        world.pass(milliseconds: 15_000)
        #expect(Set(world.alarms(since: death)) == Set([7, 107, 207, 307, 407].map { testVIM($0) }))
        world.deadEndpoints = []
        let revival = world.now
        world.pass(milliseconds: 11_000)
        let back = world.reports.filter { $0.time >= revival && $0.vim == testVIM(7) }
        #expect(back.last?.status == .reachable)
    }

    @Test("One VIM alone, or a few, are told although nobody else could prove the network")
    func alone() {
        var world = FleetWorld(endpointCount: 1)
        world.launch(0..<50)
        world.pass(milliseconds: 11_000)
        world.deadEndpoints = [0]
        let death = world.now
        world.pass(milliseconds: 14_000)
        #expect(Set(world.alarms(since: death)).count == 50)
    }

    @Test("Half a minute without own network raises not one alarm among 1,000 endpoints")
    func outage() {
        var world = FleetWorld(endpointCount: 1_000)
        world.launch(0..<1_000)
        world.pass(milliseconds: 15_000)
        world.isNetworkGone = true
        world.pass(milliseconds: 30_000)
        world.isNetworkGone = false
        world.pass(milliseconds: 30_000)
        #expect(world.alarms(since: at(0)).isEmpty)
    }

    @Test("A loss that lasts is told after a minute, by everybody")
    func lastingOutage() {
        var world = FleetWorld(endpointCount: 200)
        world.launch(0..<200)
        world.pass(milliseconds: 15_000)
        world.isNetworkGone = true
        world.pass(milliseconds: 58_000)
        #expect(world.alarms(since: at(0)).count <= 1)
        world.pass(milliseconds: 30_000)
        #expect(Set(world.alarms(since: at(0))).count == 200)
    }

    @Test("When most endpoints die at once but others answer, the dead are told within seconds")
    func mostDie() {
        var world = FleetWorld(endpointCount: 50)
        world.launch(0..<50)
        world.pass(milliseconds: 15_000)
        let death = world.now
        world.deadEndpoints = Set(0..<40)
        world.pass(milliseconds: 16_000)
        #expect(Set(world.alarms(since: death)).count == 40)
    }

    @Test("After bad_action an action is forgotten, and does nothing more")
    func badAction() {
        var world = FleetWorld(endpointCount: 10)
        world.launch(0..<10)
        world.badActions = [testVIM(3)]
        world.pass(milliseconds: 100)
        #expect(world.fleet.count == 9)
        #expect(world.fleet.running[testVIM(3)] == nil)
        #expect(world.fleet.record(of: testVIM(3)) == nil)
        let count = world.probeCounts[testVIM(3)]
        world.pass(milliseconds: 60_000)
        #expect(world.probeCounts[testVIM(3)] == count)
    }

    @Test("A launch replaces another action of the VIM; late results of the old one change nothing")
    func replaced() {
        var world = FleetWorld(endpointCount: 1)
        world.probeMilliseconds = 100
        world.deadEndpoints = [0]
        world.launch(0..<1)
        world.pass(milliseconds: 50)
        let pace = MonitorPace(MonitorSettings(), reportIntervalMilliseconds: 60_000)
        world.fleet.launch(
            world.assignment(0, status: .reachable, action: 99), pace: pace, kind: .http, now: world.now,
            phase: 0.9)
        #expect(world.fleet.running == [testVIM(0): testAction(99)])
        world.pass(milliseconds: 100)
        #expect(world.fleet.record(of: testVIM(0)) == ProbeRecord())
        #expect(world.fleet.probeCount == 0)
        #expect(world.fleet.stop(testVIM(0), actionID: testAction(0)) == false)
        #expect(world.fleet.stop(testVIM(0), actionID: testAction(99)) == true)
        #expect(world.fleet.count == 0)
    }

    @Test("The same launch twice changes nothing")
    func twice() {
        var world = FleetWorld(endpointCount: 1)
        world.launch(0..<1)
        world.pass(milliseconds: 1_000)
        world.launch(0..<1)
        world.pass(milliseconds: 100)
        #expect(world.probeCounts[testVIM(0)] == 1)
    }

    @Test("An adjusted action probes its new address soon under the same id")
    func adjusted() {
        var world = FleetWorld(endpointCount: 10)
        world.launch(0..<1)
        world.pass(milliseconds: 1_000)
        var changed = world.assignment(0, status: .reachable)
        changed.authURL = "http://host-5:5000"
        let pace = MonitorPace(MonitorSettings(), reportIntervalMilliseconds: 60_000)
        world.fleet.adjust(changed, pace: pace, kind: .tcp, now: world.now, phase: 0)
        world.pass(milliseconds: 100)
        let last = world.fleet.record(of: testVIM(0))?.results.last
        #expect(last?.target == "http://host-5:5000")
        #expect(last?.kind == .tcp)
    }

    @Test("The rings keep the last five results and, apart, the last five failures")
    func rings() throws {
        var rings = ProbeRings()
        let long = String(repeating: "ä", count: 500)
        for number in 0..<20 as Range<UInt64> {
            let outcome =
                number % 4 == 0
                ? ProbeOutcome(.failed, ProbeFinding(.timedOut, detail: 2), explanation: long) : .answer
            rings.append(outcome, kind: .icmp, at: Timestamp(microseconds: number))
        }
        let record = rings.record(target: "t")
        #expect(record.results.map(\.time.microseconds) == [15, 16, 17, 18, 19])
        #expect(record.failures.map(\.time.microseconds) == [0, 4, 8, 12, 16])
        #expect(record.failures.allSatisfy { !$0.succeeded && $0.target == "t" && $0.kind == .icmp })
        let explanation = try #require(record.failures.first?.explanation)
        #expect(explanation.utf8.count <= ProbeRings.explanationBytesMax)
        #expect(explanation.hasSuffix("ä…"))
        #expect(ProbeRings().record(target: "t") == ProbeRecord())
    }
}
