import Encodings
import Registry
import Samples
import Testing

@testable import Workflows

@Suite("What workers and conductor say to each other")
struct WireTests {
    private let worker = WorkerID(.sample(1))
    private let tickets = [
        MonitorTicket(.sample(1), .sample(1)), MonitorTicket(.sample(2), .sample(2)),
        MonitorTicket(.sample(3), .sample(3)), MonitorTicket(.sample(4), .sample(4)),
    ]
    private let facts = WorkerFacts(
        id: WorkerID(.sample(1)), name: "edge-1", host: "host", processID: 42, version: "1.0", load: 7,
        capacity: 20_000)

    /// As the other side reads it.
    private func travelled(_ value: JSONValue) throws -> JSONValue { try JSONValue(json: value.encoded) }

    @Test("Tickets, announcements, orders and releases arrive as they were sent")
    func roundTrips() throws {
        #expect(try MonitorTicket(body: tickets[0].json.encoded) == tickets[0])
        let arguments = try #require(travelled(.object(AnnounceCall.arguments(facts))).object)
        #expect(try AnnounceCall.facts(arguments) == facts)
        let orders = WorkerOrders(
            session: "3.1", loadMax: 100, surplus: 3, changed: tickets, announceInterval: .seconds(15),
            reportInterval: .milliseconds(1_500))
        #expect(try WorkerOrders(json: travelled(orders.json)) == orders)
        let release = ReleaseCall(worker: worker, tickets: tickets, reason: "stopping", leaves: true)
        #expect(try ReleaseCall(try #require(travelled(.object(release.arguments)).object)) == release)
    }

    @Test("Credentials travel encrypted to the one who asked, and open for nobody else")
    func sealed() throws {
        let key = WorkerKey(secret: nil)
        let call = TakeCall(worker: worker, tickets: tickets, areCarried: true, publicKey: key.publicKey)
        #expect(try TakeCall(try #require(travelled(.object(call.arguments)).object)) == call)
        let assignment = MonitorAssignment(
            vimID: .sample(1), actionID: .sample(1), type: .kubernetes, authURL: "https://a:6443",
            settings: MonitorSettings(probe: .icmp, intervalMilliseconds: 1, failureThreshold: 2),
            status: .unreachable)
        let answers: [TakeAnswer] = [
            .carry(assignment, credentials: JSONText(#"{"password":"hush-hush"}"#)), .stale, .elsewhere,
            .later,
        ]
        let json = try TakeReply(answers: answers).json(sealedTo: call.publicKey, under: nil)
        let text = String(decoding: json.encoded, as: UTF8.self)
        #expect(!text.contains("hush") && !text.contains("password"))
        #expect(try TakeReply(json: travelled(json), call: call, key: key).answers == answers)
        #expect(throws: WireFault.self) {
            try TakeReply(json: json, call: call, key: WorkerKey(secret: nil))
        }
        #expect(throws: WireFault.self) {
            try TakeReply(answers: answers).json(sealedTo: [1, 2, 3], under: nil)
        }
    }

    @Test("With a secret on both sides, who does not know it opens nothing")
    func secret() throws {
        let secret = try #require(WorkerSecret(Array(repeating: 7, count: 32)))
        #expect(WorkerSecret(Array(repeating: 7, count: 31)) == nil)
        #expect("\(secret)" == "worker secret")
        let key = WorkerKey(secret: secret)
        let plain: [UInt8] = [1, 2, 3]
        let sealed = try SealedCredentials(sealing: plain, to: key.publicKey, under: secret)
        #expect(try SealedCredentials(json: travelled(sealed.json)).opened(with: key) == plain)
        let other = try #require(WorkerSecret(Array(repeating: 8, count: 32)))
        for stranger in [WorkerKey(secret: nil), WorkerKey(secret: other)] {
            // Even though it was the stranger's own key that came with the call.
            let answer = try SealedCredentials(sealing: plain, to: stranger.publicKey, under: secret)
            #expect(throws: WireFault.self) { try answer.opened(with: stranger) }
        }
        let forSecretless = try SealedCredentials(sealing: plain, to: key.publicKey, under: nil)
        #expect(throws: WireFault.self) { try forSecretless.opened(with: key) }
        let wrong = try SealedCredentials(sealing: plain, to: key.publicKey, under: other)
        #expect(throws: WireFault.self) { try wrong.opened(with: key) }
    }

    @Test("What is missing, of a wrong type or too much is a fault and never a trap")
    func faults() throws {
        var random = SeededGenerator(seed: runSeed)
        let good: [JSONValue] = [
            .object(AnnounceCall.arguments(facts)),
            .object(TakeCall(worker: worker, tickets: tickets, areCarried: false, publicKey: [1]).arguments),
            .object(ReleaseCall(worker: worker, tickets: tickets, reason: "", leaves: true).arguments),
            WorkerOrders(
                session: "", loadMax: 1, surplus: 0, changed: tickets, announceInterval: .seconds(1),
                reportInterval: .seconds(1)
            ).json,
        ]
        func read(_ value: JSONValue) {
            let arguments = value.object ?? [:]
            _ = try? AnnounceCall.facts(arguments)
            _ = try? TakeCall(arguments)
            _ = try? ReleaseCall(arguments)
            _ = try? WorkerOrders(json: value)
            _ = try? MonitorTicket(json: value)
            _ = try? SealedCredentials(json: value)
        }
        for value in good {
            guard let members = value.object else { continue }
            for key in members.keys {
                for other in [JSONValue.null, 1, "x", -1, [], [1], [:], true, .number(1e300)] {
                    var damaged = members
                    damaged[key] = other
                    read(.object(damaged))
                }
            }
        }
        for _ in 0..<2_000 { _ = try? MonitorTicket(body: random.bytes(.random(in: 0...80, using: &random))) }
        let many = Array(repeating: tickets[0], count: 257)
        #expect(throws: WireFault.self) {
            let call = TakeCall(
                worker: worker, tickets: Array(many.prefix(65)), areCarried: false, publicKey: [])
            _ = try TakeCall(call.arguments)
        }
        #expect(throws: WireFault.self) {
            try ReleaseCall(ReleaseCall(worker: worker, tickets: many, reason: "", leaves: false).arguments)
        }
        #expect(throws: WireFault.self) { try AnnounceCall.facts([:]) }
        #expect(throws: WireFault.self) { try WorkerOrders(json: [:]) }
        let key = WorkerKey(secret: nil)
        let call = TakeCall(worker: worker, tickets: tickets, areCarried: true, publicKey: key.publicKey)
        #expect(throws: WireFault.self) { try TakeReply(json: [:], call: call, key: key) }
    }
}
