import CRabbitMQ

// What the library's headers define by macros with casts, which Swift does not import (AMQP 0-9-1: the class
// stands in the upper half, the method in the lower).

enum MethodID {
    static let connectionClose: UInt32 = 0x000A_0032
    static let connectionBlocked: UInt32 = 0x000A_003C
    static let connectionUnblocked: UInt32 = 0x000A_003D
    static let channelClose: UInt32 = 0x0014_0028
    static let channelCloseOK: UInt32 = 0x0014_0029
    static let basicCancel: UInt32 = 0x003C_001E
    static let basicReturn: UInt32 = 0x003C_0032
    static let basicDeliver: UInt32 = 0x003C_003C
}

enum FrameType {
    static let method: Int32 = 1
    static let header: Int32 = 2
    static let body: Int32 = 3
}

enum PropertyFlag {
    static let contentType: UInt32 = 1 << 15
    static let contentEncoding: UInt32 = 1 << 14
    static let deliveryMode: UInt32 = 1 << 12
    static let priority: UInt32 = 1 << 11
    static let expiration: UInt32 = 1 << 8
}

/// A value in a table of arguments.
package enum TableValue: Hashable, Sendable {
    /// A text.
    case text(String)
    /// A number.
    case number(Int64)
    /// A truth value.
    case flag(Bool)
}

/// Builds the library's tables, which live as long as a closure.
enum Table {
    static func with<Result>(_ entries: [(String, TableValue)], _ body: (amqp_table_t) -> Result) -> Result {
        // The bytes of keys and texts, one after another; entries point into them.
        var bytes: [UInt8] = []
        var places: [(key: Range<Int>, text: Range<Int>)] = []
        for (key, value) in entries {
            let start = bytes.count
            bytes += key.utf8
            let middle = bytes.count
            if case .text(let text) = value { bytes += text.utf8 }
            places.append((start..<middle, middle..<bytes.count))
        }
        return bytes.withUnsafeBytes { bytes in
            var list = zip(entries, places).map { entry, place in
                amqp_table_entry_t(
                    key: amqp_bytes_t(UnsafeRawBufferPointer(rebasing: bytes[place.key])),
                    value: value(
                        entry.1, text: amqp_bytes_t(UnsafeRawBufferPointer(rebasing: bytes[place.text]))))
            }
            return list.withUnsafeMutableBufferPointer { list in
                body(amqp_table_t(num_entries: Int32(list.count), entries: list.baseAddress))
            }
        }
    }

    private static func value(_ value: TableValue, text: amqp_bytes_t) -> amqp_field_value_t {
        var field = amqp_field_value_t()
        switch value {
        case .text:
            field.kind = UInt8(ascii: "S")
            field.value.bytes = text
        case .number(let number):
            field.kind = UInt8(ascii: "l")
            field.value.i64 = number
        case .flag(let flag):
            field.kind = UInt8(ascii: "t")
            field.value.boolean = flag ? 1 : 0
        }
        return field
    }
}

extension amqp_bytes_t {
    /// Bytes that outlive the call.
    init(_ bytes: UnsafeRawBufferPointer) {
        // The library takes what it only reads as mutable, too.
        self.init(len: bytes.count, bytes: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
    }

    /// A text that lives for ever.
    init(_ text: StaticString) {
        self.init(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
}

extension String {
    /// A copy of the library's bytes; what is no UTF-8 is replaced.
    init(_ bytes: amqp_bytes_t) {
        self.init(decoding: UnsafeRawBufferPointer(start: bytes.bytes, count: bytes.len), as: UTF8.self)
    }

    /// The same, without a copy if it is the text expected.
    init(_ bytes: amqp_bytes_t, usually text: String) {
        let isUsual = UnsafeRawBufferPointer(start: bytes.bytes, count: bytes.len).elementsEqual(text.utf8)
        self = isUsual ? text : String(bytes)
    }
}

/// Lends two texts to the library for the time of a call.
func withBytes<Result>(
    _ first: String, _ second: String, _ body: (amqp_bytes_t, amqp_bytes_t) -> Result
) -> Result {
    var (first, second) = (first, second)
    return first.withUTF8 { first in
        second.withUTF8 { second in
            body(
                amqp_bytes_t(UnsafeRawBufferPointer(first)), amqp_bytes_t(UnsafeRawBufferPointer(second)))
        }
    }
}

extension timeval {
    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self.init(tv_sec: Int(seconds), tv_usec: Int(attoseconds / 1_000_000_000_000))
    }
}
