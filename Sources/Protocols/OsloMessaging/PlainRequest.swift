import Encodings

#if canImport(Glibc)
    import Glibc
#endif

/// Reads a call as oslo.messaging's own clients write it, without a tree: a report is read for every call.
///
/// Whatever it meets that is not plain (a second level of escapes, characters beyond ASCII, numbers with
/// fractions, another type than usual) it leaves to the general reader, which also says what is wrong.
struct PlainRequest {
    /// Deeper than any argument is nested.
    private static let depthMax = 4

    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0

    private init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    /// The call; nil if its form is not plain.
    static func read(_ body: [UInt8]) -> RPCRequest? {
        body.withUnsafeBufferPointer { bytes in
            var reader = PlainRequest(bytes)
            return reader.envelope()
        }
    }

    private mutating func envelope() -> RPCRequest? {
        guard take(#"{"oslo.version": "2.0", "oslo.message": ""#), let request = message(), take(#""}"#),
            position == bytes.count
        else { return nil }
        return request
    }

    private mutating func message() -> RPCRequest? {
        var method: String?
        var (queue, messageID): (String?, String?)
        var request = RPCRequest(method: "", arguments: [:])
        let isRead = members { (reader, key) in
            if key.equals("method") {
                method = reader.string()
                return method != nil
            } else if key.equals("args") {
                request.arguments = RPCArguments(reserving: 4)
                return reader.members { (reader, key) in
                    guard let value = reader.value(depth: 2) else { return false }
                    request.arguments.set(String(decoding: key, as: UTF8.self), to: value)
                    return true
                }
            } else if key.equals("version") {
                guard let version = reader.string() else { return false }
                request.version = version
            } else if key.equals("_msg_id") {
                messageID = reader.string()
                return messageID != nil
            } else if key.equals("_reply_q") {
                queue = reader.string()
                return queue?.utf8.count ?? .max <= ReplyAddress.queueByteMax
            } else if key.equals("_unique_id") {
                guard let id = reader.string() else { return false }
                request.uniqueID = id
            } else if key.equals("namespace") {
                switch reader.value(depth: 1) {
                case .string(let namespace)?: request.namespace = namespace
                case .null?: request.namespace = nil
                default: return false
                }
            } else if key.equals("_timeout") {
                guard let timeout = reader.value(depth: 1) else { return false }
                request.monitorSeconds = timeout.seconds
            } else {
                return reader.skip(depth: 1)
            }
            return true
        }
        guard isRead, let method else { return nil }
        request.method = method
        if let queue, let messageID { request.replyTo = ReplyAddress(queue: queue, messageID: messageID) }
        return request
    }

    // MARK: Values

    /// An object's members, each handed over behind its colon; false if anything is not plain.
    private mutating func members(
        _ body: (inout PlainRequest, _ key: UnsafeBufferPointer<UInt8>) -> Bool
    ) -> Bool {
        guard take("{") else { return false }
        if take("}") { return true }
        repeat {
            skipSpace()
            guard let key = text(), take(":") else { return false }
            skipSpace()
            guard body(&self, key) else { return false }
        } while take(",")
        return take("}")
    }

    private mutating func value(depth: Int) -> JSONValue? {
        guard depth <= PlainRequest.depthMax, let next else { return nil }
        switch next {
        case UInt8(ascii: "\\"): return string().map(JSONValue.string)
        case UInt8(ascii: "{"):
            var content: [String: JSONValue] = [:]
            content.reserveCapacity(4)
            let isRead = members { (reader, key) in
                let key = String(decoding: key, as: UTF8.self)
                content[key] = reader.value(depth: depth + 1)
                return content[key] != nil
            }
            return isRead ? .object(content) : nil
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return integer().map(JSONValue.integer)
        default: return take("null") ? .null : nil
        }
    }

    /// Steps over a value that nobody asks for.
    private mutating func skip(depth: Int) -> Bool {
        guard depth <= PlainRequest.depthMax, let next else { return false }
        switch next {
        case UInt8(ascii: "\\"): return text() != nil
        case UInt8(ascii: "{"): return members { (reader, _) in reader.skip(depth: depth + 1) }
        case UInt8(ascii: "["):
            position += 1
            if take("]") { return true }
            repeat {
                skipSpace()
                guard skip(depth: depth + 1) else { return false }
            } while take(",")
            return take("]")
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return integer() != nil
        default: return take("null") || take("true") || take("false")
        }
    }

    private mutating func string() -> String? { text().map { String(decoding: $0, as: UTF8.self) } }

    /// What stands between two quotation marks, which the envelope has escaped.
    private mutating func text() -> UnsafeBufferPointer<UInt8>? {
        guard take(#"\""#) else { return nil }
        let start = position
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\\") {
                let text = UnsafeBufferPointer(rebasing: bytes[start..<position])
                return take(#"\""#) ? text : nil
            }
            guard byte >= 0x20, byte < 0x7F, byte != UInt8(ascii: "\"") else { return nil }
            position += 1
        }
        return nil
    }

    /// A number that fits and needs no second look.
    private mutating func integer() -> Int64? {
        let start = position
        var value: Int64 = 0
        while let next, next >= UInt8(ascii: "0"), next <= UInt8(ascii: "9") {
            value = value &* 10 &+ Int64(next - UInt8(ascii: "0"))
            position += 1
        }
        let count = position - start
        guard count > 0, count < 18, count == 1 || bytes[start] != UInt8(ascii: "0") else { return nil }
        return value
    }

    // MARK: Bytes

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while next == UInt8(ascii: " ") { position += 1 }
    }

    /// Steps over some bytes, if they come next.
    private mutating func take(_ text: StaticString) -> Bool {
        let end = position + text.utf8CodeUnitCount
        guard end <= bytes.count, UnsafeBufferPointer(rebasing: bytes[position..<end]).equals(text) else {
            return false
        }
        position = end
        return true
    }
}

extension UnsafeBufferPointer<UInt8> {
    fileprivate func equals(_ text: StaticString) -> Bool {
        guard let baseAddress, count == text.utf8CodeUnitCount else { return false }
        return memcmp(baseAddress, text.utf8Start, count) == 0
    }
}
