import Harness
import Testing

@testable import EtcdClient

@Suite("The client of etcd, with an etcd that does what a test wants")
struct EtcdClientTests {
    private static let done = "{\(ScriptedEtcd.header())}"
    private static let timedOut = #"{"error":"e","message":"etcdserver: request timed out","code":14}"#
    private static let noLeader = #"{"error":"e","message":"etcdserver: no leader","code":14}"#

    @Test("A write that may have arrived is never sent to another endpoint; the next call begins there")
    func unknownOutcome() async throws {
        for lost in [nil, (503, Self.timedOut)] as [(Int, String)?] {
            try await ScriptedEtcd.run { _ in
                lost
            } _: { first, firstURL in
                try await ScriptedEtcd.run { _ in
                    (200, Self.done)
                } _: { second, secondURL in
                    let settings = EtcdSettings(
                        endpoints: [firstURL, secondURL], timeout: .seconds(6))
                    try await withClient(settings) { client in
                        let fault = await failure {
                            try await client.commit(then: [.put("k", [], lease: 0)])
                        }
                        #expect(fault?.isOutcomeUnknown == true)
                        #expect(fault?.description.contains("unknown: \(firstURL)/v3/kv/txn: ") == true)
                        #expect(first.paths.count == 1 && second.paths.isEmpty)
                        _ = try await client.commit(then: [.put("k", [], lease: 0)])
                        #expect(first.paths.count == 1 && second.paths.count == 1)
                    }
                }
            }
        }
    }

    @Test("A read goes on to the next endpoint within its time, and so does a write that nobody took")
    func goingOn() async throws {
        try await ScriptedEtcd.run { _ in
            (200, Self.done)
        } _: { last, lastURL in
            try await ScriptedEtcd.run { _ in
                nil
            } _: { silent, silentURL in
                let settings = EtcdSettings(endpoints: [silentURL, lastURL], timeout: .seconds(12))
                try await withClient(settings) { client in
                    let outcome = try await client.commit(then: [.get("k")])
                    #expect(outcome.header.cluster == 9)
                    #expect(silent.paths.count == 1)
                }
            }
            let closed = "http://127.0.0.1:\(try freePorts(count: 1)[0])"
            try await ScriptedEtcd.run { _ in
                (503, Self.noLeader)
            } _: { _, lonelyURL in
                let settings = EtcdSettings(endpoints: [closed, lonelyURL, lastURL], timeout: .seconds(20))
                try await withClient(settings) { client in
                    let count = last.paths.count
                    _ = try await client.commit(then: [.put("k", [], lease: 0)])
                    #expect(last.paths.count == count + 1)
                }
                try await withClient(EtcdSettings(endpoints: [closed, lonelyURL], timeout: .seconds(120))) {
                    client in
                    let fault = await failure {
                        try await client.commit(then: [.delete("k")])
                    }
                    #expect(fault?.isOutcomeUnknown == false)
                    let text = try #require(fault).description
                    #expect(text.hasPrefix("no etcd takes requests: \(closed)/v3/kv/txn: "))
                    #expect(text.hasSuffix("no leader. Start etcd, or correct the endpoints"))
                }
            }
        }
    }

    @Test(
        "What is no etcd is said so, and leaves the outcome unknown",
        arguments: ["<html>", "[]", "{}", #"{"header":{"revision":"x"}}"#])
    func foreign(answer: String) async throws {
        try await ScriptedEtcd.run { _ in
            (200, answer)
        } _: { _, url in
            try await withClient(EtcdSettings(endpoints: [url], timeout: .seconds(120))) { client in
                let fault = await failure {
                    try await client.commit(then: [.delete("k")])
                }
                #expect(fault?.isOutcomeUnknown == true)
                #expect(
                    fault?.description == "what answers is no etcd: \(shown(answer)). "
                        + "Name the client URL of an etcd 3.4 or newer with its JSON gateway")
                let faults = [
                    await failure { try await client.grantLease(.seconds(1)) },
                    await failure { try await client.keepAlive(1) },
                    await failure { try await client.revoke(1) },
                ]
                #expect(faults.allSatisfy { $0?.isOutcomeUnknown == true })
            }
        }
    }

    private func shown(_ answer: String) -> String {
        answer.contains("revision") ? #"{"revision":"x"}"# : answer
    }

    // etcd 3.4 lets a leader renew leases that does not know yet that it leads no more.
    @Test("A renewal counts only if the term of Raft stayed until behind it")
    func staleRenewal() async throws {
        for (term, isKept) in [(2, true), (3, false)] {
            try await ScriptedEtcd.run { call in
                call.path == "/v3/lease/keepalive"
                    ? (200, #"{"result":{\#(ScriptedEtcd.header(term: 2)),"ID":"5","TTL":"10"}}"# + "\n")
                    : (200, "{\(ScriptedEtcd.header(term: term))}")
            } _: { etcd, url in
                try await withClient(EtcdSettings(endpoints: [url], timeout: .seconds(120))) { client in
                    let fault = await failure {
                        let left = try await client.keepAlive(5)
                        #expect(left == .seconds(10))
                    }
                    let changed = "\(url): etcd's leader changed during the renewal"
                    #expect(fault == (isKept ? nil : .unanswered(changed)))
                    #expect(etcd.paths == ["/v3/lease/keepalive", "/v3/kv/txn"])
                }
            }
        }
    }

    @Test("A token is kept, and renewed once when etcd no longer takes it")
    func tokens() async throws {
        let stale = #"{"error":"e","message":"etcdserver: invalid auth token","code":16}"#
        try await ScriptedEtcd.run { call in
            if call.path == "/v3/auth/authenticate" {
                return (200, #"{"token":"new"}"#)
            }
            return call.token == "new" && !call.body.contains("bmV2ZXI=") ? (200, Self.done) : (401, stale)
        } _: { etcd, url in
            var settings = EtcdSettings(endpoints: [url], timeout: .seconds(120))
            settings.account = .init(user: "u", password: "secret")
            try await withClient(settings) { client in
                _ = try await client.commit(then: [.get("k")])
                _ = try await client.commit(then: [.get("k")])
                #expect(etcd.paths == ["/v3/auth/authenticate", "/v3/kv/txn", "/v3/kv/txn"])
                #expect(etcd.seen[0].body == #"{"name":"u","password":"secret"}"#)
                let fault = await failure {
                    try await client.commit(then: [.get("never")])
                }
                #expect(fault == .refused(code: 16, message: "etcdserver: invalid auth token"))
                #expect(
                    etcd.paths.dropFirst(3) == ["/v3/kv/txn", "/v3/auth/authenticate", "/v3/kv/txn"])
            }
        }
    }

    @Test("Settings that lead nowhere are refused in words")
    func settings() {
        func refusal(_ change: (inout EtcdSettings) -> Void) -> String? {
            var settings = EtcdSettings(endpoints: ["https://127.0.0.1:1"])
            change(&settings)
            do throws(EtcdFault) { _ = try EtcdClient(settings) } catch { return error.description }
            return nil
        }
        #expect(refusal { $0.endpoints = [] } == "no endpoint of etcd is given")
        for endpoint in [
            "127.0.0.1:2379", "ftp://h:1", "http://", "http://h/v3", "http://u:p@h", "http://h?q",
        ] {
            #expect(
                refusal { $0.endpoints = [endpoint] }
                    == "'\(endpoint)' is no endpoint of etcd; write http://HOST:2379 or https://HOST:2379")
        }
        #expect(refusal { $0.authorities = "/dev/null" } == "/dev/null is no file of PEM certificates")
        #expect(refusal { $0.certificate = "/dev/null" } == "/dev/null is no file of PEM certificates")
    }
}
