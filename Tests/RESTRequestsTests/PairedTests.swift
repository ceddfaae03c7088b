import Encodings
import HTTPTypes
import Hummingbird
import Registry
import Synchronization
import Testing

@testable import RESTRequests

@Suite("A server of a pair")
struct PairedTests {
    private static let leader = Standing.follows(leader: "10.0.0.1:9890", silence: .milliseconds(250))
    private static let nobody = Standing.nobodyServes("the lead is not taken")

    @Test("The leader answers by itself, and says so to a load balancer")
    func leads() async throws {
        let role = FakeRole([.serves])
        try await House.run(role: role) { house in
            let id = try await house.registerID()
            #expect(try await house.send(.get, "/v1.0/vims/\(id)").status == 200)
            #expect(try await house.send(.get, "/healthz/leader").status == 200)
            #expect(try await house.send(.get, "/healthz/ready").status == 200)
            #expect(role.carried.isEmpty)
        }
    }

    @Test("A standby carries a request to the leader and its answer back, whatever that is")
    func carries() async throws {
        let role = FakeRole([PairedTests.leader])
        try await House.run(role: role) { house in
            let answer = try await house.send(.post, "/v1.0/vims?a=b", House.registration())
            #expect(answer.status == 418 && answer.text == "tea")
            #expect(answer.headers[.contentType] == "text/tea")
            let request = try #require(role.carried.first)
            #expect(request.head.method == .post && request.head.path == "/v1.0/vims?a=b")
            #expect(request.head.headerFields[.forwarded] == "1")
            let sent = try JSONValue(json: request.body)
            #expect(sent == House.registration())
            #expect(role.leaders == ["10.0.0.1:9890"])
            let health = try await house.send(.get, "/healthz/leader")
            #expect(health.status == 503 && health.body?["leader"]?.string == "10.0.0.1:9890")
            #expect(try await house.send(.get, "/healthz/ready").status == 200)
        }
    }

    @Test("Who takes a stale answer gets the standby's own, with its age; a change is carried all the same")
    func stale() async throws {
        let role = FakeRole([PairedTests.leader])
        let headers: HTTPFields = [.staleness: "allowed"]
        try await House.run(role: role) { house in
            let list = try await house.send(.get, "/v1.0/vims", headers: headers)
            #expect(list.status == 200 && list.headers[.staleness] == "0.25")
            #expect(role.carried.isEmpty)
            _ = try await house.send(.post, "/v1.0/vims", House.registration(), headers: headers)
            #expect(role.carried.count == 1)
        }
    }

    @Test("While nobody leads the caller waits, and is answered by whoever leads then")
    func waits() async throws {
        let role = FakeRole([PairedTests.nobody, PairedTests.nobody, .serves])
        try await House.run(role: role) { house in
            _ = try await house.register()
        }
    }

    @Test("What did not reach the leader is tried again; what may have is not, unless it only reads")
    func lost() async throws {
        let refused = FakeRole([PairedTests.leader, .serves], faults: [.notSent])
        try await House.run(role: refused) { house in _ = try await house.register() }
        let silent = FakeRole([PairedTests.leader, .serves], faults: [.noAnswer])
        try await House.run(role: silent) { house in
            let answer = try await house.send(.post, "/v1.0/vims", House.registration())
            #expect(answer.status == 503 && answer.headers[.retryAfter] == "1")
            #expect(answer.text.contains("ask the one that leads now"))
        }
        let reading = FakeRole([PairedTests.leader, .serves], faults: [.noAnswer])
        try await House.run(role: reading) { house in
            let answer = try await house.send(.get, "/v1.0/vims")
            #expect(answer.status == 200)
        }
    }

    @Test(
        "A carried request is answered at once where nobody leads, and not carried on",
        arguments: [PairedTests.leader, PairedTests.nobody])
    private func once(_ standing: Standing) async throws {
        let role = FakeRole([standing, .serves])
        try await House.run(role: role) { house in
            let answer = try await house.send(.get, "/v1.0/vims", headers: [.forwarded: "1"])
            #expect(answer.status == 503 && answer.headers[.notLeading] == "1")
            #expect(role.carried.isEmpty)
        }
    }

    @Test("A leader that no longer leads says so to who carried the request, having done nothing")
    func formerLeader() async throws {
        try await House.run(role: FakeRole([.serves])) { house in
            house.registry.with { $0.failure = .notLeading }
            let body = House.registration()
            let answer = try await house.send(.post, "/v1.0/vims", body, headers: [.forwarded: "1"])
            #expect(answer.status == 503 && answer.headers[.notLeading] == "1")
        }
    }

    @Test("A request that met a node that does not lead is carried to the one that does")
    func refusedByFormerLeader() async throws {
        let role = FakeRole([PairedTests.leader], refusals: 2)
        try await House.run(role: role) { house in
            let answer = try await house.send(.post, "/v1.0/vims", House.registration())
            #expect(answer.status == 418)
            #expect(role.carried.count == 3)
        }
    }

    @Test("A registry that does not lead any more changes nothing, so the next leader is asked")
    func elsewhere() async throws {
        let role = FakeRole([.serves, PairedTests.leader])
        try await House.run(role: role) { house in
            house.registry.with { $0.failure = .notLeading }
            let answer = try await house.send(.post, "/v1.0/vims", House.registration())
            #expect(answer.status == 418)
            #expect(role.carried.count == 1)
        }
    }
}

/// A pair's role that changes with each request for it, and stays as it is at last.
private final class FakeRole: ServingRole {
    private struct State {
        var standings: [Standing]
        var faults: [ForwardFault]
        /// So many answers say that the node asked does not lead.
        var refusals: Int
        var carried: [ForwardedRequest] = []
        var leaders: [String] = []
    }

    private let state: Mutex<State>

    init(_ standings: [Standing], faults: [ForwardFault] = [], refusals: Int = 0) {
        state = Mutex(State(standings: standings, faults: faults, refusals: refusals))
    }

    var carried: [ForwardedRequest] { state.withLock { $0.carried } }
    var leaders: [String] { state.withLock { $0.leaders } }

    var standing: Standing {
        state.withLock { $0.standings.count > 1 ? $0.standings.removeFirst() : $0.standings[0] }
    }

    func forward(
        _ request: ForwardedRequest, to leader: String
    ) async throws(ForwardFault) -> ForwardedReply {
        let fault = state.withLock { state -> ForwardFault? in
            state.carried.append(request)
            state.leaders.append(leader)
            return state.faults.isEmpty ? nil : state.faults.removeFirst()
        }
        if let fault { throw fault }
        let isRefused = state.withLock { state in
            state.refusals -= 1
            return state.refusals >= 0
        }
        if isRefused { return ForwardedReply(status: 503, headers: [.notLeading: "1"], body: []) }
        return ForwardedReply(status: 418, headers: [.contentType: "text/tea"], body: Array("tea".utf8))
    }
}
