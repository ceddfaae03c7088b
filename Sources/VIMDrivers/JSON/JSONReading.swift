import Foundation
public import Registry

/// Why a text was not taken as JSON.
public enum JSONReadingError: Error, Hashable, Sendable {
    /// It is not JSON, not UTF-8, or holds a number that no machine number can hold.
    case malformed
    /// Its lists and objects lie in one another deeper than allowed.
    case tooDeep(depthMax: Int)
}

extension JSONValue {
    /// So deep may lists and objects lie in one another. Every walk over a document recurses, and the
    /// stack must bear it; nobody nests this deep by hand.
    public static let depthMax = 100

    /// Reads one document of UTF-8.
    public init(json bytes: some Sequence<UInt8>) throws(JSONReadingError) {
        let data = Data(bytes)
        // The library would guess UTF-16 and UTF-32, of which the API knows nothing.
        guard let first = data.first, first != 0, first < 0x80, data.dropFirst().first != 0 else {
            throw .malformed
        }
        let foreign: Any
        do {
            foreign = try JSONSerialization.jsonObject(with: data, options: [.fragmentsAllowed])
        } catch {
            throw .malformed
        }
        self = try JSONValue.converted(foreign, depth: 0)
    }

    /// Reads the text of a stored document.
    public init(_ text: JSONText) throws(JSONReadingError) {
        self = try JSONValue(json: text.description.utf8)
    }

    private static func converted(_ foreign: Any, depth: Int) throws(JSONReadingError) -> JSONValue {
        guard depth <= depthMax else { throw .tooDeep(depthMax: depthMax) }
        switch foreign {
        case let text as String:
            return .string(text)
        case let number as NSNumber:
            return converted(number)
        case let members as [String: Any]:
            var object: [String: JSONValue] = [:]
            object.reserveCapacity(members.count)
            for (key, member) in members { object[key] = try converted(member, depth: depth + 1) }
            return .object(object)
        case let elements as [Any]:
            var array: [JSONValue] = []
            array.reserveCapacity(elements.count)
            for element in elements { array.append(try converted(element, depth: depth + 1)) }
            return .array(array)
        default:
            return .null
        }
    }

    /// The library tells what it read by the C type that the number stands for.
    private static func converted(_ number: NSNumber) -> JSONValue {
        switch UInt8(bitPattern: number.objCType.pointee) {
        case UInt8(ascii: "c"), UInt8(ascii: "B"): .bool(number.boolValue)
        case UInt8(ascii: "i"), UInt8(ascii: "q"): .integer(number.int64Value)
        default: .number(number.doubleValue)
        }
    }
}
