import AMQP
import Registry
import Samples

@testable import Workflows

/// A conductor's desk, workers and a queue as values, driven by a seed: everything that is real is pure here.
struct WorkerSimulation {
    struct Process {
        var core: WorkerCore
        var facts: WorkerFacts
        /// Unacknowledged deliveries, by their number.
        var open: [UInt64: MonitorTicket] = [:]
        var prefetch = 0
        var nextTag: UInt64 = 1
        var isConnected = true
        /// Workers announce themselves as regularly as their timers run.
        var nextAnnouncement = Duration.zero
        /// Actions that run in it.
        var running: [VIMID: MonitorActionID] = [:]
    }

    var desk: WorkerDesk
    var random: SeededGenerator
    /// What the registry wants.
    var wanted: [VIMID: MonitorAssignment] = [:]
    /// Actions that have reported.
    var reported: Set<MonitorActionID> = []
    /// What the reconciler of this conductor has launched or found.
    private var handed: [VIMID: MonitorActionID] = [:]
    var queue: [MonitorTicket] = []
    var workers: [WorkerID: Process] = [:]
    var now = Duration.zero
    /// How many actions got a successor, for whatever reason.
    var moveCount = 0
    /// How many took up a VIM that another living worker was carrying under the same action.
    var doubleCount = 0
    private var idCount: UInt64 = 0

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
        desk = WorkerDesk(WorkerSimulation.settings(epoch: 1))
        desk.connection(isUp: true, now: .zero)
        // Long enough that everybody was heard.
        now = .seconds(100)
    }

    static func settings(epoch: UInt64) -> WorkerDesk.Settings {
        WorkerDesk.Settings(epoch: epoch, reportInterval: .seconds(60), defaults: MonitorSettings())
    }

    private mutating func freshID() -> UniqueID {
        idCount += 1
        return UniqueID(high: 7, low: idCount)
    }

    // MARK: What happens from outside

    mutating func register(_ count: Int) {
        for _ in 0..<count {
            let id = VIMID(freshID())
            assign(id)
        }
    }

    mutating func deregister(_ count: Int) {
        for id in wanted.keys.sorted(by: { $0.value < $1.value }).shuffled(using: &random).prefix(count) {
            wanted[id] = nil
        }
        reconcile()
    }

    /// A VIM gets a new action.
    mutating func assign(_ id: VIMID) {
        wanted[id] = MonitorAssignment(
            vimID: id, actionID: MonitorActionID(freshID()), type: .openstack, authURL: "http://127.0.0.1",
            settings: MonitorSettings(), status: .pending)
        reconcile()
    }

    mutating func startWorker(capacity: Int) -> WorkerID {
        let id = WorkerID(freshID())
        workers[id] = Process(
            core: WorkerCore(capacity: capacity),
            facts: WorkerFacts(
                id: id, name: "w\(idCount)", host: "h", processID: 1, version: "v", load: 0,
                capacity: capacity))
        return id
    }

    /// As `kill -9` does: what it had not acknowledged goes back to the queue.
    mutating func kill(_ id: WorkerID) {
        guard let worker = workers.removeValue(forKey: id) else { return }
        queue.insert(contentsOf: worker.open.values, at: 0)
    }

    /// As SIGTERM does.
    mutating func stopWorker(_ id: WorkerID) {
        guard let steps = workers[id]?.core.drain() else { return }
        perform(steps, on: id)
        _ = desk.left(id)
        kill(id)
    }

    /// The broker lost everything and everybody.
    mutating func restartBroker() {
        queue = []
        for id in workers.keys {
            workers[id]?.open = [:]
            workers[id]?.prefetch = 0
            workers[id]?.core.disconnected()
        }
        desk.connection(isUp: false, now: now)
        now += .seconds(20)
        desk.connection(isUp: true, now: now)
    }

    /// A new conductor, which remembers nothing of workers.
    mutating func restartConductor() {
        desk = WorkerDesk(
            WorkerSimulation.settings(epoch: UInt64(now.components.seconds)),
            inherited: wanted.mapValues(\.actionID))
        desk.connection(isUp: true, now: now)
        handed = [:]
        reconcile()
    }

    // MARK: What happens by itself

    /// A second passes, in which everybody does what is due, in random order.
    mutating func tick() {
        now += .seconds(1)
        _ = desk.forgetSilent(now: now)
        queue += desk.unwritten(now: now)
        for id in workers.keys.sorted(by: { $0.value < $1.value }).shuffled(using: &random) {
            if let due = workers[id]?.nextAnnouncement, now >= due {
                workers[id]?.nextAnnouncement = now + .seconds(Int.random(in: 14...16, using: &random))
                announce(id)
            }
            deliver(to: id)
            ask(id)
        }
        reportSome()
        if Int.random(in: 0..<30, using: &random) == 0 { reconcile() }
    }

    /// First reports take their time: half a minute on the average.
    private mutating func reportSome() {
        let new = workers.values.flatMap(\.running.values).filter { !reported.contains($0) }
        for action in new.sorted(by: { $0.value < $1.value })
        where Int.random(in: 0..<30, using: &random) == 0 { reported.insert(action) }
    }

    mutating func run(seconds: Int) { for _ in 0..<seconds { tick() } }

    /// What supervision does in the end: actions that nobody carries are given to somebody else.
    mutating func replaceSilent() {
        let alive = workers.values.reduce(into: Set<MonitorActionID>()) { $0.formUnion($1.running.values) }
        let waiting = Set(queue.map(\.actionID))
        for (id, assignment) in wanted.sorted(by: { $0.key.value < $1.key.value })
        where !alive.contains(assignment.actionID) && !waiting.contains(assignment.actionID) {
            moveCount += 1
            assign(id)
        }
    }

    private mutating func reconcile() {
        let shown = desk.sightings(of: nil, now: now)
        for (id, sightings) in shown {
            for sighting in sightings {
                if wanted[id]?.actionID == sighting.actionID {
                    handed[id] = sighting.actionID
                } else {
                    desk.stop(MonitorTicket(id, sighting.actionID))
                }
            }
        }
        for (id, assignment) in wanted.sorted(by: { $0.key.value < $1.key.value })
        where shown[id]?.contains(where: { $0.actionID == assignment.actionID }) != true {
            var assignment = assignment
            // It was there and nobody shows it: it is never started a second time under its id.
            if reported.contains(assignment.actionID) || handed[id] == assignment.actionID {
                moveCount += 1
                assignment.actionID = MonitorActionID(freshID())
                wanted[id] = assignment
            }
            handed[id] = assignment.actionID
            if desk.launch(assignment, now: now) { queue.append(MonitorTicket(id, assignment.actionID)) }
        }
    }

    private mutating func announce(_ id: WorkerID) {
        guard var facts = workers[id]?.facts, let load = workers[id]?.core.load else { return }
        facts.load = load
        let orders = desk.announced(facts, now: now).0
        guard let steps = workers[id]?.core.ordered(orders) else { return }
        perform(steps, on: id)
    }

    private mutating func deliver(to id: WorkerID) {
        while let worker = workers[id], worker.open.count < worker.prefetch, !queue.isEmpty {
            let ticket = queue.removeFirst()
            workers[id]?.open[worker.nextTag] = ticket
            workers[id]?.nextTag += 1
            guard
                let steps = workers[id]?.core.delivered(
                    ticket, DeliveryTag(number: worker.nextTag, connection: 1))
            else { return }
            perform(steps, on: id)
        }
    }

    private mutating func ask(_ id: WorkerID) {
        while let batch = workers[id]?.core.takeBatch() {
            let isCarried = workers[id]?.core.asksForCarried ?? false
            let answers = batch.map { answer($0, to: id, isCarried: isCarried) }
            guard let steps = workers[id]?.core.answered(answers) else { return }
            perform(steps, on: id)
        }
    }

    private mutating func answer(_ ticket: MonitorTicket, to id: WorkerID, isCarried: Bool) -> TakeAnswer {
        let wanted = wanted[ticket.vimID]
        return
            switch desk.take(
                ticket, by: id, wanted: wanted, isCarried: isCarried,
                hasReported: reported.contains(ticket.actionID))
        {
        case .stale: .stale
        case .elsewhere: .elsewhere
        case .carry(let assignment): .carry(assignment, credentials: nil)
        }
    }

    private mutating func perform(_ steps: WorkerCore.Steps, on id: WorkerID) {
        if let prefetch = workers[id]?.core.takePrefetchChange() { workers[id]?.prefetch = prefetch }
        for tag in steps.acknowledge { workers[id]?.open[tag.number] = nil }
        for tag in steps.requeue {
            if let ticket = workers[id]?.open.removeValue(forKey: tag.number) { queue.insert(ticket, at: 0) }
        }
        for ticket in steps.stop where workers[id]?.running[ticket.vimID] == ticket.actionID {
            workers[id]?.running[ticket.vimID] = nil
        }
        for (assignment, _) in steps.carry {
            doubleCount += workers.count {
                $0.key != id && $0.value.running[assignment.vimID] == assignment.actionID
            }
            workers[id]?.running[assignment.vimID] = assignment.actionID
        }
        guard !steps.release.isEmpty else { return }
        let released = steps.release.filter { desk.released($0, by: id) }
        if let after = workers[id]?.core.released(steps.release) { perform(after, on: id) }
        for ticket in released where wanted[ticket.vimID]?.actionID == ticket.actionID {
            moveCount += 1
            assign(ticket.vimID)
        }
    }

    // MARK: What must hold

    /// VIMs whose wanted action does not run in exactly one worker.
    var unwatched: [VIMID] {
        wanted.values.filter { assignment in
            workers.values.count { $0.running[assignment.vimID] == assignment.actionID } != 1
        }.map(\.vimID)
    }

    /// Actions that run and are not the wanted ones.
    var staleCount: Int {
        workers.values.reduce(0) { sum, worker in
            sum + worker.running.count { wanted[$0.key]?.actionID != $0.value }
        }
    }

    /// Workers that carry more than they may, by what they say and by what runs in them.
    var overloadedCount: Int {
        workers.values.count { $0.core.load > $0.core.capacity || $0.running.count > $0.core.capacity }
    }

    /// The greatest distance of a worker's load from its part, as a fraction of the part; the three actions
    /// that a share's rounding and the narrowest dead zone may make do not count.
    var imbalance: Double {
        let capacitySum = workers.values.reduce(0) { $0 + $1.core.capacity }
        return workers.values.map { worker in
            let part = Double(wanted.count) * Double(worker.core.capacity) / Double(capacitySum)
            return max(0, abs(Double(worker.core.load) - part) - 3) / max(part, 1)
        }.max() ?? 0
    }
}
