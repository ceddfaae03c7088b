import AMQP
import Encodings
import Testing

@testable import OsloMessaging

@Suite("The client's side of oslo.messaging")
struct ClientCoreTests {
    private var core = ClientCore(replyQueue: "reply_1", idPrefix: "c")
    private let start = ContinuousClock.now
    private let target = RPCTarget(exchange: "tacker", topic: "T")

    private mutating func call(_ id: UInt64, timeout: Duration = .seconds(5)) {
        core.call(
            id, target, RPCRequest(method: "ping", arguments: ["n": 1]), timeout: timeout, now: start)
    }

    private func reply(
        _ id: String, _ outcome: Result<JSONValue, RPCFailure>, isEnding: Bool = true
    ) -> [UInt8] {
        RPCReply(messageID: id, outcome: outcome, isEnding: isEnding).body(uniqueID: "u")
    }

    @Test("A call goes to the topic, names where its answer goes, and expires with its time")
    mutating func message() throws {
        call(10)
        let message = try #require(core.takeMessages().first)
        #expect(message.exchange == "tacker")
        #expect(message.routingKey == "T")
        #expect(message.isMandatory)
        #expect(message.expirationMilliseconds == 5_000)
        let request = try RPCRequest(body: message.body)
        #expect(request.replyTo == ReplyAddress(queue: "reply_1", messageID: "ca"))
        #expect(request.arguments == ["n": 1])
        #expect(core.takeMessages().isEmpty)
    }

    @Test("An answer ends its call, once; a failure is the server's own words")
    mutating func answers() {
        call(1)
        call(2)
        core.received(reply("c2", .failure(.badValue("no"))))
        core.received(reply("c1", .success("yes")))
        core.received(reply("c1", .success("again")))
        let outcomes = core.takeOutcomes()
        #expect(outcomes.map(\.0) == [2, 1])
        #expect(outcomes.map(\.1) == [.failure(.remote(.badValue("no"))), .success("yes")])
        #expect(core.isIdle)
    }

    @Test("A sign of life, a stranger's answer and noise end nothing")
    mutating func others() {
        call(1)
        core.received(reply("c1", .success(.null), isEnding: false))
        core.received(reply("x1", .success("yes")))
        core.received(reply("c99", .success("yes")))
        core.received(Array("{".utf8))
        #expect(core.takeOutcomes().isEmpty)
    }

    @Test("A call without an answer times out, and no other does")
    mutating func timeout() {
        call(1, timeout: .seconds(1))
        call(2, timeout: .seconds(3))
        #expect(core.tick(start) == start + .seconds(1))
        #expect(core.tick(start + .seconds(1)) == start + .seconds(3))
        let outcomes = core.takeOutcomes()
        #expect(outcomes.map(\.0) == [1])
        #expect(outcomes.map(\.1) == [.failure(.timedOut(method: "ping"))])
        core.received(reply("c2", .success("yes")))
        #expect(core.tick(start + .seconds(2)) == nil)
    }

    @Test("A call that no queue took is sent again, until its time is up")
    mutating func returned() throws {
        call(1, timeout: .seconds(1))
        let message = try #require(core.takeMessages().first)
        core.returned(message.body, now: start)
        #expect(core.tick(start) == start + .milliseconds(500))
        #expect(core.takeMessages().isEmpty)
        _ = core.tick(start + .milliseconds(500))
        #expect(core.takeMessages() == [message])
        core.returned(message.body, now: start + .milliseconds(500))
        _ = core.tick(start + .seconds(1))
        #expect(core.takeOutcomes().map(\.1) == [.failure(.timedOut(method: "ping"))])
        #expect(core.takeMessages().isEmpty)
    }

    @Test("What was under way when the connection broke is sent again as it was")
    mutating func disconnected() {
        call(1)
        call(2)
        let messages = core.takeMessages()
        core.received(reply("c1", .success("yes")))
        core.disconnected()
        #expect(core.takeMessages() == Array(messages.dropFirst()))
    }

    @Test("A cast to all goes to the fanout exchange and wants no answer")
    mutating func casts() throws {
        core.cast(1, target, RPCRequest(method: "hello", arguments: [:]), toAll: true)
        let message = try #require(core.takeMessages().first)
        #expect(message.exchange == "T_fanout")
        #expect(message.expirationMilliseconds == nil)
        #expect(try RPCRequest(body: message.body).replyTo == nil)
    }

    @Test("Whoever still waits at the end is told")
    mutating func stop() {
        call(1)
        core.stop()
        #expect(core.takeOutcomes().map(\.1) == [.failure(.notTaken)])
        #expect(core.isIdle)
    }
}
