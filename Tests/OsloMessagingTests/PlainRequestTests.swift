import Encodings
import Samples
import Testing

@testable import OsloMessaging

@Suite("Calls of plain form")
struct PlainRequestTests {
    private static let finding =
        #"{"oslo.version": "2.0", "oslo.message": "{\"args\":{\"finding\":{\"detail\":4,\"microseconds\":17,"#
        + #"\"reason\":\"timed_out\"},\"vim_id\":\"vim-9\"},\"method\":\"update_vim\",\"version\":\"1.1\","#
        + #"\"namespace\": null, \"_timeout\": 5, \"_context_roles\": [\"a\", [], 7], "#
        + #"\"_context_more\": {\"x\": true, \"y\": {}}, \"_unique_id\":\"u\"}"}"#
    private static let twice =
        #"{"oslo.version": "2.0", "oslo.message": "{\"method\": \"a\", \"args\": {\"x\": 1, \"y\": 2}, "#
        + #"\"args\": {\"x\": 3, \"x\": 4}}"}"#
    private static let plain = [Captured.call, finding, twice]

    @Test("What clients and workers send is plain, and read as by the general reader", arguments: plain)
    func same(text: String) throws {
        let body = Array(text.utf8)
        let request = try #require(PlainRequest.read(body))
        #expect(try request == RPCRequest(anyBody: body))
    }

    @Test(
        "What is not plain is left to the general reader",
        arguments: [
            #"{"method": "a"}"#, #"{"oslo.version": "2.0", "oslo.message": "{\"method\": \"\\u0041\"}"}"#,
            #"{"oslo.version": "2.0", "oslo.message": "{\"method\": \"é\"}"}"#,
            #"{"oslo.version": "2.0", "oslo.message": "{\"method\": \"a\", \"_timeout\": 2.5}"}"#,
            #"{"oslo.version": "2.0", "oslo.message": "{\"method\": \"a\", \"args\": null}"}"#,
            #"{"oslo.version": "2.0", "oslo.message": "{\"method\": \"a\"}"} "#,
            #"{"oslo.version": "2.0", "oslo.message": "{\"version\": \"1.0\"}"}"#,
        ])
    func others(text: String) { #expect(PlainRequest.read(Array(text.utf8)) == nil) }

    /// Whatever the quick reader takes, the general one reads the same: bodies with some bytes changed.
    @Test("The two readers never differ", arguments: plain)
    func agreement(text: String) throws {
        let original = Array(text.utf8)
        let pieces = [
            #"\""#, "{", "}", "[", "]", ",", ":", " ", "null", "0", "12", "-", ".", #"\"#, "a", "\u{7F}",
        ]
        var random = SeededGenerator(seed: 9)
        var takenCount = 0
        for _ in 0..<20_000 {
            var body = original
            for _ in 0...Int.random(in: 0..<3, using: &random) {
                let place = Int.random(in: 0..<body.count, using: &random)
                let end = min(place + Int.random(in: 0..<4, using: &random), body.count)
                let piece = pieces[Int.random(in: 0..<pieces.count, using: &random)]
                body.replaceSubrange(place..<end, with: Bool.random(using: &random) ? Array(piece.utf8) : [])
            }
            guard let plain = PlainRequest.read(body) else { continue }
            takenCount += 1
            let general = try? RPCRequest(anyBody: body)
            #expect(plain == general, "\(String(decoding: body, as: UTF8.self))")
        }
        #expect(takenCount > 100)
    }
}
