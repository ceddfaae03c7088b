import Encodings
package import Logging
import Registry

/// A worker process: takes monitor actions from the broker's queue, as many as it has room for, and carries
/// them with the scheduler and probes that the embedded backend has.
package actor Worker {
    /// How a worker is set up.
    package struct Options: Sendable {
        /// What the operator calls it.
        package var name: String
        /// The machine.
        package var host: String
        /// The process on the machine.
        package var processID: UInt32
        /// The program's version.
        package var version: String
        /// How many actions it carries at most.
        package var capacity: Int
        /// What it must know to open credentials; nil if the broker's login is enough.
        package var secret: WorkerSecret?

        /// All parts at once.
        package init(
            name: String, host: String, processID: UInt32, version: String, capacity: Int,
            secret: WorkerSecret?
        ) {
            self.name = name
            self.host = host
            self.processID = processID
            self.version = version
            self.capacity = capacity
            self.secret = secret
        }
    }

    /// So long a call waits for its answer; after that it is made again.
    private static let callTimeout = Duration.seconds(10)
    /// Between tries when the conductor gives no answer.
    private static let retryPause = Duration.seconds(1)

    private enum Input: Sendable {
        case ticket(TicketEvent)
        case ended(MonitorTicket)
    }

    private let options: Options
    private let id: WorkerID
    private let key: WorkerKey
    private let conductor: any ConductorCalls
    private let tickets: any TicketSource
    private let host: ActionHost
    private let credentials = HeldCredentials()
    private let logger: Logger
    private var core: WorkerCore
    private var isConductorAway = false
    private var toldLoad = 0
    /// Bounded by the tickets that were ordered, and by the reports under way.
    private let inputs: AsyncStream<Input>
    private let inputsIn: AsyncStream<Input>.Continuation
    /// Elements when there may be something to ask for.
    private let asking: AsyncStream<Void>
    private let askingIn: AsyncStream<Void>.Continuation

    /// A worker that begins with ``run()``.
    package init(
        _ options: Options, conductor: any ConductorCalls, tickets: any TicketSource, logger: Logger
    ) {
        var random = SystemRandomNumberGenerator()
        id = WorkerID(UniqueID(using: &random))
        key = WorkerKey(secret: options.secret)
        self.options = options
        self.conductor = conductor
        self.tickets = tickets
        self.logger = logger
        core = WorkerCore(capacity: options.capacity)
        let (inputs, inputsIn) = AsyncStream<Input>.makeStream()
        (self.inputs, self.inputsIn) = (inputs, inputsIn)
        (asking, askingIn) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        // Assignments come with every setting filled in, and the interval with the first orders.
        host = ActionHost(
            credentials: credentials, defaults: MonitorSettings(), reportInterval: .seconds(60),
            logger: logger,
            reporter: { (report) async throws(CommandFailure) in
                let answer = try await conductor.report(report, timeout: Worker.callTimeout)
                if answer == .badAction { inputsIn.yield(.ended(MonitorTicket(report.id, report.actionID))) }
                return answer
            })
    }

    /// How many actions it carries.
    package var load: Int { core.load }

    /// Works until its task is cancelled, then ends within seconds; call it once.
    package func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.host.run() }
            group.addTask {
                await self.tickets.run { [inputsIn = self.inputsIn] in inputsIn.yield(.ticket($0)) }
            }
            group.addTask { await self.announceAgainAndAgain() }
            group.addTask { await self.askAgainAndAgain() }
            for await input in inputs { await take(input) }
            group.cancelAll()
        }
    }

    /// Takes nothing more and gives everything back, so that it runs elsewhere at once.
    ///
    /// - Parameter limit: after so long it returns although there was no answer; what is left then falls
    ///   silent and is lost to others in that way.
    /// - Returns: how many actions could not be given back.
    package func drain(within limit: Duration) async -> Int {
        let deadline = ContinuousClock.now + limit
        var steps = core.drain()
        logger.notice("giving back what this worker carries", metadata: ["actions": "\(steps.release.count)"])
        while true {
            var left = steps.release
            steps.release = []
            await apply(steps)
            while !left.isEmpty, .now < deadline, !Task.isCancelled {
                let chunk = Array(left.prefix(ReleaseCall.ticketMax))
                let patience = min(Worker.callTimeout, ContinuousClock.now.duration(to: deadline))
                if await release(chunk, leaves: true, timeout: patience) {
                    left.removeFirst(chunk.count)
                } else {
                    try? await Task.sleep(for: .milliseconds(100))
                }
            }
            guard left.isEmpty, .now < deadline, core.load > 0 || core.isAsking else { break }
            // An answer that was on its way when this began brought something more.
            try? await Task.sleep(for: .milliseconds(50))
            steps = core.drain()
        }
        if core.load == 0 {
            // Also with empty hands: the others' shares grow at once.
            _ = await release([], leaves: true, timeout: .seconds(1))
        }
        return core.load
    }

    // MARK: Tickets

    private func take(_ input: Input) async {
        switch input {
        case .ended(let ticket):
            core.ended(ticket)
            credentials.forget(ticket.vimID, for: ticket.actionID)
            await apply(WorkerCore.Steps())
        case .ticket(.connected), .ticket(.disconnected):
            core.disconnected()
            await apply(WorkerCore.Steps())
        case .ticket(.delivered(let body, let tag)):
            do throws(WireFault) {
                await apply(core.delivered(try MonitorTicket(body: body), tag))
            } catch {
                // It would come back for ever.
                logger.warning("dropped from the queue: \(error)")
                tickets.order(.acknowledge([tag]))
            }
        }
    }

    private func apply(_ steps: WorkerCore.Steps) async {
        // Before anything is acknowledged: the broker would send more at once.
        if let prefetch = core.takePrefetchChange() { tickets.order(.consume(prefetch)) }
        if !steps.acknowledge.isEmpty { tickets.order(.acknowledge(steps.acknowledge)) }
        if !steps.requeue.isEmpty { tickets.order(.requeue(steps.requeue)) }
        if core.isAsking { askingIn.yield() }
        for ticket in steps.stop {
            await host.stop(ticket.vimID, actionID: ticket.actionID)
            credentials.forget(ticket.vimID, for: ticket.actionID)
        }
        for (assignment, secrets) in steps.carry {
            // Meanwhile it may have been given back.
            guard core.held[assignment.vimID] == assignment.actionID else { continue }
            credentials.keep(secrets, of: assignment.vimID, for: assignment.actionID)
            // One that runs already is adjusted.
            await host.launch(assignment)
        }
        for start in stride(from: 0, to: steps.release.count, by: ReleaseCall.ticketMax) {
            let chunk = Array(steps.release[start...].prefix(ReleaseCall.ticketMax))
            guard await release(chunk, leaves: false, timeout: Worker.callTimeout) else { break }
        }
    }

    private func askAgainAndAgain() async {
        for await _ in asking {
            while let batch = core.takeBatch() {
                let call = TakeCall(
                    worker: id, tickets: batch, areCarried: core.asksForCarried, publicKey: key.publicKey)
                do {
                    let result = try await conductor.call(
                        TakeCall.method, call.arguments, timeout: Worker.callTimeout)
                    let reply = try TakeReply(json: result, call: call, key: key)
                    await apply(core.answered(reply.answers))
                    answered()
                } catch {
                    core.unanswered()
                    unanswered("\(error)")
                    guard (try? await Task.sleep(for: Worker.retryPause)) != nil else { return }
                }
            }
        }
    }

    private func release(_ batch: [MonitorTicket], leaves: Bool, timeout: Duration) async -> Bool {
        let reason = leaves ? "worker \(options.name) is stopping" : "worker \(options.name) is relieved"
        let call = ReleaseCall(worker: id, tickets: batch, reason: reason, leaves: leaves)
        do throws(CallFault) {
            _ = try await conductor.call(ReleaseCall.method, call.arguments, timeout: timeout)
        } catch {
            unanswered("\(error)")
            return false
        }
        await apply(core.released(batch))
        return true
    }

    // MARK: Orders

    private func announceAgainAndAgain() async {
        while !Task.isCancelled {
            let facts = WorkerFacts(
                id: id, name: options.name, host: options.host, processID: options.processID,
                version: options.version, load: core.load, capacity: core.capacity)
            var pause = Worker.retryPause
            do {
                let result = try await conductor.call(
                    AnnounceCall.method, AnnounceCall.arguments(facts), timeout: Worker.callTimeout)
                let orders = try WorkerOrders(json: result)
                answered()
                await host.setReportInterval(orders.reportInterval)
                let steps = core.ordered(orders)
                await apply(steps)
                pause = steps.announcesAtOnce ? .zero : orders.announceInterval
                tellLoad()
            } catch { unanswered("\(error)") }
            // Spread, so that a hundred workers do not speak in one moment.
            try? await Task.sleep(for: pause * Double.random(in: 0.9...1.1))
        }
    }

    private func tellLoad() {
        guard core.load != toldLoad else { return }
        toldLoad = core.load
        logger.info("carrying \(core.load) monitor actions of at most \(core.capacity)")
    }

    /// Once for the trouble, not once for each call.
    private func unanswered(_ reason: String) {
        if isConductorAway || Task.isCancelled { return }
        isConductorAway = true
        logger.warning(
            "the conductor gives no answer; probing goes on, and it is asked again and again",
            metadata: ["reason": "\(reason)"])
    }

    private func answered() {
        if isConductorAway { logger.notice("the conductor answers again") }
        isConductorAway = false
    }
}
