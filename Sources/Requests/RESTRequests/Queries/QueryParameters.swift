import Encodings
import VIMDrivers

/// A request's query string: pairs in order, keys may come again.
struct QueryParameters: Hashable {
    let pairs: [(key: String, value: String)]

    /// Reads the text after `?`; bytes that are no UTF-8 become replacement characters.
    init(_ text: String?) {
        pairs = (text ?? "").split(separator: "&").map { part in
            let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = sides.count == 2 ? sides[1] : ""
            return (
                PercentCoding.decoded(sides[0], plusIsSpace: true),
                PercentCoding.decoded(value, plusIsSpace: true)
            )
        }
    }

    /// All values of a key that are not empty, in order.
    func values(_ key: String) -> [String] {
        pairs.filter { $0.key == key && !$0.value.isEmpty }.map(\.value)
    }

    /// The last value of a key; nil if there is none or it is empty.
    func value(_ key: String) -> String? { values(key).last }

    /// The same pairs with some keys replaced, as text.
    func text(replacing replaced: [(key: String, value: String?)]) -> String {
        let kept = pairs.filter { pair in !replaced.contains { $0.key == pair.key } }
        let added = replaced.compactMap { pair in pair.value.map { (key: pair.key, value: $0) } }
        return (kept + added)
            .map { "\(PercentCoding.encoded($0.key))=\(PercentCoding.encoded($0.value))" }
            .joined(separator: "&")
    }

    static func == (left: QueryParameters, right: QueryParameters) -> Bool {
        left.pairs.elementsEqual(right.pairs) { $0 == $1 }
    }

    func hash(into hasher: inout Hasher) {
        for pair in pairs {
            hasher.combine(pair.key)
            hasher.combine(pair.value)
        }
    }
}
