public import Encodings
public import Projections
import Registry
import VIMDrivers

/// What the events API shows.
enum ShownEvent: Sendable {
    /// An entry of a VIM's history.
    case entry(HistoryEntry)
    /// Stands first where entries were dropped, under the position of the last event that is gone; of one
    /// VIM, if it was asked for.
    case dropped(DroppedHistory, of: VIMID?)

    var position: UInt64 {
        switch self {
        case .entry(let entry): entry.position
        case .dropped(let part, _): part.lastPosition
        }
    }
}

/// Events as Tacker's events API shows them.
public enum EventRendering {
    /// All of the API's attributes of an entry.
    public static func object(_ entry: HistoryEntry) -> [String: JSONValue] {
        table.shown(.entry(entry), fields: []).object ?? [:]
    }

    static let table = Table<ShownEvent>(
        columns: [
            Column("id") { .integer(Int64(clamping: $0.position)) },
            column("resource_id", { $0.vimID.description }, { $1?.description ?? "" }),
            Column("resource_type") { _ in "vim" },
            column("resource_state", { $0.status.word }, { _, _ in "" }),
            column("timestamp", { $0.time.spaced }, { part, _ in part.time.spaced }),
            column("event_type", { $0.kind.word }, { _, _ in "DROP" }),
            column(
                "event_details", { $0.finding.sentence },
                { part, _ in
                    "everything up to position \(part.lastPosition) was dropped: see vedette audit log "
                        + "--type log.dropped"
                }),
        ],
        identifier: { String($0.position) })

    private static func column(
        _ name: String, _ ofEntry: @escaping @Sendable (HistoryEntry) -> String,
        _ ofDropped: @escaping @Sendable (DroppedHistory, VIMID?) -> String
    ) -> Column<ShownEvent> {
        Column(name) { event in
            switch event {
            case .entry(let entry): .string(ofEntry(entry))
            case .dropped(let part, let id): .string(ofDropped(part, id))
            }
        }
    }
}
