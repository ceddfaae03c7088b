public import Encodings
public import Projections
import Registry
import VIMDrivers

/// An entry of a VIM's history as Tacker's events API shows it.
public enum EventRendering {
    /// All of the API's attributes.
    public static func object(_ entry: HistoryEntry) -> [String: JSONValue] {
        table.shown(entry, fields: []).object ?? [:]
    }

    static let table = Table<HistoryEntry>(
        columns: [
            Column("id") { .integer(Int64(clamping: $0.position)) },
            Column("resource_id") { .string($0.vimID.description) },
            Column("resource_type") { _ in "vim" },
            Column("resource_state") { .string($0.status.word) },
            Column("timestamp") { .string($0.time.spaced) },
            Column("event_type") { .string($0.kind.word) },
            Column("event_details") { .string($0.finding.sentence) },
        ],
        identifier: { String($0.position) })
}
