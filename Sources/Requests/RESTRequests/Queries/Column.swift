import Encodings
import VIMDrivers

/// One attribute of a kind of row, by its name in the API.
struct Column<Row>: Sendable where Row: Sendable {
    var name: String
    /// Whether lists can be narrowed and sorted by it: not so for whole objects.
    var isScalar: Bool
    var value: @Sendable (Row) -> JSONValue

    init(_ name: String, isScalar: Bool = true, _ value: @escaping @Sendable (Row) -> JSONValue) {
        self.name = name
        self.isScalar = isScalar
        self.value = value
    }
}

/// The rows of one resource: how they are named, narrowed, sorted and shown.
struct Table<Row>: Sendable where Row: Sendable {
    var columns: [Column<Row>]
    /// What a page's marker names.
    var identifier: @Sendable (Row) -> String

    func column(_ name: String) -> Column<Row>? { columns.first { $0.name == name } }

    /// A row as the API shows it: all attributes, or those of them that are named.
    func shown(_ row: Row, fields: [String]) -> JSONValue {
        var members: [String: JSONValue] = [:]
        for column in columns where fields.isEmpty || fields.contains(column.name) {
            members[column.name] = column.value(row)
        }
        return .object(members)
    }
}
