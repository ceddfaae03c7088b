public import EventLog
public import Registry

/// The registry as the log tells it: one row per VIM, in memory, dense by stream number.
///
/// A fold of events: the same rows come out of serving, of replay after a restart and of a rebuild. A status
/// report touches one small row and allocates nothing.
public struct VIMTable: Sendable {
    /// The parts of a VIM that only users change; shared between copies of the table.
    struct Details: Hashable, Sendable {
        var configuration: VIMConfiguration
        var version: UInt32
        var createdAt: Timestamp
        var deregisteredAt: Timestamp?
    }

    /// Keeps a row's details in one allocation that copies of the table share.
    indirect enum Shared: Sendable {
        case details(Details)

        var details: Details {
            switch self {
            case .details(let details): details
            }
        }
    }

    private struct OwnedName: Hashable, Sendable {
        var tenantID: ExactText
        var name: ExactText

        init(tenantID: String, name: String) {
            self.tenantID = ExactText(tenantID)
            self.name = ExactText(name)
        }
    }

    /// A text that equals only the same bytes: "é" may be written in two ways, and filters tell them apart.
    private struct ExactText: Hashable, Sendable {
        let text: String

        init(_ text: String) { self.text = text }

        static func == (left: ExactText, right: ExactText) -> Bool {
            left.text.utf8.elementsEqual(right.text.utf8)
        }

        func hash(into hasher: inout Hasher) {
            var text = text
            text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        }
    }

    var ids: [VIMID] = []
    var watches: [Watch] = []
    var lastPositions: [UInt64] = []
    var details: [Shared] = []
    /// Told of every report's VIM, so dense, and not behind the box of its details.
    private var areRegistered: [Bool] = []
    /// The last position in stream 0.
    var lastConductorPosition: UInt64 = 0
    var entries: [StoredHistoryEntry] = []
    private var index = StreamIndex()
    private var rowsByName: [OwnedName: UInt32] = [:]
    private var defaultRows: [ExactText: UInt32] = [:]

    /// The position of the last event taken in; 0 before the first.
    public internal(set) var position: UInt64 = 0

    /// The table before the first event.
    public init() {}

    /// How many VIMs there ever were, and so the number of streams beside the conductor's own.
    public var streamCount: Int { ids.count }

    /// How many VIMs are registered.
    public var registeredCount: Int { rowsByName.count }

    /// The position of a stream's last event; 0 if it has none.
    public func lastPosition(inStream stream: UInt32) -> UInt64 {
        if stream == 0 { return lastConductorPosition }
        let row = Int(stream) - 1
        return row < lastPositions.count ? lastPositions[row] : 0
    }

    /// The VIM of a stream; nil if there is none.
    public func vim(ofStream stream: UInt32) -> VIM? {
        stream > 0 && Int(stream) <= ids.count ? vim(row: Int(stream) - 1) : nil
    }

    /// The id of a stream's VIM; nil if there is none.
    public func vimID(ofStream stream: UInt32) -> VIMID? {
        stream > 0 && Int(stream) <= ids.count ? ids[Int(stream) - 1] : nil
    }

    /// All VIMs there ever were, in order of registration.
    public var allVIMs: some Sequence<VIM> { ids.indices.lazy.map { vim(row: $0) } }

    /// Takes in the next event of the log as it is stored.
    ///
    /// - Throws: ``ProjectionFault`` if the event cannot be read or cannot follow; the table is unchanged.
    public mutating func apply(_ recorded: RecordedEvent) throws(ProjectionFault) {
        let envelope = recorded.envelope
        if envelope.type == EventType.vimStatusReported.rawValue {
            let reported: VIMStatusReported
            do throws(PayloadFault) {
                reported = try VIMStatusReported(format: envelope.format, payload: recorded.payload)
            } catch { throw ProjectionFault(position: recorded.position, error) }
            try apply(
                reported, stream: envelope.stream, position: recorded.position,
                time: Timestamp(microseconds: envelope.time))
            return
        }
        let placed: PlacedEvent
        do throws(PayloadFault) { placed = try PlacedEvent(recorded) } catch {
            throw ProjectionFault(position: recorded.position, error)
        }
        try apply(placed)
    }

    /// Takes in the next event of the log.
    ///
    /// - Throws: ``ProjectionFault`` if the event cannot follow; the table is unchanged.
    public mutating func apply(_ placed: PlacedEvent) throws(ProjectionFault) {
        if case .vimStatusReported(let reported) = placed.event {
            try apply(reported, stream: placed.stream, position: placed.position, time: placed.time)
            return
        }
        try expect(placed.position, stream: placed.stream)
        guard placed.stream > 0 else {
            try VIMTable.expectOutsideVIMs(placed)
            if case .logDropped(let dropped) = placed.event { forgetHistory(upTo: dropped.lastPosition) }
            lastConductorPosition = placed.position
            position = placed.position
            return
        }
        let row = Int(placed.stream) - 1
        let before = row < ids.count ? vim(row: row) : nil
        let after = try VIMTable.outcome(of: placed, on: before)
        if before == nil { addRow(after, at: placed.position) } else { change(row, to: after, from: before) }
        lastPositions[row] = placed.position
        position = placed.position
        note(placed.event, of: after, at: placed)
    }

    /// Takes in the next event of the log, a status report: the hot path, which touches one watch and one
    /// position.
    ///
    /// - Throws: ``ProjectionFault`` if the event cannot follow; the table is unchanged.
    public mutating func apply(
        _ reported: VIMStatusReported, stream: UInt32, position: UInt64, time: Timestamp
    ) throws(ProjectionFault) {
        try expect(position, stream: stream)
        let row = Int(stream) - 1
        guard row < ids.count else {
            throw ProjectionFault(position: position, "a report in stream \(stream), which has no VIM")
        }
        self.position = position
        guard stream > 0 else {
            lastConductorPosition = position
            return
        }
        lastPositions[row] = position
        if watches[row].evolve(by: reported, at: time) {
            entries.append(
                StoredHistoryEntry(
                    position: position, time: time, stream: stream, kind: .monitor, status: reported.status,
                    finding: reported.finding))
        }
    }

    /// Takes in the events of a batch that follow the last one taken in, up to a position.
    ///
    /// - Throws: ``ProjectionFault`` at the first event that cannot be read or cannot follow; those before it
    ///   are taken in.
    public mutating func apply(_ batch: BatchView, upTo end: UInt64) throws(ProjectionFault) {
        var events = batch.events
        while true {
            let next: RecordedEvent?
            do throws(FormatFault) { next = try events.next() } catch {
                throw ProjectionFault(position: batch.firstPosition, error.sentence)
            }
            guard let event = next, event.position <= end else { return }
            if event.position > position, !fold(event) { try apply(event) }
        }
    }

    /// Takes in a report of a known VIM: the hot loop of replay, which touches one watch and one position.
    ///
    /// False if it is anything else, which ``apply(_:)`` knows how to take in or refuse.
    @inline(__always)
    private mutating func fold(_ event: RecordedEvent) -> Bool {
        let envelope = event.envelope
        // Stream 0 wraps around, and there never are so many VIMs.
        let row = Int(envelope.stream &- 1)
        guard envelope.type == EventType.vimStatusReported.rawValue, event.position == position + 1,
            row < watches.count, let claim = StatusClaim(format: envelope.format, payload: event.payload)
        else { return false }
        position = event.position
        lastPositions[row] = position
        let time = Timestamp(microseconds: envelope.time)
        if claim.isAccepted, watches[row].accept(claim.status, claim.finding, at: time) {
            entries.append(
                StoredHistoryEntry(
                    position: position, time: time, stream: envelope.stream, kind: .monitor,
                    status: claim.status, finding: claim.finding))
        }
        return true
    }

    /// What an event makes of its stream's VIM.
    static func outcome(of placed: PlacedEvent, on vim: VIM?) throws(ProjectionFault) -> VIM {
        do throws(EvolveFault) { return try evolve(vim, by: placed) } catch {
            throw ProjectionFault(position: placed.position, error.sentence)
        }
    }

    static func expectOutsideVIMs(_ placed: PlacedEvent) throws(ProjectionFault) {
        guard !placed.event.mayStandOutsideVIMs else { return }
        throw ProjectionFault(
            position: placed.position, "\(placed.event.type.name) in the conductor's own stream")
    }

    private func expect(_ position: UInt64, stream: UInt32) throws(ProjectionFault) {
        guard position == self.position + 1 else {
            throw ProjectionFault(position: position, "it follows position \(self.position)")
        }
        guard Int(stream) <= ids.count + 1 else {
            throw ProjectionFault(position: position, "stream \(stream) skips stream \(ids.count + 1)")
        }
    }

    func vim(row: Int) -> VIM {
        let details = details[row].details
        return VIM(
            id: ids[row], stream: UInt32(row) + 1, configuration: details.configuration,
            version: details.version,
            watch: watches[row], createdAt: details.createdAt, deregisteredAt: details.deregisteredAt)
    }

    /// Appends a row as it is; used by replay and by the checkpoint's reader.
    mutating func addRow(_ vim: VIM, at position: UInt64) {
        ids.append(vim.id)
        watches.append(vim.watch)
        lastPositions.append(position)
        details.append(VIMTable.share(vim))
        areRegistered.append(vim.isRegistered)
        index.addLast(of: ids)
        if vim.isRegistered { claim(vim, row: ids.count - 1) }
    }

    private mutating func change(_ row: Int, to vim: VIM, from before: VIM?) {
        watches[row] = vim.watch
        guard let before,
            before.configuration != vim.configuration || before.version != vim.version
                || before.deregisteredAt != vim.deregisteredAt
        else { return }
        if before.isRegistered { release(before) }
        if vim.isRegistered { claim(vim, row: row) }
        details[row] = VIMTable.share(vim)
        areRegistered[row] = vim.isRegistered
    }

    private mutating func claim(_ vim: VIM, row: Int) {
        let configuration = vim.configuration
        rowsByName[OwnedName(tenantID: configuration.tenantID, name: configuration.name)] = UInt32(row)
        if configuration.isDefault { defaultRows[ExactText(configuration.tenantID)] = UInt32(row) }
    }

    private mutating func release(_ vim: VIM) {
        let configuration = vim.configuration
        rowsByName[OwnedName(tenantID: configuration.tenantID, name: configuration.name)] = nil
        if configuration.isDefault { defaultRows[ExactText(configuration.tenantID)] = nil }
    }

    private mutating func note(_ event: Event, of vim: VIM, at placed: PlacedEvent) {
        let kind: HistoryEntry.Kind
        switch event {
        case .vimRegistered: kind = .create
        case .vimUpdated: kind = .update
        case .vimDeregistered: kind = .delete
        default: return
        }
        entries.append(
            StoredHistoryEntry(
                position: placed.position, time: placed.time, stream: placed.stream, kind: kind,
                status: vim.status, finding: .unstated))
    }

    private static func share(_ vim: VIM) -> Shared {
        .details(
            Details(
                configuration: vim.configuration, version: vim.version, createdAt: vim.createdAt,
                deregisteredAt: vim.deregisteredAt))
    }
}

extension VIMTable: RegistryView {
    /// The VIM, also if it was deregistered; nil if there never was one.
    public func vim(_ id: VIMID) -> VIM? { index.row(of: id, in: ids).map { vim(row: $0) } }

    /// What a status report is judged by; nil if there never was such a VIM.
    public func monitorFacts(_ id: VIMID) -> MonitorFacts? {
        guard let row = index.row(of: id, in: ids) else { return nil }
        return MonitorFacts(
            stream: UInt32(row) + 1, actionID: watches[row].actionID,
            isRegistered: areRegistered[row])
    }

    /// The registered VIM of that name.
    public func vimID(named name: String, of tenantID: String) -> VIMID? {
        rowsByName[OwnedName(tenantID: tenantID, name: name)].map { ids[Int($0)] }
    }

    /// The registered default VIM of a tenant.
    public func defaultVIMID(of tenantID: String) -> VIMID? {
        defaultRows[ExactText(tenantID)].map { ids[Int($0)] }
    }

    /// The number the next new stream gets.
    public var nextStream: UInt32 { UInt32(ids.count) + 1 }
}

/// An event that a projection cannot take in.
public struct ProjectionFault: Error, Hashable, Sendable {
    /// Where in the log.
    public let position: UInt64
    /// One sentence.
    public let sentence: String
    /// Whether a later version may know what this one does not; otherwise the log is damaged there.
    public let isUnknown: Bool

    /// A fault at a position.
    public init(position: UInt64, _ sentence: String) {
        self.position = position
        self.sentence = sentence
        isUnknown = false
    }

    /// What is wrong with the payload of an event.
    public init(position: UInt64, _ fault: PayloadFault) {
        self.position = position
        sentence = fault.sentence
        isUnknown = fault.isUnknown
    }

    /// The same of the log that it was read from.
    public func error(in log: EventLog) -> EventLogError {
        isUnknown
            ? .unknownEvent(path: log.path, position: position, what: sentence)
            : .damaged(path: log.path, position: position, what: sentence)
    }
}

extension Event {
    fileprivate var mayStandOutsideVIMs: Bool {
        switch self {
        case .epochStarted, .logArchived, .logDropped, .vaultRotated, .commandRefused, .vimStatusReported:
            true
        case .vimRegistered, .vimUpdated, .vimDeregistered, .vimMonitorAssigned, .vimMonitorLaunched,
            .vimMonitorStopped, .vimCredentialsShredded:
            false
        }
    }
}

extension PlacedEvent {
    /// Reads an event as it is stored.
    public init(_ recorded: RecordedEvent) throws(PayloadFault) {
        self.init(
            position: recorded.position, time: Timestamp(microseconds: recorded.envelope.time),
            stream: recorded.envelope.stream,
            event: try Event(
                type: recorded.envelope.type, format: recorded.envelope.format, payload: recorded.payload))
    }
}

extension VIMTable {
    /// Every registered VIM with its wanted action and when that last reported, without making VIMs.
    public func forEachWatch(_ body: (VIMID, Watch) -> Void) {
        for row in ids.indices where areRegistered[row] {
            body(ids[row], watches[row])
        }
    }
}
