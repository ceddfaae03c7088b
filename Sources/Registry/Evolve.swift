/// What an event makes of a VIM: pure, the same in serving, replay and rebuild.
///
/// - Parameter vim: the VIM before the event; nil before its registration.
/// - Returns: the VIM after the event.
/// - Throws: ``EvolveFault`` if the event cannot follow: the log holds what `decide` never lets happen.
public func evolve(_ vim: VIM?, by placed: PlacedEvent) throws(EvolveFault) -> VIM {
    guard var vim else {
        guard case .vimRegistered(let registered) = placed.event else {
            throw EvolveFault(
                position: placed.position, "\(placed.event.type.name) in a stream that has no VIM")
        }
        // The action id that is wanted comes with the next event, in the same batch.
        return VIM(
            id: registered.id, stream: placed.stream, configuration: registered.configuration,
            actionID: MonitorActionID(UniqueID(high: 0, low: 0)), createdAt: placed.time)
    }
    switch placed.event {
    case .vimRegistered:
        throw EvolveFault(position: placed.position, "a second vim.registered in one stream")
    case .vimUpdated(let updated):
        if let authURL = updated.changes.authURL, authURL != vim.configuration.authURL {
            // Nothing is known yet of the new endpoint.
            vim.watch.status = .pending
            vim.watch.finding = .unstated
        }
        vim.configuration.apply(updated.changes)
        vim.version += 1
        vim.watch.updatedAt = placed.time
    case .vimDeregistered:
        vim.deregisteredAt = placed.time
    case .vimStatusReported(let reported):
        vim.watch.evolve(by: reported, at: placed.time)
    case .vimMonitorAssigned(let assigned):
        vim.watch.actionID = assigned.actionID
        vim.watch.reportedAt = nil
    case .vimMonitorLaunched, .vimMonitorStopped, .vimCredentialsShredded, .commandRefused:
        break
    case .epochStarted:
        throw EvolveFault(position: placed.position, "conductor.epoch_started in a VIM's stream")
    case .logArchived, .logDropped, .vaultRotated:
        throw EvolveFault(position: placed.position, "\(placed.event.type.name) in a VIM's stream")
    }
    return vim
}

/// An event that cannot follow what went before.
public struct EvolveFault: Error, Hashable, Sendable {
    /// Where in the log.
    public let position: UInt64
    /// One sentence.
    public let sentence: String

    /// A fault at a position.
    public init(position: UInt64, _ sentence: String) {
        self.position = position
        self.sentence = sentence
    }
}

extension VIMConfiguration {
    /// Takes the changes over.
    public mutating func apply(_ changes: VIMChanges) {
        if let name = changes.name { self.name = name }
        if let description = changes.description { self.description = description }
        if let authURL = changes.authURL { self.authURL = authURL }
        if let project = changes.project { self.project = project }
        if let credentials = changes.credentials { self.credentials = credentials }
        if let placement = changes.placement { self.placement = placement }
        if let isDefault = changes.isDefault { self.isDefault = isDefault }
        if let extra = changes.extra {
            self.extra = extra.text
            monitor = extra.monitor
        }
    }
}
