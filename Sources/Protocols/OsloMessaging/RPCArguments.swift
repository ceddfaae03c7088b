package import Encodings

/// A call's arguments by name.
///
/// A list, since there are few: they are made and looked through for every call, which takes less time than
/// to hash their names.
package struct RPCArguments: Sendable {
    private var entries: [(name: String, value: JSONValue)] = []

    /// The members of an object.
    package init(_ members: [String: JSONValue]) { entries = members.map { ($0.key, $0.value) } }

    /// None yet, and room for some.
    init(reserving count: Int) { entries.reserveCapacity(count) }

    /// An argument's value; nil if it was not given.
    package subscript(name: String) -> JSONValue? { entries.first { $0.name == name }?.value }

    /// The names that were given.
    package var names: some Sequence<String> { entries.lazy.map(\.name) }

    /// As the members of an object.
    package var members: [String: JSONValue] {
        Dictionary(uniqueKeysWithValues: entries.lazy.map { ($0.name, $0.value) })
    }

    /// Adds an argument; of those with one name the last one counts, as in JSON.
    mutating func set(_ name: String, to value: JSONValue) {
        if let index = entries.firstIndex(where: { $0.name == name }) {
            entries[index].value = value
        } else {
            entries.append((name, value))
        }
    }
}

extension RPCArguments: Hashable {
    /// Whether both have the same, in whatever order.
    package static func == (one: RPCArguments, other: RPCArguments) -> Bool { one.members == other.members }

    /// Feeds what counts for equality.
    package func hash(into hasher: inout Hasher) { hasher.combine(members) }
}

extension RPCArguments: ExpressibleByDictionaryLiteral {
    /// Arguments as they stand there; of those with one name the last one counts.
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        for (name, value) in elements { set(name, to: value) }
    }
}
