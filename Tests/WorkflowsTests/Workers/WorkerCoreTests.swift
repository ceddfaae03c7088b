import AMQP
import Registry
import Samples
import Testing

@testable import Workflows

@Suite("What a worker takes, asks for and gives back")
struct WorkerCoreTests {
    private func tag(_ number: UInt64) -> DeliveryTag { DeliveryTag(number: number, connection: 1) }

    private func ticket(_ number: UInt64) -> MonitorTicket { MonitorTicket(.sample(number), .sample(number)) }

    private func carry(_ ticket: MonitorTicket) -> TakeAnswer {
        .carry(
            MonitorAssignment(
                vimID: ticket.vimID, actionID: ticket.actionID, type: .openstack, authURL: "http://a",
                settings: MonitorSettings(), status: .pending), credentials: nil)
    }

    private func orders(
        _ loadMax: Int, session: String = "1.1", surplus: Int = 0, changed: [MonitorTicket] = []
    ) -> WorkerOrders {
        WorkerOrders(
            session: session, loadMax: loadMax, surplus: surplus, changed: changed,
            announceInterval: .seconds(15), reportInterval: .seconds(60))
    }

    /// A worker that carries the first so many.
    private func core(capacity: Int = 100, carrying count: UInt64 = 0) -> WorkerCore {
        var core = WorkerCore(capacity: capacity)
        _ = core.ordered(orders(capacity))
        _ = core.takePrefetchChange()
        for number in 0..<count { _ = core.delivered(ticket(number), tag(number)) }
        while let batch = core.takeBatch() { _ = core.answered(batch.map(carry)) }
        _ = core.takePrefetchChange()
        return core
    }

    @Test("It takes nothing before it has orders, then as many as it has room for, then nothing")
    func room() {
        var core = WorkerCore(capacity: 3)
        #expect(core.takePrefetchChange() == nil)
        #expect(core.delivered(ticket(9), tag(9)).requeue == [tag(9)])
        _ = core.ordered(orders(100))
        #expect(core.takePrefetchChange() == 3)
        #expect(core.takePrefetchChange() == nil)
        for number in 1...3 as ClosedRange<UInt64> {
            #expect(core.delivered(ticket(number), tag(number)).requeue == [])
        }
        // On its way before the consumer could be told.
        #expect(core.delivered(ticket(4), tag(4)).requeue == [tag(4)])
        #expect(core.takeBatch() == [ticket(1), ticket(2), ticket(3)])
        #expect(core.takeBatch() == nil)
        let steps = core.answered([carry(ticket(1)), carry(ticket(2)), .stale])
        #expect(steps.carry.map(\.0.vimID) == [.sample(1), .sample(2)])
        #expect(steps.acknowledge == [tag(1), tag(2), tag(3)])
        #expect(core.load == 2)
        #expect(core.takePrefetchChange() == 1)
        core.ended(ticket(7))
        core.ended(ticket(1))
        #expect(core.load == 1)
        #expect(core.takePrefetchChange() == 2)
    }

    @Test("At its share it takes nothing more, though it has the capacity")
    func share() {
        var core = core(carrying: 10)
        _ = core.ordered(orders(10))
        #expect(core.takePrefetchChange() == 0)
        _ = core.ordered(orders(12))
        #expect(core.takePrefetchChange() == 2)
    }

    @Test("What no answer came for is asked again; what a lost connection brought is somebody else's")
    func unanswered() {
        var core = core(carrying: 1)
        _ = core.delivered(ticket(5), tag(5))
        #expect(core.takeBatch() == [ticket(5)])
        core.unanswered()
        #expect(core.takeBatch() == [ticket(5)])
        core.disconnected()
        core.unanswered()
        #expect(core.takeBatch() == nil)
        #expect(core.takePrefetchChange() == 64)
        // One that was answered after all is carried, with nothing to acknowledge.
        _ = core.delivered(ticket(6), tag(6))
        _ = core.takeBatch()
        core.disconnected()
        let steps = core.answered([carry(ticket(6))])
        #expect(steps.acknowledge == [] && steps.carry.count == 1)
    }

    @Test("An answer that was full leaves the rest to the next one")
    func later() {
        var core = core()
        _ = core.delivered(ticket(1), tag(1))
        _ = core.delivered(ticket(2), tag(2))
        _ = core.takeBatch()
        #expect(core.answered([carry(ticket(1)), .later]).acknowledge == [tag(1)])
        #expect(core.takeBatch() == [ticket(2)])
    }

    @Test("What it carries and what it wants to carry are asked for apart")
    func apart() {
        var core = core(carrying: 2)
        _ = core.delivered(ticket(5), tag(5))
        _ = core.ordered(orders(100, changed: [ticket(0), ticket(1)]))
        _ = core.delivered(ticket(6), tag(6))
        for (batch, isCarried) in [([5], false), ([0, 1], true), ([6], false)] as [([UInt64], Bool)] {
            #expect(core.takeBatch() == batch.map(ticket))
            #expect(core.asksForCarried == isCarried)
            _ = core.answered(batch.map { carry(ticket($0)) })
        }
        #expect(core.takeBatch() == nil)
    }

    @Test("A second ticket of what it carries is dropped")
    func twice() {
        var core = core(carrying: 1)
        #expect(core.delivered(ticket(0), tag(7)).acknowledge == [tag(7)])
    }

    @Test("Under another conductor it takes all again; what is stale or another's it stops")
    func session() {
        var core = core(carrying: 3)
        _ = core.ordered(orders(100, session: "2.1"))
        guard let batch = core.takeBatch() else {
            Issue.record("nothing was asked")
            return
        }
        #expect(Set(batch) == [ticket(0), ticket(1), ticket(2)])
        let answers = batch.map { entry -> TakeAnswer in
            switch entry {
            case ticket(0): .stale
            case ticket(1): .elsewhere
            default: carry(entry)
            }
        }
        let steps = core.answered(answers)
        #expect(Set(steps.stop) == [ticket(0), ticket(1)])
        #expect(core.held == [.sample(2): .sample(2)])
        _ = core.ordered(orders(100, session: "2.1"))
        #expect(core.takeBatch() == nil)
    }

    @Test("It asks about what changed, and gives back what it is believed to carry and does not")
    func changed() {
        var core = core(carrying: 1)
        let steps = core.ordered(orders(100, changed: [ticket(0), ticket(8)]))
        #expect(core.takeBatch() == [ticket(0)])
        #expect(steps.release == [ticket(8)])
        let many = (0..<UInt64(WorkerDesk.noticeMax)).map(ticket)
        #expect(core.ordered(orders(100, changed: many)).announcesAtOnce == true)
    }

    @Test("A surplus is given back, and stopped when the conductor has it")
    func surplus() {
        var core = core(carrying: 10)
        let steps = core.ordered(orders(7, surplus: 4))
        #expect(steps.release.count == 4 && core.load == 10)
        let after = core.released(steps.release)
        #expect(Set(after.stop) == Set(steps.release) && core.load == 6)
    }

    @Test("Told to stop it gives back everything, also what an answer still brings")
    func drain() {
        var core = core(carrying: 2)
        _ = core.delivered(ticket(5), tag(5))
        _ = core.takeBatch()
        _ = core.delivered(ticket(6), tag(6))
        let steps = core.drain()
        #expect(Set(steps.release) == [ticket(0), ticket(1)])
        #expect(steps.requeue == [tag(6)])
        #expect(core.takePrefetchChange() == 0)
        #expect(core.delivered(ticket(7), tag(7)).requeue == [tag(7)])
        let late = core.answered([carry(ticket(5))])
        #expect(late.release == [ticket(5)] && late.acknowledge == [tag(5)] && late.carry.isEmpty)
        #expect(core.ordered(orders(100, session: "3.1", surplus: 2)).release == [])
    }
}
