import AMQP
import Encodings
import Testing

@testable import OsloMessaging

/// Bodies as oslo.messaging 18.3.1 sent them.
enum Captured {
    static let call =
        #"{"oslo.version": "2.0", "oslo.message": "{\"method\": \"update_vim\", \"args\": {\"vim_id\": "#
        + #"\"vim-9\", \"status\": \"REACHABLE\", \"action_id\": \"a-9\"}, \"version\": \"1.0\", "#
        + #"\"_msg_id\": \"4c5c32b889274d428e7333c5ef72092d\", \"_reply_q\": "#
        + #"\"reply_019b12e5f6b347c3b3c96459834cdd68\", \"_timeout\": null, \"_unique_id\": "#
        + #"\"56a617d11c294fc481cdab7f7572d31c\", \"_context_request_id\": \"req-1\", "#
        + #"\"_context_user\": null}"}"#
    static let reply =
        #"{"oslo.version": "2.0", "oslo.message": "{\"result\": \"REACHABLE\", \"failure\": null, "#
        + #"\"ending\": true, \"_msg_id\": \"4c5c32b889274d428e7333c5ef72092d\", \"_unique_id\": "#
        + #"\"5c177c2592b14fc39ab7f0e1f6e31673\"}"}"#
    static let failure =
        #"{"oslo.version": "2.0", "oslo.message": "{\"result\": null, \"failure\": \"{\\\"class\\\": "#
        + #"\\\"NoSuchVim\\\", \\\"module\\\": \\\"__main__\\\", \\\"message\\\": \\\"no vim vim-9\\\", "#
        + #"\\\"tb\\\": [\\\"NoSuchVim: no vim vim-9\\\\n\\\"], \\\"args\\\": [\\\"no vim vim-9\\\"], "#
        + #"\\\"kwargs\\\": {}}\", \"ending\": true, \"_msg_id\": \"m\", \"_unique_id\": \"u\"}"}"#
}

@Suite("oslo.messaging's envelope")
struct EnvelopeTests {
    private func request(_ text: String) throws -> RPCRequest { try RPCRequest(body: Array(text.utf8)) }

    @Test("A captured call is read")
    func capturedCall() throws {
        #expect(
            try request(Captured.call)
                == RPCRequest(
                    method: "update_vim",
                    arguments: ["vim_id": "vim-9", "status": "REACHABLE", "action_id": "a-9"],
                    replyTo: .init(
                        queue: "reply_019b12e5f6b347c3b3c96459834cdd68",
                        messageID: "4c5c32b889274d428e7333c5ef72092d"),
                    uniqueID: "56a617d11c294fc481cdab7f7572d31c"))
    }

    @Test("A reply is written as oslo.messaging writes it, byte for byte")
    func reply() {
        let reply = RPCReply(
            messageID: "4c5c32b889274d428e7333c5ef72092d", outcome: .success("REACHABLE"))
        let body = reply.body(uniqueID: "5c177c2592b14fc39ab7f0e1f6e31673")
        #expect(String(decoding: body, as: UTF8.self) == Captured.reply)
    }

    @Test("A captured failure is read, and ours reads the same")
    func failure() throws {
        let expected = RPCFailure(className: "NoSuchVim", module: "__main__", message: "no vim vim-9")
        #expect(try RPCReply(body: Array(Captured.failure.utf8)).outcome == .failure(expected))
        let ours = RPCReply(messageID: "m", outcome: .failure(expected)).body(uniqueID: "u")
        #expect(try RPCReply(body: ours) == RPCReply(messageID: "m", outcome: .failure(expected)))
    }

    @Test("A sign of life has no ending, no result and no failure")
    func heartbeat() {
        let body = RPCReply(messageID: "m", outcome: .success(.null), isEnding: false).body(uniqueID: "u")
        let text = String(decoding: body, as: UTF8.self)
        #expect(text.contains(#"\"ending\": false"#))
        #expect(text.contains(#"\"result\": null, \"failure\": null"#))
    }

    @Test("A message without an envelope is the message itself, and no version is 1.0")
    func bare() throws {
        let request = try request(#"{"method": "ping", "args": {}}"#)
        #expect(request == RPCRequest(method: "ping", arguments: [:]))
    }

    @Test("A call monitor's timeout is read, also as a fraction; nonsense is none")
    func monitor() throws {
        #expect(try request(#"{"method": "a", "_timeout": 5}"#).monitorSeconds == 5)
        #expect(try request(#"{"method": "a", "_timeout": 2.5}"#).monitorSeconds == 2.5)
        #expect(try request(#"{"method": "a", "_timeout": 1e300}"#).monitorSeconds == Double(1 << 30))
        #expect(try request(#"{"method": "a", "_timeout": -1}"#).monitorSeconds == nil)
        #expect(try request(#"{"method": "a", "_timeout": "x"}"#).monitorSeconds == nil)
    }

    @Test(
        "What cannot be read is refused in words",
        arguments: [
            ("", "no JSON"), ("{", "no JSON"), ("[]", "no object"), ("{}", "no method"),
            (#"{"method": 5}"#, "no method"), (#"{"method": "a", "args": []}"#, "no object"),
            (#"{"method": "a", "version": 1}"#, "no text"),
            (#"{"oslo.version": "3.0", "oslo.message": "{}"}"#, "not known"),
            (#"{"oslo.version": "2.0", "oslo.message": {}}"#, "no text"),
            (#"{"oslo.version": "2.0", "oslo.message": "{"}"#, "no JSON"),
            (String(repeating: "[", count: 5_000), "nested too deep"),
        ])
    func refused(text: String, words: String) {
        let fault = #expect(throws: MessageFault.self) { try request(text) }
        #expect(fault?.sentence.contains(words) == true, "\(fault?.sentence ?? "")")
    }

    @Test("A fault says where to complain, if that much could be read")
    func addressOfFault() {
        let fault = #expect(throws: MessageFault.self) {
            try request(#"{"_msg_id": "m", "_reply_q": "q", "args": {}}"#)
        }
        #expect(fault?.replyTo == ReplyAddress(queue: "q", messageID: "m"))
    }

    @Test("Any request and any reply come back as they went in", arguments: 0..<100)
    func roundTrip(seed: UInt64) throws {
        var random = Seeded(state: seed)
        let request = RPCRequest(
            method: random.text(), arguments: [random.text(): .string(random.text()), "n": .integer(7)],
            version: "1.\(seed)", namespace: seed.isMultiple(of: 2) ? random.text() : nil,
            replyTo: seed.isMultiple(of: 3) ? nil : ReplyAddress(queue: "q", messageID: random.text()),
            uniqueID: random.text())
        #expect(try RPCRequest(body: request.body) == request)
        let outcome: Result<JSONValue, RPCFailure> =
            seed.isMultiple(of: 2)
            ? .success(.string(random.text()))
            : .failure(RPCFailure(className: random.text(), module: "m", message: random.text()))
        let reply = RPCReply(messageID: random.text(), outcome: outcome)
        #expect(try RPCReply(body: reply.body(uniqueID: "u")) == reply)
    }

    @Test("Bytes changed at random are read or refused, and never trap", arguments: 0..<20)
    func noise(seed: UInt64) {
        var random = Seeded(state: seed)
        for _ in 0..<500 {
            var bytes = Array(Captured.call.utf8)
            for _ in 0..<Int.random(in: 1...8, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(
                    in: 0...255, using: &random)
            }
            bytes.removeLast(Int.random(in: 0...4, using: &random))
            _ = try? RPCRequest(body: bytes)
            _ = try? RPCReply(body: bytes)
        }
    }
}

/// A random source that gives the same steps for the same seed (SplitMix64).
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    mutating func text() -> String {
        let letters: [Character] = ["a", "Z", "\"", "\\", "\n", "é", "\u{0}", "😀", " ", "{", "\u{7F}"]
        return String(
            (0..<Int.random(in: 0...12, using: &self)).compactMap { _ in
                letters.randomElement(using: &self)
            })
    }
}
