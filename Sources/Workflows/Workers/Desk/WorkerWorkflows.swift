package import AMQP
import Encodings
package import Logging
package import OsloMessaging
package import Registry
import Synchronization

/// Runs monitor actions on worker processes: tickets go through a queue of the broker, everything else over
/// the conductor's RPC, whose ``methods`` for workers are here.
package final class WorkerWorkflows: MonitorBackend, ProbeJournal {
    /// How the backend is set up.
    package struct Options: Sendable {
        /// The brokers.
        package var url: BrokerURL
        /// The conductor's topic, which gives the queue its name.
        package var topic: String
        /// The conductor's epoch.
        package var epoch: UInt64
        /// What VIMs leave out of `extra.monitor`.
        package var defaults = MonitorSettings()
        /// Actions report at least so often.
        package var reportInterval = Duration.seconds(60)
        /// What workers must know to open credentials; nil if the broker's login is enough.
        package var secret: WorkerSecret?

        /// Options for a topic at a broker.
        package init(url: BrokerURL, topic: String, epoch: UInt64) {
            self.url = url
            self.topic = topic
            self.epoch = epoch
        }
    }

    /// The word stored with launches and stops.
    package let name = "workers"
    /// Workers live on when the conductor ends.
    package let actionsOutliveConductor = true
    /// What to look at when nobody takes actions.
    package let adviceOnSilence: String? =
        "see 'vedette workers'; if none has room, start another 'vedette worker' or raise --capacity"

    private let desk: Mutex<WorkerDesk>
    private let writer: any TicketSink
    private let registry: any AssignmentSource
    private let credentials: any CredentialSource
    private let submitter: any CommandSubmitter
    private let secret: WorkerSecret?
    private let logger: Logger
    private let beginning = ContinuousClock.now
    /// Calls on their way to the tasks of ``run()``; bounded by the RPC server's prefetch count.
    private let calls: AsyncStream<Call>
    private let callsIn: AsyncStream<Call>.Continuation

    private typealias Reply = @Sendable (Result<JSONValue, RPCFailure>) -> Void

    private enum Call: Sendable {
        case take(TakeCall, Reply)
        case release(ReleaseCall, Reply)
    }

    /// A backend that begins with ``run()``.
    ///
    /// - Parameters:
    ///   - registry: says what is wanted.
    ///   - credentials: gives wanted actions, and no other, their VIM's `auth_cred`.
    ///   - submitter: takes the wish for a successor of an action that was given back.
    package convenience init(
        _ options: Options, registry: any AssignmentSource, credentials: any CredentialSource,
        submitter: any CommandSubmitter, logger: Logger
    ) {
        let settings = WorkerDesk.Settings(
            epoch: options.epoch, reportInterval: options.reportInterval, defaults: options.defaults)
        self.init(
            settings, secret: options.secret,
            writer: TicketWriter(
                options.url, queue: TicketQueue.name(topic: options.topic),
                ticketLife: settings.ticketLife, logger: logger),
            registry: registry, credentials: credentials, submitter: submitter, logger: logger)
    }

    init(
        _ settings: WorkerDesk.Settings, secret: WorkerSecret?, writer: any TicketSink,
        registry: any AssignmentSource, credentials: any CredentialSource,
        submitter: any CommandSubmitter, logger: Logger
    ) {
        desk = Mutex(WorkerDesk(settings, inherited: registry.wantedActions()))
        self.writer = writer
        self.registry = registry
        self.credentials = credentials
        self.submitter = submitter
        self.secret = secret
        self.logger = logger
        (calls, callsIn) = AsyncStream.makeStream()
    }

    private var now: Duration { beginning.duration(to: .now) }

    /// Works until its task is cancelled; call it once.
    package func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask {
                await self.writer.run { isUp in
                    self.desk.withLock { $0.connection(isUp: isUp, now: self.now) }
                }
            }
            group.addTask { await self.keepTime() }
            for await call in calls { group.addTask { await self.answer(call) } }
            group.cancelAll()
        }
    }

    /// The workers that announced themselves lately.
    package func workers() -> [WorkerSighting] {
        desk.withLock { desk in
            desk.sights(now: now).map {
                WorkerSighting(
                    id: $0.facts.id.value, name: $0.facts.name, host: $0.facts.host,
                    processID: $0.facts.processID, version: $0.facts.version, load: $0.load,
                    loadMax: $0.loadMax, capacity: $0.facts.capacity, silence: $0.silence)
            }
        }
    }

    /// Actions that no worker has taken yet.
    package var waitingCount: Int { desk.withLock { $0.waitingCount } }

    private func keepTime() async {
        while (try? await Task.sleep(for: .milliseconds(500))) != nil {
            let (silent, tickets, shortage) = desk.withLock { desk in
                (
                    desk.forgetSilent(now: now), desk.isUp ? desk.unwritten(now: now) : [],
                    desk.takeShortage(now: now)
                )
            }
            for ticket in tickets { writer.write(ticket) }
            for worker in silent {
                logger.warning(
                    "a worker is silent; what it carried is given to others as it falls silent, too",
                    metadata: worker.metadata)
            }
            switch shortage {
            case 0: logger.notice("all monitor actions have found a worker")
            case let count?:
                logger.warning(
                    """
                    \(count) monitor actions wait for a worker with room: start another 'vedette worker', or \
                    raise --capacity
                    """)
            case nil: break
            }
        }
    }
}

// MARK: The reconciler's side

extension WorkerWorkflows {
    /// What was given out.
    package func sightings(of vims: Set<VIMID>?) async -> [VIMID: [MonitorSighting]] {
        desk.withLock { $0.sightings(of: vims, now: now) }
    }

    /// Writes the action's ticket.
    package func launch(_ assignment: MonitorAssignment) async throws {
        let ticket = MonitorTicket(assignment.vimID, assignment.actionID)
        let isNew = try desk.withLock { desk in
            guard desk.isUp else { throw BrokerAway() }
            return desk.launch(assignment, now: now)
        }
        if isNew { writer.write(ticket) }
    }

    /// The worker hears of it when it next announces itself.
    package func adjust(_ assignment: MonitorAssignment) async -> Bool {
        desk.withLock { $0.adjust(assignment) }
        return true
    }

    /// The worker hears of it when it next announces itself, or by `bad_action` if it reports before.
    package func stop(_ vimID: VIMID, actionID: MonitorActionID) async {
        desk.withLock { $0.stop(MonitorTicket(vimID, actionID)) }
    }
}

extension WorkerWorkflows {
    /// Nil: workers keep the last probes of what they carry to themselves.
    package func record(of vimID: VIMID) async -> ProbeRecord? { nil }
}

/// Nothing can be given out now.
struct BrokerAway: Error, CustomStringConvertible {
    let description = "the broker cannot be reached"
}

// MARK: The workers' side

extension WorkerWorkflows {
    /// What workers call, to be served on the conductor's topic.
    package var methods: [any RPCMethod] {
        [
            WorkerMethod(name: AnnounceCall.method) { (arguments, reply) throws(WireFault) in
                try self.announce(arguments, reply)
            },
            WorkerMethod(name: TakeCall.method) { (arguments, reply) throws(WireFault) in
                self.enqueue(.take(try TakeCall(arguments), reply), reply)
            },
            WorkerMethod(name: ReleaseCall.method) { (arguments, reply) throws(WireFault) in
                self.enqueue(.release(try ReleaseCall(arguments), reply), reply)
            },
        ]
    }

    private func announce(_ arguments: [String: JSONValue], _ reply: Reply) throws(WireFault) {
        let facts = try AnnounceCall.facts(arguments)
        let (orders, isNew) = desk.withLock { $0.announced(facts, now: now) }
        if isNew { logger.notice("a worker is there", metadata: facts.metadata) }
        if orders.surplus > 0 {
            logger.info("a worker gives \(orders.surplus) actions to others", metadata: facts.metadata)
        }
        reply(.success(orders.json))
    }

    private func enqueue(_ call: Call, _ reply: Reply) {
        if case .enqueued = callsIn.yield(call) { return }
        reply(.failure(RPCFailure(className: "Stopping", module: "vedette", message: "the server stops")))
    }

    private func answer(_ call: Call) async {
        switch call {
        case .take(let call, let reply): await answer(call, reply)
        case .release(let call, let reply): await answer(call, reply)
        }
    }

    private func answer(_ call: TakeCall, _ reply: Reply) async {
        var answers: [TakeAnswer] = []
        var byteCount = 0
        for ticket in call.tickets {
            guard byteCount < TakeReply.credentialByteMax else {
                answers.append(.later)
                continue
            }
            let answer = await answer(ticket, of: call)
            if case .carry(let assignment, let credentials) = answer {
                byteCount += (credentials?.description.utf8.count ?? 0) + assignment.authURL.utf8.count
            }
            answers.append(answer)
        }
        do throws(WireFault) {
            reply(.success(try TakeReply(answers: answers).json(sealedTo: call.publicKey, under: secret)))
        } catch { reply(.failure(.badValue("\(error)"))) }
    }

    private func answer(_ ticket: MonitorTicket, of call: TakeCall) async -> TakeAnswer {
        let wanted = registry.assignment(of: ticket.vimID)
        let hasReported = registry.hasReported(ticket.actionID, of: ticket.vimID)
        switch desk.withLock({
            $0.take(
                ticket, by: call.worker, wanted: wanted, isCarried: call.areCarried, hasReported: hasReported)
        }) {
        case .stale: return .stale
        case .elsewhere: return .elsewhere
        case .carry(let assignment):
            // Asked for by the action's id once more: it may have become stale this very moment.
            var secrets = await credentials.credentials(of: ticket.vimID, for: ticket.actionID)
            if let count = secrets?.description.utf8.count, count > TakeReply.credentialByteMax * 2 {
                logger.warning(
                    "credentials of \(count) bytes are too large for a worker; its probes go without",
                    metadata: ["vim_id": "\(ticket.vimID)"])
                secrets = nil
            }
            return .carry(assignment, credentials: secrets)
        }
    }

    private func answer(_ call: ReleaseCall, _ reply: Reply) async {
        let facts = call.leaves ? desk.withLock { $0.left(call.worker) } : nil
        let released = desk.withLock { desk in
            call.tickets.filter { desk.released($0, by: call.worker) }
        }
        await withTaskGroup(of: Void.self) { group in
            for ticket in released {
                var random = SystemRandomNumberGenerator()
                let wish = AssignMonitor(
                    id: ticket.vimID, replacing: ticket.actionID,
                    actionID: MonitorActionID(UniqueID(using: &random)), reason: .handedBack,
                    detail: call.reason)
                // If it cannot be stored now, the action's silence will tell.
                group.addTask { _ = try? await self.submitter.submit(.assignMonitor(wish)) }
            }
        }
        if !call.tickets.isEmpty {
            logger.info("\(call.tickets.count) monitor actions were given back: \(call.reason)")
        }
        if let facts { logger.notice("a worker is leaving", metadata: facts.metadata) }
        reply(.success(.null))
    }
}

extension WorkerFacts {
    fileprivate var metadata: Logger.Metadata {
        [
            "worker": "\(name)", "host": "\(host)", "process_id": "\(processID)", "version": "\(version)",
            "capacity": "\(capacity)",
        ]
    }
}

/// A method for workers; what it is given is read first, and a fault is the caller's.
private struct WorkerMethod: RPCMethod {
    let name: String
    let body:
        @Sendable (
            [String: JSONValue], @escaping @Sendable (Result<JSONValue, RPCFailure>) -> Void
        ) throws(WireFault) -> Void

    init(
        name: String,
        _ body:
            @escaping @Sendable (
                [String: JSONValue], @escaping @Sendable (Result<JSONValue, RPCFailure>) -> Void
            ) throws(WireFault) -> Void
    ) {
        self.name = name
        self.body = body
    }

    func call(
        _ arguments: RPCArguments, reply: @escaping @Sendable (Result<JSONValue, RPCFailure>) -> Void
    ) {
        do throws(WireFault) { try body(arguments.members, reply) } catch {
            reply(.failure(.badArguments("\(name)() was given \(error)")))
        }
    }
}
