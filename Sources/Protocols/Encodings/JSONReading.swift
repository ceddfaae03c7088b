/// Why a text was not taken as JSON.
public enum JSONReadingError: Error, Hashable, Sendable {
    /// It is not JSON, not UTF-8, or holds a number that no machine number can hold.
    case malformed
    /// Its lists and objects lie in one another deeper than allowed.
    case tooDeep(depthMax: Int)
}

extension JSONValue {
    /// So deep may lists and objects lie in one another.
    ///
    /// Every walk over a document recurses, and the stack must bear it; nobody nests this deep by hand.
    public static let depthMax = 100

    /// Reads one document of UTF-8, exactly as RFC 8259 has it.
    ///
    /// Foundation's reader on Linux (6.3) changes what it reads: every third number of 17 digits comes
    /// back as its neighbour, and a text that begins with U+FEFF loses it. Hence our own.
    public init(json bytes: some Sequence<UInt8>) throws(JSONReadingError) {
        let result = Array(bytes).withUnsafeBufferPointer { bytes in
            var reader = JSONReader(bytes: bytes)
            return Result { () throws(JSONReadingError) in try reader.document() }
        }
        self = try result.get()
    }
}

/// A reader by recursive descent; `position` is the next byte to look at.
private struct JSONReader {
    let bytes: UnsafeBufferPointer<UInt8>
    var position = 0

    init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    mutating func document() throws(JSONReadingError) -> JSONValue {
        let value = try value(depth: 0)
        skipSpace()
        guard position == bytes.count else { throw .malformed }
        return value
    }

    private mutating func value(depth: Int) throws(JSONReadingError) -> JSONValue {
        skipSpace()
        switch next {
        case UInt8(ascii: "{"): return .object(try members(depth: depth + 1))
        case UInt8(ascii: "["): return .array(try elements(depth: depth + 1))
        case UInt8(ascii: "\""): return .string(try text())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func members(depth: Int) throws(JSONReadingError) -> [String: JSONValue] {
        try enter(depth)
        var members: [String: JSONValue] = [:]
        if take(UInt8(ascii: "}")) { return members }
        members.reserveCapacity(12)
        repeat {
            skipSpace()
            let key = try text()
            guard take(UInt8(ascii: ":")) else { throw .malformed }
            members[key] = try value(depth: depth)
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw .malformed }
        return members
    }

    private mutating func elements(depth: Int) throws(JSONReadingError) -> [JSONValue] {
        try enter(depth)
        var elements: [JSONValue] = []
        if take(UInt8(ascii: "]")) { return elements }
        repeat { elements.append(try value(depth: depth)) } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw .malformed }
        return elements
    }

    /// Steps over an opening bracket.
    private mutating func enter(_ depth: Int) throws(JSONReadingError) {
        guard depth <= JSONValue.depthMax else { throw .tooDeep(depthMax: JSONValue.depthMax) }
        position += 1
    }

    private mutating func word(
        _ word: StaticString, _ value: JSONValue
    ) throws(JSONReadingError) -> JSONValue {
        let length = word.utf8CodeUnitCount
        guard position + length <= bytes.count,
            bytes[position..<position + length].elementsEqual(word.description.utf8)
        else { throw .malformed }
        position += length
        return value
    }

    // MARK: Numbers

    private mutating func number() throws(JSONReadingError) -> JSONValue {
        let start = position
        if next == UInt8(ascii: "-") { position += 1 }
        let digits = position
        guard skipDigits() else { throw .malformed }
        // No number begins with a zero but zero itself.
        guard bytes[digits] != UInt8(ascii: "0") || position == digits + 1 else { throw .malformed }
        var isWhole = true
        if next == UInt8(ascii: ".") {
            isWhole = false
            position += 1
            guard skipDigits() else { throw .malformed }
        }
        if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
            isWhole = false
            position += 1
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { position += 1 }
            guard skipDigits() else { throw .malformed }
        }
        let text = String(decoding: run(from: start), as: UTF8.self)
        if isWhole, let whole = Int64(text) { return .integer(whole) }
        guard let number = Double(text), number.isFinite else { throw .malformed }
        return .number(number)
    }

    /// Whether there was a digit.
    private mutating func skipDigits() -> Bool {
        let start = position
        while let byte = next, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { position += 1 }
        return position > start
    }

    // MARK: Texts

    private mutating func text() throws(JSONReadingError) -> String {
        guard next == UInt8(ascii: "\"") else { throw .malformed }
        position += 1
        let start = position
        var seen: UInt8 = 0
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\""):
                defer { position += 1 }
                return try JSONReader.validated(run(from: start), isASCII: seen < 0x80)
            // Nearly every text holds no escape.
            case UInt8(ascii: "\\"): return try textWithEscapes(from: start)
            case 0..<0x20: throw .malformed
            default: position += 1
            }
            seen |= byte
        }
        throw .malformed
    }

    /// A text whose first escape comes next; it, too, is mostly plain bytes: they are taken in runs.
    private mutating func textWithEscapes(from first: Int) throws(JSONReadingError) -> String {
        var start = first
        var content: [UInt8] = []
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\""):
                content.append(contentsOf: run(from: start))
                position += 1
                return try content.withUnsafeBufferPointer { bytes in
                    Result { () throws(JSONReadingError) in
                        try JSONReader.validated(bytes, isASCII: false)
                    }
                }.get()
            case UInt8(ascii: "\\"):
                content.append(contentsOf: run(from: start))
                position += 1
                try escape(into: &content)
                start = position
            case 0..<0x20: throw .malformed
            default: position += 1
            }
        }
        throw .malformed
    }

    /// The bytes from a place to the next one to look at.
    private func run(from start: Int) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(rebasing: bytes[start..<position])
    }

    private static func validated(
        _ bytes: UnsafeBufferPointer<UInt8>, isASCII: Bool
    ) throws(JSONReadingError) -> String {
        // Nothing in it can be wrong, and this way is quicker.
        if isASCII { return String(decoding: bytes, as: UTF8.self) }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .malformed }
        return text
    }

    private mutating func escape(into content: inout [UInt8]) throws(JSONReadingError) {
        guard let byte = next else { throw .malformed }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(byte)
        case UInt8(ascii: "b"): content.append(0x08)
        case UInt8(ascii: "f"): content.append(0x0C)
        case UInt8(ascii: "n"): content.append(0x0A)
        case UInt8(ascii: "r"): content.append(0x0D)
        case UInt8(ascii: "t"): content.append(0x09)
        case UInt8(ascii: "u"): content += UTF8.encode(try scalar()) ?? UTF8.encodedReplacementCharacter
        default: throw .malformed
        }
    }

    /// One escaped character, which may take two escapes; half of such a pair is no character.
    private mutating func scalar() throws(JSONReadingError) -> Unicode.Scalar {
        let unit = try codeUnit()
        if let scalar = Unicode.Scalar(unit) { return scalar }
        guard unit < 0xDC00, next == UInt8(ascii: "\\") else { throw .malformed }
        position += 1
        guard next == UInt8(ascii: "u") else { throw .malformed }
        position += 1
        let second = try codeUnit()
        guard (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (UInt32(unit) - 0xD800) << 10 + (UInt32(second) - 0xDC00))
        else { throw .malformed }
        return scalar
    }

    private mutating func codeUnit() throws(JSONReadingError) -> UInt16 {
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80
            else { throw .malformed }
            unit = unit << 4 | UInt16(digit)
            position += 1
        }
        return unit
    }

    // MARK: Bytes

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    /// Steps over white space and the byte, if it comes next.
    private mutating func take(_ byte: UInt8) -> Bool {
        skipSpace()
        guard next == byte else { return false }
        position += 1
        return true
    }
}
