import Encodings
import VIMDrivers

/// Values as Tacker's messages print them: Python's `str`.
enum PythonText {
    /// A value in a message; a text stands there as it is.
    static func of(_ value: JSONValue) -> String {
        if case .string(let text) = value { return text }
        return representation(value)
    }

    private static func representation(_ value: JSONValue) -> String {
        switch value {
        case .null: "None"
        case .bool(let value): value ? "True" : "False"
        case .integer(let value): "\(value)"
        case .number(let value): "\(value)"
        case .string(let text): "'\(text)'"
        case .array(let elements): "[\(elements.map(representation).joined(separator: ", "))]"
        case .object(let members):
            "{"
                + members.sorted { $0.key < $1.key }
                .map { "'\($0.key)': \(representation($0.value))" }.joined(separator: ", ") + "}"
        }
    }
}
