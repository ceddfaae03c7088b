public import Encodings
public import Registry
import VIMDrivers

/// A VIM as the API shows it: attributes by their names in Tacker's API.
public enum VIMRendering {
    /// The API's attributes in the order people like to read them.
    public static var fieldNames: [String] { table.columns.map(\.name) }

    /// All of the API's attributes.
    ///
    /// Holds no secret.
    public static func object(_ vim: VIM) -> [String: JSONValue] {
        table.shown(vim, fields: []).object ?? [:]
    }

    /// The API's attributes and Vedette's own: `action_id`, `version`, `reported_at`, `reason`.
    public static func extendedObject(_ vim: VIM) -> [String: JSONValue] {
        var shown = object(vim)
        shown["action_id"] = .string(vim.actionID.description)
        shown["version"] = .integer(Int64(vim.version))
        shown["reported_at"] = time(vim.reportedAt)
        shown["reason"] = .string(vim.finding.sentence)
        return shown
    }

    /// The last probes of a VIM: `results` and `failures`, oldest first.
    public static func probes(_ record: ProbeRecord) -> JSONValue {
        [
            "results": .array(record.results.map(probe)),
            "failures": .array(record.failures.map(probe)),
        ]
    }

    static let table = Table<VIM>(
        columns: [
            Column("id") { .string($0.id.description) },
            Column("name") { .string($0.configuration.name) },
            Column("type") { .string($0.configuration.type.rawValue) },
            Column("tenant_id") { .string($0.configuration.tenantID) },
            Column("description") { .string($0.configuration.description) },
            Column("status") { .string($0.status.word) },
            Column("is_default") { .bool($0.configuration.isDefault) },
            // Tacker narrows lists by what is in its table, and this is not.
            Column("auth_url", isScalar: false) { .string($0.configuration.authURL) },
            Column("vim_project", isScalar: false) { .object(document($0.configuration.project)) },
            Column("auth_cred", isScalar: false) { .object(credentials($0.configuration)) },
            Column("placement_attr", isScalar: false) { .object(document($0.configuration.placement)) },
            Column("extra", isScalar: false) { .object(document($0.configuration.extra)) },
            Column("created_at") { time($0.createdAt) },
            Column("updated_at") { time($0.updatedAt) },
        ],
        identifier: { $0.id.description })

    private static func credentials(_ configuration: VIMConfiguration) -> [String: JSONValue] {
        let copies = CredentialKeys.copied(
            type: configuration.type, authURL: configuration.authURL,
            project: document(configuration.project))
        // Masked once more: what is shown must not depend on what an older version took for a secret.
        return CredentialKeys.masked(document(configuration.credentials.masked))
            .merging(copies) { _, copy in copy }
    }

    /// A stored object; a text that cannot be read shows as an empty one.
    static func document(_ text: JSONText) -> [String: JSONValue] {
        guard text != .empty else { return [:] }
        return (try? JSONValue(text))?.object ?? [:]
    }

    private static func time(_ moment: Timestamp?) -> JSONValue {
        moment.map { .string($0.spaced) } ?? .null
    }

    private static func probe(_ result: ProbeResult) -> JSONValue {
        let phases = result.phases.map { phase -> JSONValue in
            ["phase": .string(phase.phase.word), "microseconds": .integer(Int64(phase.microseconds))]
        }
        return [
            "time": .string(result.time.description), "probe": .string(result.kind.rawValue),
            "target": .string(result.target), "succeeded": .bool(result.succeeded),
            "reason": .string(result.finding.word), "sentence": .string(result.finding.sentence),
            "detail": .integer(Int64(result.finding.detail)),
            "round_trip_microseconds": .integer(Int64(result.finding.roundTripMicroseconds)),
            "phases": .array(phases), "explanation": .string(result.explanation),
        ]
    }
}
