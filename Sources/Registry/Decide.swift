/// What a command leads to: the events to append and the answer to give once they are durable.
public struct Decision: Hashable, Sendable {
    /// An event and the stream it goes to.
    public struct Addressed: Hashable, Sendable {
        /// The dense number of the stream; 0 is the conductor's own.
        public var stream: UInt32
        /// The fact.
        public var event: Event

        /// All parts at once.
        public init(stream: UInt32, event: Event) {
            self.stream = stream
            self.event = event
        }
    }

    /// The answer, before the VIM it may show has taken in the events.
    public enum Answer: Hashable, Sendable {
        /// Show the VIM as it is after the events.
        case vim(VIMID)
        /// Answer the report.
        case reported(ReportAnswer)
        /// Nothing but that it was taken.
        case noted
        /// Nothing had to be done.
        case ignored
        /// No; the events, if any, remember that.
        case refused(Refusal)
    }

    /// What to append, in order.
    public var events: [Addressed]
    /// What to answer.
    public var answer: Answer

    /// All parts at once.
    public init(events: [Addressed] = [], answer: Answer) {
        self.events = events
        self.answer = answer
    }
}

/// Decides a command: pure, the same in serving, in tests and in the simulator.
public func decide(_ command: Command, on registry: some RegistryView) -> Decision {
    switch command {
    case .register(let wish): decide(wish, on: registry)
    case .update(let wish): decide(wish, on: registry)
    case .deregister(let wish): decide(wish, on: registry)
    case .report(let report): decide(report, on: registry)
    case .assignMonitor(let wish): decide(wish, on: registry)
    case .noteLaunch(let note): decide(note, on: registry) { .vimMonitorLaunched($0) }
    case .noteStop(let note): decide(note, on: registry) { .vimMonitorStopped($0) }
    case .startEpoch(let started):
        Decision(events: [.init(stream: 0, event: .epochStarted(started))], answer: .noted)
    case .noteArchived(let archived):
        Decision(events: [.init(stream: 0, event: .logArchived(archived))], answer: .noted)
    case .noteDropped(let dropped):
        Decision(events: [.init(stream: 0, event: .logDropped(dropped))], answer: .noted)
    case .noteVaultRotated(let rotated):
        Decision(events: [.init(stream: 0, event: .vaultRotated(rotated))], answer: .noted)
    }
}

private func decide(_ wish: RegisterVIM, on registry: some RegistryView) -> Decision {
    precondition(registry.monitorFacts(wish.id) == nil, "a fresh VIM id was used before")
    let configuration = wish.configuration
    if let refusal = ruleBroken(
        name: configuration.name, isDefault: configuration.isDefault, tenantID: configuration.tenantID,
        by: nil,
        on: registry)
    {
        return refused(refusal, command: "register", vimID: nil, stream: 0, actor: wish.actor)
    }
    let stream = registry.nextStream
    let registered = VIMRegistered(id: wish.id, configuration: configuration, actor: wish.actor)
    let assigned = VIMMonitorAssigned(
        actionID: wish.actionID, reason: .registered, detail: "", actor: wish.actor)
    return Decision(
        events: [
            .init(stream: stream, event: .vimRegistered(registered)),
            .init(stream: stream, event: .vimMonitorAssigned(assigned)),
        ],
        answer: .vim(wish.id))
}

private func decide(_ wish: UpdateVIM, on registry: some RegistryView) -> Decision {
    guard let vim = registry.vim(wish.id), vim.isRegistered else {
        return refusedAsUnknown(wish.id, command: "update", actor: wish.actor, on: registry)
    }
    if let expected = wish.expectedVersion, expected != vim.version {
        // Not remembered: the caller retries at once, and the auditor sees the update that came first.
        return Decision(answer: .refused(.versionConflict(expected: expected, actual: vim.version)))
    }
    let changes = wish.changes
    if let refusal = ruleBroken(
        name: changes.name ?? vim.configuration.name,
        isDefault: changes.isDefault ?? vim.configuration.isDefault,
        tenantID: vim.configuration.tenantID, by: wish.id, on: registry)
    {
        return refused(
            refusal, command: "update", vimID: wish.id, stream: vim.stream, actor: wish.actor)
    }
    let updated = VIMUpdated(changes: changes, actor: wish.actor)
    var events = [Decision.Addressed(stream: vim.stream, event: .vimUpdated(updated))]
    let movesEndpoint = changes.authURL.map { $0 != vim.configuration.authURL } ?? false
    if movesEndpoint || changes.credentials != nil {
        let detail = movesEndpoint ? "auth_url changed" : "credentials changed"
        let assigned = VIMMonitorAssigned(
            actionID: wish.actionID, reason: .endpointChanged, detail: detail, actor: wish.actor)
        events.append(.init(stream: vim.stream, event: .vimMonitorAssigned(assigned)))
    }
    return Decision(events: events, answer: .vim(wish.id))
}

private func decide(_ wish: DeregisterVIM, on registry: some RegistryView) -> Decision {
    guard let facts = registry.monitorFacts(wish.id), facts.isRegistered else {
        return refusedAsUnknown(wish.id, command: "deregister", actor: wish.actor, on: registry)
    }
    return Decision(
        events: [
            .init(stream: facts.stream, event: .vimDeregistered(VIMDeregistered(actor: wish.actor))),
            .init(stream: facts.stream, event: .vimCredentialsShredded),
        ],
        answer: .vim(wish.id))
}

private func decide(_ report: StatusReport, on registry: some RegistryView) -> Decision {
    // No claim, and an event that could not be read again.
    guard report.status != .pending else {
        return Decision(answer: .refused(.unknownStatus(report.status.word)))
    }
    let judgement = judge(report, by: registry.monitorFacts(report.id))
    return Decision(
        events: [.init(stream: judgement.stream, event: .vimStatusReported(judgement.reported))],
        answer: .reported(judgement.answer))
}

/// What a status report comes to.
public struct Judgement: Sendable {
    /// The stream its event goes to.
    public var stream: UInt32
    /// The fact to append.
    public var reported: VIMStatusReported
    /// What to answer.
    public var answer: ReportAnswer
}

/// Judges a status report by what is known of its VIM (nil: there never was such a VIM).
///
/// The hot half of ``decide(_:on:)``, apart so that the conductor can decide reports without an allocation.
/// The report's status is not `pending`.
public func judge(_ report: StatusReport, by facts: MonitorFacts?) -> Judgement {
    precondition(report.status != .pending, "pending is no monitor's claim")
    let isAccepted = facts.map { $0.isRegistered && $0.actionID == report.actionID } ?? false
    return Judgement(
        stream: facts?.stream ?? 0,
        reported: VIMStatusReported(
            actionID: report.actionID, status: report.status, verdict: isAccepted ? .accepted : .badAction,
            finding: report.finding, unknownVIM: facts == nil ? report.id : nil),
        answer: isAccepted ? .accepted(report.status) : .badAction)
}

private func decide(_ wish: AssignMonitor, on registry: some RegistryView) -> Decision {
    guard let facts = registry.monitorFacts(wish.id), facts.isRegistered, facts.actionID == wish.replacing
    else { return Decision(answer: .ignored) }
    let assigned = VIMMonitorAssigned(
        actionID: wish.actionID, reason: wish.reason, detail: wish.detail, actor: wish.actor)
    return Decision(
        events: [.init(stream: facts.stream, event: .vimMonitorAssigned(assigned))], answer: .noted)
}

private func decide(
    _ note: MonitorNote, on registry: some RegistryView, event: (VIMMonitorNoted) -> Event
) -> Decision {
    guard let facts = registry.monitorFacts(note.id) else { return Decision(answer: .ignored) }
    let noted = VIMMonitorNoted(actionID: note.actionID, backend: note.backend, reason: note.reason)
    return Decision(events: [.init(stream: facts.stream, event: event(noted))], answer: .noted)
}

/// The rules that span a tenant's VIMs: unique names, at most one default.
private func ruleBroken(
    name: String, isDefault: Bool, tenantID: String, by id: VIMID?, on registry: some RegistryView
) -> Refusal? {
    if isDefault, let other = registry.defaultVIMID(of: tenantID), other != id {
        return .defaultExists(other)
    }
    if let other = registry.vimID(named: name, of: tenantID), other != id { return .nameTaken(name) }
    return nil
}

private func refusedAsUnknown(
    _ id: VIMID, command: String, actor: Actor, on registry: some RegistryView
) -> Decision {
    let stream = registry.monitorFacts(id)?.stream ?? 0
    return refused(.vimNotFound(id), command: command, vimID: id, stream: stream, actor: actor)
}

private func refused(
    _ refusal: Refusal, command: String, vimID: VIMID?, stream: UInt32, actor: Actor
) -> Decision {
    let event = CommandRefused(
        command: command, refusal: refusal.word, sentence: refusal.sentence, vimID: vimID, actor: actor)
    return Decision(
        events: [.init(stream: stream, event: .commandRefused(event))], answer: .refused(refusal))
}
