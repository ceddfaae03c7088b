public import Encodings
public import Registry

/// Between JSON as a value and as the text that the registry stores.
extension JSONValue {
    /// Reads the text of a stored document.
    public init(_ text: JSONText) throws(JSONReadingError) {
        self = try JSONValue(json: text.description.utf8)
    }

    /// Compact JSON with the keys of every object in order, as the registry stores it.
    public var text: JSONText { JSONText(String(decoding: encoded, as: UTF8.self)) }
}
