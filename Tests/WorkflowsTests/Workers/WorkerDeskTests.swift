import Registry
import Samples
import Testing

@testable import Workflows

@Suite("The conductor's side of the workers")
struct WorkerDeskTests {
    private func desk() -> WorkerDesk {
        var desk = WorkerDesk(WorkerSimulation.settings(epoch: 1))
        desk.connection(isUp: true, now: .zero)
        return desk
    }

    private func assignment(_ vim: UInt64, _ action: UInt64) -> MonitorAssignment {
        MonitorAssignment(
            vimID: .sample(vim), actionID: .sample(action), type: .openstack, authURL: "http://a",
            settings: MonitorSettings(probe: .tcp), status: .pending)
    }

    private func facts(_ number: UInt64, capacity: Int = 100) -> WorkerFacts {
        WorkerFacts(
            id: WorkerID(.sample(number)), name: "w", host: "h", processID: 1, version: "v", load: 0,
            capacity: capacity)
    }

    @Test("An action is given out once, carried once, and not by one who asks for what is stale")
    func take() {
        var desk = desk()
        let (first, second) = (facts(1), facts(2))
        _ = desk.announced(first, now: .zero)
        _ = desk.announced(second, now: .zero)
        let wanted = assignment(1, 1)
        #expect(desk.launch(wanted, now: .zero) == true)
        #expect(desk.launch(wanted, now: .zero) == false)
        let ticket = MonitorTicket(.sample(1), .sample(1))
        guard case .carry(let order) = desk.take(ticket, by: first.id, wanted: wanted)
        else {
            Issue.record("not carried")
            return
        }
        #expect(order.settings.probe == .tcp)
        #expect(desk.take(ticket, by: second.id, wanted: wanted) == .elsewhere)
        // Whoever is believed to carry it is asked whether it does.
        #expect(desk.announced(first, now: .zero).0.changed == [ticket])
        #expect(desk.take(ticket, by: first.id, wanted: wanted) == .carry(order))
        #expect(desk.announced(first, now: .zero).0.changed == [])
        #expect(desk.take(ticket, by: second.id, wanted: assignment(1, 9)) == .stale)
        #expect(desk.take(ticket, by: second.id, wanted: nil) == .stale)
    }

    @Test("What is replaced, changed or stopped is told to its carrier until it has asked")
    func notices() {
        var desk = desk()
        let worker = facts(1)
        _ = desk.announced(worker, now: .zero)
        let wanted = assignment(1, 1)
        _ = desk.launch(wanted, now: .zero)
        let ticket = MonitorTicket(.sample(1), .sample(1))
        _ = desk.take(ticket, by: worker.id, wanted: wanted)
        desk.adjust(wanted)
        #expect(desk.announced(worker, now: .zero).0.changed == [ticket])
        #expect(desk.announced(worker, now: .zero).0.changed == [ticket])
        _ = desk.take(ticket, by: worker.id, wanted: wanted)
        #expect(desk.announced(worker, now: .zero).0.changed == [])
        desk.stop(ticket)
        #expect(desk.announced(worker, now: .zero).0.changed == [ticket])
        #expect(desk.take(ticket, by: worker.id, wanted: nil) == .stale)
        #expect(desk.announced(worker, now: .zero).0.changed == [])
        #expect(desk.sightings(of: nil, now: .zero).isEmpty)
    }

    @Test("What a worker was given no other is given under its id, dead or alive; who carries it is believed")
    func dead() {
        var desk = desk()
        _ = desk.announced(facts(1), now: .zero)
        let wanted = assignment(1, 1)
        let ticket = MonitorTicket(.sample(1), .sample(1))
        _ = desk.launch(wanted, now: .zero)
        _ = desk.take(ticket, by: WorkerID(.sample(1)), wanted: wanted)
        _ = desk.announced(facts(2), now: .seconds(40))
        #expect(desk.forgetSilent(now: .seconds(40)) == [])
        #expect(
            desk.take(ticket, by: WorkerID(.sample(2)), wanted: wanted) == .elsewhere)
        #expect(desk.forgetSilent(now: .seconds(50)).map(\.id) == [WorkerID(.sample(1))])
        // It may carry it still: nobody is given it under its id, and its silence will tell.
        #expect(desk.take(ticket, by: WorkerID(.sample(2)), wanted: wanted) == .elsewhere)
        guard
            case .carry = desk.take(
                ticket, by: WorkerID(.sample(2)), wanted: wanted, isCarried: true, hasReported: true)
        else {
            Issue.record("the carrier is not believed")
            return
        }
        // The one that was only slow is asked to take all again, and hears that it is another's now.
        let (orders, isNew) = desk.announced(facts(1), now: .seconds(51))
        #expect(isNew && orders.session == "1.3")
        #expect(
            desk.take(ticket, by: WorkerID(.sample(1)), wanted: wanted) == .elsewhere)
    }

    @Test(
        "While the broker is away nobody is forgotten; when it is back all waiting tickets are written again")
    func broker() {
        var desk = desk()
        _ = desk.announced(facts(1), now: .zero)
        _ = desk.launch(assignment(1, 1), now: .zero)
        _ = desk.launch(assignment(2, 2), now: .zero)
        _ = desk.take(
            MonitorTicket(.sample(2), .sample(2)), by: WorkerID(.sample(1)), wanted: assignment(2, 2))
        #expect(desk.unwritten(now: .seconds(5)) == [])
        desk.connection(isUp: false, now: .seconds(10))
        #expect(desk.forgetSilent(now: .seconds(500)) == [])
        desk.connection(isUp: true, now: .seconds(500))
        #expect(desk.forgetSilent(now: .seconds(501)) == [])
        #expect(desk.unwritten(now: .seconds(501)) == [MonitorTicket(.sample(1), .sample(1))])
        #expect(desk.unwritten(now: .seconds(502)) == [])
        let later = Duration.seconds(502) + desk.settings.ticketLife
        #expect(desk.unwritten(now: later) == [MonitorTicket(.sample(1), .sample(1))])
    }

    @Test("A new conductor believes what it found to run, until the workers have had time to say so")
    func gathering() {
        var desk = WorkerDesk(
            WorkerSimulation.settings(epoch: 2), inherited: [.sample(1): .sample(1), .sample(2): .sample(2)])
        #expect(desk.sightings(of: nil, now: .seconds(900)).count == 2)
        desk.connection(isUp: true, now: .seconds(1_000))
        // What is not wanted any more is stopped like anything else.
        desk.stop(MonitorTicket(.sample(2), .sample(2)))
        let left: [VIMID: [MonitorSighting]] = [.sample(1): [MonitorSighting(.sample(1))]]
        #expect(desk.sightings(of: nil, now: .seconds(1_040)) == left)
        #expect(desk.sightings(of: nil, now: .seconds(1_050)) == [:])
        _ = desk.forgetSilent(now: .seconds(1_050))
        #expect(desk.sightings(of: nil, now: .seconds(1_040)) == [:])
    }

    @Test(
        "A ticket that an earlier conductor wrote starts nothing, though nobody has said yet who carries it",
        arguments: [false, true])
    func leftOver(hasReported: Bool) {
        var desk = WorkerDesk(
            WorkerSimulation.settings(epoch: 2), inherited: [.sample(1): .sample(1)])
        desk.connection(isUp: true, now: .zero)
        let (stranger, carrier) = (facts(1), facts(2))
        _ = desk.announced(stranger, now: .zero)
        _ = desk.announced(carrier, now: .zero)
        let wanted = assignment(1, 1)
        let ticket = MonitorTicket(.sample(1), .sample(1))
        func show(by worker: WorkerID, isCarried: Bool, wanted: MonitorAssignment?) -> WorkerDesk.Verdict {
            desk.take(ticket, by: worker, wanted: wanted, isCarried: isCarried, hasReported: hasReported)
        }
        #expect(show(by: stranger.id, isCarried: false, wanted: wanted) == .elsewhere)
        guard case .carry = show(by: carrier.id, isCarried: true, wanted: wanted) else {
            Issue.record("the carrier is not believed")
            return
        }
        #expect(show(by: stranger.id, isCarried: false, wanted: wanted) == .elsewhere)
        #expect(show(by: stranger.id, isCarried: true, wanted: wanted) == .elsewhere)
        #expect(show(by: stranger.id, isCarried: false, wanted: nil) == .stale)
    }

    @Test("What was given back is offered to nobody: a successor is on its way")
    func givenBack() {
        var desk = desk()
        for number in 1...2 as ClosedRange<UInt64> { _ = desk.announced(facts(number), now: .zero) }
        let wanted = assignment(1, 1)
        _ = desk.launch(wanted, now: .zero)
        let ticket = MonitorTicket(.sample(1), .sample(1))
        _ = desk.take(ticket, by: WorkerID(.sample(1)), wanted: wanted)
        #expect(desk.released(ticket, by: WorkerID(.sample(1))) == true)
        #expect(desk.take(ticket, by: WorkerID(.sample(2)), wanted: wanted) == .elsewhere)
        desk.connection(isUp: true, now: .seconds(1))
        #expect(desk.unwritten(now: .seconds(1)) == [])
    }

    @Test("Given back by its carrier it wants a successor; by anybody else nothing happens")
    func release() {
        var desk = desk()
        _ = desk.announced(facts(1), now: .zero)
        _ = desk.launch(assignment(1, 1), now: .zero)
        let ticket = MonitorTicket(.sample(1), .sample(1))
        _ = desk.take(ticket, by: WorkerID(.sample(1)), wanted: assignment(1, 1))
        #expect(desk.released(ticket, by: WorkerID(.sample(2))) == false)
        let stale = MonitorTicket(.sample(1), .sample(5))
        #expect(desk.released(stale, by: WorkerID(.sample(1))) == false)
        #expect(desk.released(ticket, by: WorkerID(.sample(1))) == true)
        #expect(desk.waitingCount == 1)
        #expect(desk.left(WorkerID(.sample(1)))?.name == "w")
        #expect(desk.sights(now: .zero).isEmpty)
    }
}

extension WorkerDesk {
    /// As a worker asks that has a ticket of an action that has not reported.
    fileprivate mutating func take(
        _ ticket: MonitorTicket, by worker: WorkerID, wanted: MonitorAssignment?
    ) -> Verdict {
        take(ticket, by: worker, wanted: wanted, isCarried: false, hasReported: false)
    }
}
