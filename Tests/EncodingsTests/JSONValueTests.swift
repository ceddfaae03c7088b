import Foundation
import Testing

@testable import Encodings

@Suite("JSON values")
struct JSONValueTests {
    private func read(_ text: String) throws -> JSONValue { try JSONValue(json: text.utf8) }

    @Test("What is read keeps its kind")
    func kinds() throws {
        let value = try read(
            #"[null,true,false,0,1,-1,9007199254740992, 9223372036854775807, 1.0, 1.5, 1e3, "x", [], {}]"#
        )
        #expect(
            value
                == .array([
                    nil, true, false, 0, 1, -1, 9_007_199_254_740_992, 9_223_372_036_854_775_807, .number(1),
                    .number(1.5), .number(1_000), "x", [], [:],
                ]))
    }

    @Test("Text of every kind comes back as it was")
    func texts() throws {
        let text = "a\u{0}b \u{1F6F0}\u{FE0F} שלום \"quoted\" \\ \u{7F} \u{2028} \n\r\t\u{1}"
        let value: JSONValue = ["name": .string(text)]
        #expect(try JSONValue(json: value.encoded) == value)
        #expect(try read(#""\ud83d\ude00\u0000""#) == .string("😀\u{0}"))
    }

    @Test(
        "What is no JSON is refused",
        arguments: [
            "", " ", "{", "[1", "{\"a\":", "\"abc", "nul", "NaN", "[Infinity]", "{} {}", "{'a':1}",
            #""\ud800""#, "[1e999]", "01", "-", "-01", "1.", ".5",
            "1e", "+1", "[1,]", "{\"a\":1,}", "{\"a\"}", "{1:2}", "tru", "[\"\\x\"]", "\"\\u12g4\"",
            "\"\\udc00\"", "\"\\ud800\\u0041\"",
            "\u{FEFF}{}", "[\"\u{1}\"]",
        ])
    func malformed(text: String) {
        #expect(throws: JSONReadingError.malformed) { try read(text) }
    }

    @Test("Bytes that are no UTF-8 are refused, UTF-16 among them")
    func encodings() {
        #expect(throws: JSONReadingError.malformed) {
            try JSONValue(json: [0x5B, 0x22, 0xFF, 0x22, 0x5D] as [UInt8])
        }
        #expect(throws: JSONReadingError.malformed) {
            try JSONValue(json: [0xFF, 0xFE, 0x5B, 0, 0x5D, 0] as [UInt8])
        }
        #expect(throws: JSONReadingError.malformed) { try JSONValue(json: [0x5B, 0, 0x5D, 0] as [UInt8]) }
        #expect(throws: JSONReadingError.malformed) { try JSONValue(json: [0, 0x5B, 0, 0x5D] as [UInt8]) }
    }

    @Test("Numbers and texts that Foundation's reader would change come back as they were")
    func exactness() throws {
        #expect(try read("-952029384.8255912") == .number(-952_029_384.8255912))
        #expect(try read("-9223372036854775808") == .integer(.min))
        #expect(try read("9223372036854775808") == .number(9_223_372_036_854_775_808))
        #expect(try read("\"\u{FEFF}x\"").string?.unicodeScalars.count == 2)
    }

    @Test("What is accepted is what Foundation accepts, and means the same", arguments: 0..<300)
    func mutations(seed: Int) throws {
        var random = SeededGenerator(state: UInt64(seed))
        var bytes = JSONValue.random(depth: 3, using: &random).encoded
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            let replacement =
                Array(#"{}[]",:\/bfnrtu0123456789-+.eE "#.utf8).randomElement(using: &random) ?? 0
            bytes[Int.random(in: 0..<bytes.count, using: &random)] = replacement
        }
        let data = Data(bytes)
        let theirs = try? JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed)
        let ours = try? JSONValue(json: bytes)
        // Theirs also takes a comma too many: that is for them.
        if ours != nil { #expect(theirs != nil, "seed \(seed): \(String(decoding: bytes, as: UTF8.self))") }
        if theirs != nil, ours == nil {
            let text = String(decoding: bytes, as: UTF8.self)
            #expect(text.contains(/,\s*[\]}]/), "seed \(seed): \(text)")
        }
    }

    @Test("Of members with one key the last one counts")
    func duplicateKeys() throws {
        #expect(try read(#"{"a": 1, "a": 2}"#) == ["a": 2])
    }

    @Test("Nesting is borne up to the limit and refused beyond it", arguments: [400, 5_000, 500_000])
    func nesting(depth: Int) throws {
        let limit = JSONValue.depthMax
        let deepest = String(repeating: "[", count: limit) + String(repeating: "]", count: limit)
        #expect(String(decoding: try read(deepest).encoded, as: UTF8.self) == deepest)
        #expect(throws: JSONReadingError.self) { try read(String(repeating: "[", count: depth)) }
        #expect(throws: JSONReadingError.self) {
            try read(String(repeating: "[", count: depth) + String(repeating: "]", count: depth))
        }
        #expect(throws: JSONReadingError.self) { try read(String(repeating: "{\"a\":", count: depth)) }
    }

    @Test("Keys are written in order, so equal values give equal bytes")
    func keyOrder() throws {
        #expect(
            try read(#"{"b": 1, "a": {"d": 2, "c": 3}}"#).encoded
                == Array(#"{"a":{"c":3,"d":2},"b":1}"#.utf8))
    }

    @Test("Objects merge deeply; all else is replaced")
    func merging() throws {
        let merged = try read(#"{"a": {"b": 1, "c": [1]}, "d": 1}"#)
            .merged(with: try read(#"{"a": {"c": [2], "e": null}, "d": {"f": 1}}"#))
        #expect(merged == ["a": ["b": 1, "c": [2], "e": nil], "d": ["f": 1]])
    }

    @Test("Any value comes back from its own text", arguments: 0..<200)
    func roundTrip(seed: Int) throws {
        var random = SeededGenerator(state: UInt64(seed))
        let value = JSONValue.random(depth: 0, using: &random)
        #expect(try JSONValue(json: value.encoded) == value, "seed \(seed)")
    }
}

/// SplitMix64: the same seed gives the same values on every machine.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

extension JSONValue {
    static func random(depth: Int, using random: inout SeededGenerator) -> JSONValue {
        func text() -> String {
            let count = Int.random(in: 0..<12, using: &random)
            var scalars = String.UnicodeScalarView()
            for _ in 0..<count {
                let range: ClosedRange<UInt32> = Bool.random(using: &random) ? 0...127 : 0...0x10FFFF
                if let scalar = Unicode.Scalar(UInt32.random(in: range, using: &random)) {
                    scalars.append(scalar)
                }
            }
            return String(scalars)
        }
        switch Int.random(in: 0..<(depth < 6 ? 8 : 6), using: &random) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &random))
        case 2:
            return .integer(Int64.random(in: -9_007_199_254_740_992...9_007_199_254_740_992, using: &random))
        case 3: return .number(Double.random(in: -1e9...1e9, using: &random))
        case 4, 5: return .string(text())
        case 6:
            return .array(
                (0..<Int.random(in: 0..<5, using: &random)).map { _ in
                    .random(depth: depth + 1, using: &random)
                })
        default:
            var members: [String: JSONValue] = [:]
            for _ in 0..<Int.random(in: 0..<5, using: &random) {
                members[text()] = .random(depth: depth + 1, using: &random)
            }
            return .object(members)
        }
    }
}
