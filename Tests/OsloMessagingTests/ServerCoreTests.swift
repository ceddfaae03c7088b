import AMQP
import Encodings
import Testing

@testable import OsloMessaging

@Suite("The server's side of oslo.messaging")
struct ServerCoreTests {
    private var core = ServerCore(version: RPCVersion(1, 1), methods: ["update_vim"], replyPrefix: "r")
    private let start = ContinuousClock.now
    private var lastTag: UInt64 = 0

    init() { core.connected(1) }

    private mutating func deliver(
        _ request: RPCRequest? = nil, body: String? = nil, connection: UInt64 = 1,
        encoding: String = "utf-8", type: String = "application/json"
    ) -> ServerCore.Call? {
        lastTag += 1
        let bytes = body.map { Array($0.utf8) } ?? request?.body
        return core.received(
            Delivery(
                tag: DeliveryTag(number: lastTag, connection: connection), contentType: type,
                contentEncoding: encoding, body: bytes), now: start)
    }

    private func call(
        _ id: String = "m", method: String = "update_vim", version: String = "1.0", monitor: Double? = nil
    ) -> RPCRequest {
        RPCRequest(
            method: method, arguments: ["vim_id": "v"], version: version,
            replyTo: ReplyAddress(queue: "reply_1", messageID: id), monitorSeconds: monitor,
            uniqueID: "u-\(id)")
    }

    private func read(_ publications: [Publication]) throws -> [RPCReply] {
        try publications.map { try RPCReply(body: $0.body) }
    }

    @Test("A call is handed on, and its delivery is acknowledged with its answer, not before")
    mutating func answer() throws {
        let handed = try #require(deliver(call()))
        #expect(handed.method == "update_vim")
        #expect(core.takeOutput().acknowledgements == [])
        #expect(!core.isIdle)
        core.answered(handed.id, .success("REACHABLE"), now: start)
        let output = core.takeOutput()
        #expect(output.replies.map(\.routingKey) == ["reply_1"])
        #expect(output.replies.allSatisfy { $0.isMandatory && $0.exchange.isEmpty })
        #expect(try read(output.replies) == [RPCReply(messageID: "m", outcome: .success("REACHABLE"))])
        #expect(output.acknowledgements == [.init(number: 1, isMultiple: false)])
        #expect(core.isIdle)
    }

    @Test("A cast is acknowledged and answered by nothing")
    mutating func cast() throws {
        let handed = try #require(deliver(RPCRequest(method: "update_vim", arguments: [:])))
        core.answered(handed.id, .success("REACHABLE"), now: start)
        let output = core.takeOutput()
        #expect(output.replies.isEmpty)
        #expect(output.acknowledgements.count == 1)
    }

    @Test("A second copy is dropped, and only the last sixteen are known")
    mutating func duplicates() throws {
        for number in 0..<17 { _ = try #require(deliver(call("\(number)"))) }
        #expect(deliver(call("16")) == nil)
        #expect(deliver(call("1")) == nil)
        #expect(core.statistics.duplicateCount == 2)
        #expect(deliver(call("0")) != nil)
    }

    @Test("What was not answered when the connection broke is no second copy when it comes again")
    mutating func redelivery() throws {
        let first = try #require(deliver(call("a")))
        let second = try #require(deliver(call("b")))
        core.answered(second.id, .success("REACHABLE"), now: start)
        core.disconnected()
        core.connected(2)
        lastTag = 0
        #expect(deliver(call("a"), connection: 2) != nil)
        // Late: its delivery belonged to the old connection, where number 1 was another one.
        core.answered(first.id, .success("REACHABLE"), now: start)
        let output = core.takeOutput()
        #expect(try read(output.replies).map(\.messageID) == ["b", "a"])
        #expect(output.acknowledgements == [])
    }

    @Test("What another server is to answer is neither answered nor acknowledged, and may come again")
    mutating func elsewhere() throws {
        let first = try #require(deliver(call("a", monitor: 4)))
        let second = try #require(deliver(call("b")))
        core.answered(first.id, .failure(.elsewhere), now: start)
        core.answered(second.id, .success("REACHABLE"), now: start)
        let output = core.takeOutput()
        #expect(try read(output.replies).map(\.messageID) == ["b"])
        #expect(output.acknowledgements == [.init(number: 2, isMultiple: false)])
        #expect(core.isIdle && core.tick(start + .seconds(60)) == nil)
        core.disconnected()
        core.connected(2)
        lastTag = 0
        #expect(deliver(call("a"), connection: 2) != nil)
    }

    @Test(
        "A version, a namespace or a method that is not served is refused",
        arguments: [
            ("1.2", nil, "update_vim", "UnsupportedVersion"),
            ("2.0", nil, "update_vim", "UnsupportedVersion"),
            ("x", nil, "update_vim", "UnsupportedVersion"), ("", nil, "update_vim", "UnsupportedVersion"),
            ("1.0", "ns", "update_vim", "UnsupportedVersion"),
            ("1.0", nil, "delete_vim", "NoSuchMethod"),
        ] as [(String, String?, String, String)])
    mutating func refused(version: String, namespace: String?, method: String, className: String) throws {
        var request = call(method: method, version: version)
        request.namespace = namespace
        #expect(deliver(request) == nil)
        let output = core.takeOutput()
        #expect(output.acknowledgements.count == 1)
        guard case .failure(let failure) = try #require(try read(output.replies).first).outcome else {
            Issue.record("not refused")
            return
        }
        #expect(failure.className == className)
        #expect(failure.module == "oslo_messaging.rpc.dispatcher")
        // Behind one that is served, too.
        #expect(deliver(call("other")) != nil)
        request.uniqueID = "another"
        #expect(deliver(request) == nil)
    }

    @Test("The lesser minor version is served")
    mutating func served() { #expect(deliver(call(version: "1.1")) != nil) }

    @Test("What cannot be read is counted, complained of and acknowledged")
    mutating func malformed() {
        #expect(deliver(body: "{") == nil)
        #expect(deliver(call(), encoding: "utf-16") == nil)
        #expect(deliver(call(), type: "application/x-python-serialize") == nil)
        #expect(deliver(body: nil) == nil)
        #expect(core.statistics.malformedCount == 4)
        #expect(core.takeComplaint()?.contains("larger than") == true)
        #expect(core.takeComplaint() == nil)
        #expect(core.takeOutput().acknowledgements == [.init(number: 4, isMultiple: true)])
    }

    @Test("What can be answered although it cannot be read is answered")
    mutating func malformedCall() throws {
        #expect(deliver(body: #"{"method": 7, "_msg_id": "m", "_reply_q": "q"}"#) == nil)
        let replies = core.takeOutput().replies
        #expect(replies.map(\.routingKey) == ["q"])
        guard case .failure = try #require(try read(replies).first).outcome else {
            Issue.record("not a failure")
            return
        }
    }

    @Test("A monitored call gets signs of life at half its time, and none after the answer")
    mutating func monitor() throws {
        let handed = try #require(deliver(call(monitor: 4)))
        #expect(core.owesSignsOfLife)
        #expect(core.tick(start) == start + .seconds(2))
        #expect(core.takeOutput().replies.isEmpty)
        #expect(core.tick(start + .seconds(2)) == start + .seconds(4))
        let beats = core.takeOutput()
        #expect(
            try read(beats.replies)
                == [RPCReply(messageID: "m", outcome: .success(.null), isEnding: false)])
        #expect(beats.acknowledgements == [])
        core.answered(handed.id, .success("REACHABLE"), now: start)
        #expect(!core.owesSignsOfLife)
        #expect(core.tick(start + .seconds(9)) == nil)
        #expect(core.takeOutput().replies.count == 1)
    }

    @Test(
        "A sign of life is not kept while the broker is away, nor does it come back"
    )
    mutating func signOfLife() throws {
        _ = try #require(deliver(call(monitor: 4)))
        _ = core.tick(start + .seconds(2))
        #expect(core.takeOutput().replies.map(\.isMandatory) == [false])
        core.disconnected()
        _ = core.tick(start + .seconds(4))
        _ = core.tick(start + .seconds(6))
        core.connected(2)
        #expect(core.takeOutput().replies.isEmpty)
        _ = core.tick(start + .seconds(8))
        #expect(core.takeOutput().replies.count == 1)
    }

    @Test(
        "Who names a reply queue that cannot be gets no answer, and its message does not stay")
    mutating func longReplyQueue() {
        var request = call()
        request.replyTo = ReplyAddress(queue: String(repeating: "q", count: 256), messageID: "m")
        #expect(deliver(request) == nil)
        let output = core.takeOutput()
        #expect(output.replies.isEmpty && output.acknowledgements.count == 1)
        #expect(core.statistics.malformedCount == 1)
        request.replyTo = ReplyAddress(queue: String(repeating: "q", count: 255), messageID: "m")
        request.uniqueID = "other"
        #expect(deliver(request) != nil)
    }

    @Test("A call monitored for less than two seconds gets no sign of life")
    mutating func shortMonitor() throws {
        _ = try #require(deliver(call(monitor: 1.5)))
        #expect(!core.owesSignsOfLife)
        #expect(core.tick(start + .seconds(5)) == nil)
        #expect(core.takeOutput().replies.isEmpty)
    }

    @Test("A reply that comes back is tried again for a minute; then its queue is dead for a minute")
    mutating func returned() throws {
        let handed = try #require(deliver(call()))
        core.answered(handed.id, .success("REACHABLE"), now: start)
        var replies = core.takeOutput().replies
        var now = start
        var tries = 0
        while let reply = replies.first {
            tries += 1
            core.returned(
                ReturnedMessage(exchange: "", routingKey: reply.routingKey, replyCode: 312, body: reply.body),
                now: now)
            guard let next = core.tick(now) else { break }
            now = next
            _ = core.tick(now)
            replies = core.takeOutput().replies
        }
        #expect(tries > 200 && tries < 250)
        #expect(core.statistics.lostReplyCount == 1)
        let second = try #require(deliver(call("n")))
        core.answered(second.id, .success("REACHABLE"), now: now)
        #expect(core.takeOutput().replies.isEmpty)
        #expect(core.statistics.lostReplyCount == 2)
        let third = try #require(deliver(call("o")))
        core.answered(third.id, .success("REACHABLE"), now: now + .seconds(61))
        #expect(core.takeOutput().replies.count == 1)
    }

    @Test("A reply whose client comes back is sent once more and then left alone")
    mutating func comeback() throws {
        let handed = try #require(deliver(call()))
        core.answered(handed.id, .success("REACHABLE"), now: start)
        let reply = try #require(core.takeOutput().replies.first)
        core.returned(
            ReturnedMessage(exchange: "", routingKey: reply.routingKey, replyCode: 312, body: reply.body),
            now: start)
        #expect(core.tick(start) == start + .milliseconds(250))
        _ = core.tick(start + .milliseconds(250))
        #expect(core.takeOutput().replies == [reply])
        #expect(core.tick(start + .milliseconds(600)) == nil)
        #expect(core.takeOutput().replies.isEmpty)
        #expect(core.statistics.lostReplyCount == 0)
    }

    @Test("Replies that could not be sent go out first on the next connection")
    mutating func takenBack() throws {
        let first = try #require(deliver(call("a")))
        core.answered(first.id, .success("REACHABLE"), now: start)
        core.takeBack(core.takeOutput().replies)
        let second = try #require(deliver(call("b")))
        core.answered(second.id, .success("REACHABLE"), now: start)
        #expect(try read(core.takeOutput().replies).map(\.messageID) == ["a", "b"])
    }
}
