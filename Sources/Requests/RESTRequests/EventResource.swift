import Encodings
import HTTPTypes
import Projections
import Registry
import VIMDrivers

/// Listing and showing what happened to VIMs.
struct EventResource: Sendable {
    let reader: any RegistryReader

    func list(_ parameters: QueryParameters, scope: RequestScope) throws(APIError) -> (
        ListResult<HistoryEntry>, ListQuery
    ) {
        let query = try ListQuery(parameters, table: EventRendering.table)
        // The usual question names one VIM, whose history is at hand.
        let named = query.filters.first { $0.column == "resource_id" }?.values
        let entries: [HistoryEntry]
        if let named, named.count == 1 {
            entries = VIMID(named[0]).map { reader.history(of: $0) } ?? []
        } else {
            entries = reader.history(of: nil)
        }
        let visible = entries.filter { maySee($0, scope.caller) }
        return (try EventRendering.table.select(query, from: visible), query)
    }

    func show(_ id: String, fields: [String], scope: RequestScope) throws(APIError) -> Reply {
        guard let position = UInt64(id), let entry = reader.historyEntry(at: position),
            maySee(entry, scope.caller)
        else { throw .eventNotFound(id) }
        return Reply(200, ["event": EventRendering.table.shown(entry, fields: fields)])
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
    private func maySee(_ entry: HistoryEntry, _ caller: Caller) -> Bool {
        caller.isAdmin || reader.vim(entry.vimID).map(caller.mayTouch) == true
    }
}
