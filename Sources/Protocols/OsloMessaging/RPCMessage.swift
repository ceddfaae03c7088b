package import Encodings

/// A call or cast as it travels.
package struct RPCRequest: Hashable, Sendable {
    /// The method's name.
    package var method: String
    /// Its arguments by name.
    package var arguments: RPCArguments
    /// The interface's version that the caller speaks, as it wrote it; `1.0` if it wrote none.
    package var version: String
    /// The interface's namespace; nil if it has none.
    package var namespace: String?
    /// Where the answer goes; nil for a cast, which wants none.
    package var replyTo: ReplyAddress?
    /// After so many seconds without a sign of life the caller gives up; nil if it just waits.
    package var monitorSeconds: Double?
    /// Names this message, to tell a second copy; empty if the caller gave none.
    package var uniqueID: String

    /// All parts at once.
    package init(
        method: String, arguments: RPCArguments, version: String = "1.0", namespace: String? = nil,
        replyTo: ReplyAddress? = nil, monitorSeconds: Double? = nil, uniqueID: String = ""
    ) {
        self.method = method
        self.arguments = arguments
        self.version = version
        self.namespace = namespace
        self.replyTo = replyTo
        self.monitorSeconds = monitorSeconds
        self.uniqueID = uniqueID
    }
}

/// Which call of which client an answer belongs to.
package struct ReplyAddress: Hashable, Sendable {
    /// A queue's name is no longer: what nobody can publish to is no address.
    static let queueByteMax = 255

    /// The client's queue; its name means nothing to us.
    package var queue: String
    /// The client's name for the call.
    package var messageID: String

    /// Pairs the two.
    package init(queue: String, messageID: String) {
        self.queue = queue
        self.messageID = messageID
    }
}

/// An answer, or a sign of life before it, as it travels.
package struct RPCReply: Hashable, Sendable {
    /// The client's name for the call.
    package var messageID: String
    /// The result, or what went wrong.
    package var outcome: Result<JSONValue, RPCFailure>
    /// Whether this is the answer; a sign of life is not.
    package var isEnding: Bool

    /// All parts at once.
    package init(messageID: String, outcome: Result<JSONValue, RPCFailure>, isEnding: Bool = true) {
        self.messageID = messageID
        self.outcome = outcome
        self.isEnding = isEnding
    }
}

/// Why a message could not be read.
package struct MessageFault: Error, Hashable, Sendable {
    /// One sentence.
    package var sentence: String
    /// Where to say so, if that much could be read.
    package var replyTo: ReplyAddress?

    init(_ sentence: String, replyTo: ReplyAddress? = nil) {
        self.sentence = sentence
        self.replyTo = replyTo
    }
}

extension RPCRequest {
    /// Reads a message's body.
    package init(body: [UInt8]) throws(MessageFault) {
        if let plain = PlainRequest.read(body) {
            self = plain
        } else {
            try self.init(anyBody: body)
        }
    }

    /// Reads a message's body whatever form it has.
    init(anyBody body: [UInt8]) throws(MessageFault) {
        let payload = try Envelope.open(body)
        guard let members = payload.object else { throw MessageFault("the message is no object") }
        var address: ReplyAddress?
        if let id = members["_msg_id"]?.string, let queue = members["_reply_q"]?.string {
            guard queue.utf8.count <= ReplyAddress.queueByteMax else {
                throw MessageFault("the reply queue's name is longer than any queue's")
            }
            address = ReplyAddress(queue: queue, messageID: id)
        }
        guard let method = members["method"]?.string else {
            throw MessageFault("the message names no method", replyTo: address)
        }
        let arguments = members["args"] ?? [:]
        guard let arguments = arguments.object else {
            throw MessageFault("the arguments of \(method.prefix(80)) are no object", replyTo: address)
        }
        let version = members["version"] ?? "1.0"
        guard let version = version.string else {
            throw MessageFault("the version of \(method.prefix(80)) is no text", replyTo: address)
        }
        self.init(
            method: method, arguments: RPCArguments(arguments), version: version,
            namespace: members["namespace"]?.string, replyTo: address,
            monitorSeconds: members["_timeout"]?.seconds,
            uniqueID: members["_unique_id"]?.string ?? "")
    }

    /// The message's body.
    package var body: [UInt8] {
        var members: [String: JSONValue] = [
            "method": .string(method), "args": .object(arguments.members), "version": .string(version),
            "_unique_id": .string(uniqueID),
        ]
        if let namespace { members["namespace"] = .string(namespace) }
        if let replyTo {
            members["_msg_id"] = .string(replyTo.messageID)
            members["_reply_q"] = .string(replyTo.queue)
            members["_timeout"] = monitorSeconds.map(JSONValue.number) ?? .null
        }
        return Envelope.close(JSONValue.object(members).encoded)
    }
}

extension RPCReply {
    /// Reads a reply's body.
    package init(body: [UInt8]) throws(MessageFault) {
        let payload = try Envelope.open(body)
        guard let id = payload["_msg_id"]?.string else { throw MessageFault("the reply names no call") }
        messageID = id
        isEnding = payload["ending"] == .bool(true)
        switch payload["failure"] ?? .null {
        case .null: outcome = .success(payload["result"] ?? .null)
        case .string(let text):
            guard let failure = try? JSONValue(json: text.utf8) else {
                throw MessageFault("the reply's failure is no JSON")
            }
            outcome = .failure(RPCFailure(json: failure))
        default: throw MessageFault("the reply's failure is no text")
        }
    }

    /// The reply's body.
    ///
    /// - Parameter uniqueID: tells it from its copies.
    package func body(uniqueID: String) -> [UInt8] {
        var result = JSONValue.null
        var failure = JSONValue.null
        switch outcome {
        case .success(let value): result = value
        case .failure(let reason): failure = .string(String(decoding: reason.json.encoded, as: UTF8.self))
        }
        // Put together by hand, in its envelope: it is written for every call, always with the same keys.
        var body: [UInt8] = []
        body.reserveCapacity(384)
        body += #"{"oslo.version": "2.0", "oslo.message": "{\"result\": "#.utf8
        Envelope.append(result, to: &body)
        body += #", \"failure\": "#.utf8
        Envelope.append(failure, to: &body)
        body += (isEnding ? #", \"ending\": true"# : #", \"ending\": false"#).utf8
        body += #", \"_msg_id\": "#.utf8
        Envelope.append(.string(messageID), to: &body)
        body += #", \"_unique_id\": "#.utf8
        Envelope.append(.string(uniqueID), to: &body)
        body += #"}"}"#.utf8
        return body
    }
}

/// oslo.messaging's envelope: an object that holds the payload as a text, JSON once more.
enum Envelope {
    static func open(_ body: [UInt8]) throws(MessageFault) -> JSONValue {
        let outer = try parse(body, "the body")
        guard let version = outer["oslo.version"]?.string, let message = outer["oslo.message"] else {
            // As oslo.messaging wrote before it had envelopes.
            return outer
        }
        guard version == "2" || version.hasPrefix("2.") else {
            throw MessageFault("envelope version \(version.prefix(20)) is not known")
        }
        guard let text = message.string else { throw MessageFault("the envelope holds no text") }
        return try parse(Array(text.utf8), "the message in the envelope")
    }

    static func close(_ payload: [UInt8]) -> [UInt8] {
        var body: [UInt8] = []
        body.reserveCapacity(payload.count + payload.count / 4 + 64)
        body += #"{"oslo.version": "2.0", "oslo.message": "#.utf8
        payload.withUnsafeBufferPointer { JSONValue.append(utf8: $0, to: &body) }
        body.append(UInt8(ascii: "}"))
        return body
    }

    /// Adds a part of the payload to a body, as it stands in an envelope.
    static func append(_ part: JSONValue, to body: inout [UInt8]) {
        switch part {
        case .null: body += "null".utf8
        case .string(var text):
            let isPlain = text.withUTF8 { text in
                guard text.isPlain else { return false }
                body += #"\""#.utf8
                body.append(contentsOf: text)
                body += #"\""#.utf8
                return true
            }
            if !isPlain { appendEscaped(part, to: &body) }
        default: appendEscaped(part, to: &body)
        }
    }

    private static func appendEscaped(_ part: JSONValue, to body: inout [UInt8]) {
        var escaped: [UInt8] = []
        part.encoded.withUnsafeBufferPointer { JSONValue.append(utf8: $0, to: &escaped) }
        body += escaped.dropFirst().dropLast()
    }

    private static func parse(_ bytes: [UInt8], _ what: String) throws(MessageFault) -> JSONValue {
        do throws(JSONReadingError) { return try JSONValue(json: bytes) } catch {
            switch error {
            case .malformed: throw MessageFault("\(what) is no JSON in UTF-8")
            case .tooDeep: throw MessageFault("\(what) is JSON nested too deep")
            }
        }
    }
}

extension JSONValue {
    /// A number of seconds that a timer can hold.
    var seconds: Double? {
        switch self {
        case .integer(let value) where value > 0: Double(min(value, 1 << 30))
        case .number(let value) where value > 0: min(value, Double(1 << 30))
        default: nil
        }
    }
}

extension UnsafeBufferPointer<UInt8> {
    /// Whether it stands in JSON as it is, and is ASCII.
    fileprivate var isPlain: Bool {
        for byte in self
        where byte < 0x20 || byte >= 0x7F || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
            return false
        }
        return true
    }
}
