import Encodings
import HTTPTypes
import Projections
import Registry
import VIMDrivers

/// Listing and showing what happened to VIMs.
struct EventResource: Sendable {
    let reader: any RegistryReader

    func list(_ parameters: QueryParameters, scope: RequestScope) throws(APIError) -> (
        ListResult<ShownEvent>, ListQuery
    ) {
        let query = try ListQuery(parameters, table: EventRendering.table)
        // The usual question names one VIM, whose history is at hand.
        let named = query.filters.first { $0.column == "resource_id" }?.values
        let dropped = reader.droppedHistory()
        let events: [ShownEvent]
        if let named, named.count == 1 {
            events = VIMID(named[0]).map { self.events(of: $0, dropped, scope.caller) } ?? []
        } else {
            let entries = visible(reader.history(of: nil), scope.caller)
            events = (dropped.map { [.dropped($0, of: nil)] } ?? []) + entries
        }
        return (try EventRendering.table.select(query, from: events), query)
    }

    /// A VIM's history; of one whose registration was dropped, what stands for that comes first.
    private func events(of id: VIMID, _ dropped: DroppedHistory?, _ caller: Caller) -> [ShownEvent] {
        let entries = reader.history(of: id)
        let shown = visible(entries, caller)
        guard let dropped, entries.first?.kind != .create, maySee(id, caller), reader.vim(id) != nil else {
            return shown
        }
        return [.dropped(dropped, of: id)] + shown
    }

    func show(_ id: String, fields: [String], scope: RequestScope) throws(APIError) -> Reply {
        guard let position = UInt64(id), let event = event(at: position, scope.caller) else {
            throw .eventNotFound(id)
        }
        return Reply(200, ["event": EventRendering.table.shown(event, fields: fields)])
    }

    private func event(at position: UInt64, _ caller: Caller) -> ShownEvent? {
        if let dropped = reader.droppedHistory(), dropped.lastPosition == position {
            return .dropped(dropped, of: nil)
        }
        return reader.historyEntry(at: position).flatMap { maySee($0.vimID, caller) ? .entry($0) : nil }
    }

    /// Nobody writes history; the words are Tacker's.
    func refuseWrite(_ method: HTTPRequest.Method, legacyStatusCodes: Bool) throws(APIError) -> Reply {
        switch method {
        case .post: throw .badRequest("Unrecognized attribute(s) 'tenant_id'")
        case .put: throw .badRequest("Cannot update read-only attribute event_type")
        default:
            if legacyStatusCodes { throw .internalError }
            return .unknownPath
        }
    }

    /// Events survive their VIM, and so does its owner's right to see them.
    private func maySee(_ id: VIMID, _ caller: Caller) -> Bool {
        caller.isAdmin || reader.vim(id).map(caller.mayTouch) == true
    }

    private func visible(_ entries: [HistoryEntry], _ caller: Caller) -> [ShownEvent] {
        entries.filter { maySee($0.vimID, caller) }.map { .entry($0) }
    }
}
