import Encodings
import Testing

@testable import EtcdClient

@Suite("etcd's JSON")
struct EtcdCodingTests {
    @Test("A transaction's bytes are these")
    func transaction() {
        let body = EtcdCoding.transaction(
            [
                .created("a/leader", at: 0), .modified("a/insync", at: 9_223_372_036_854_775_809),
                .value("b", [0, 0xFF]),
            ],
            [.put("a/leader", [0, 0xFF], lease: 7_533_855_956_788_117_765), .delete("b"), .get("a/leader")],
            [.list(prefix: "a/")])
        let golden =
            #"{"compare":[{"create_revision":"0","key":"YS9sZWFkZXI=","result":"EQUAL","target":"CREATE"},"#
            + #"{"key":"YS9pbnN5bmM=","mod_revision":"9223372036854775809","result":"EQUAL","#
            + #""target":"MOD"},"#
            + #"{"key":"Yg==","result":"EQUAL","target":"VALUE","value":"AP8="}],"#
            + #""failure":[{"request_range":{"key":"YS8=","range_end":"YTA="}}],"#
            + #""success":[{"request_put":{"key":"YS9sZWFkZXI=","lease":"7533855956788117765","#
            + #""value":"AP8="}},"#
            + #"{"request_delete_range":{"key":"Yg=="}},{"request_range":{"key":"YS9sZWFkZXI="}}]}"#
        #expect(String(decoding: body.encoded, as: UTF8.self) == golden)
        let everything = EtcdCoding.transaction([], [.list(prefix: "")], [])
        let all =
            #"{"compare":[],"failure":[],"success":[{"request_range":{"key":"AA==","range_end":"AA=="}}]}"#
        #expect(String(decoding: everything.encoded, as: UTF8.self) == all)
    }

    @Test("An outcome as etcd 3.4 writes it, what is zero or false left out")
    func outcome() throws {
        let text = """
            {"header":{"cluster_id":"3586811377195397337","member_id":"7616583982444832909","revision":"2",
            "raft_term":"3"},"succeeded":true,"responses":[{"response_put":{"header":{"revision":"2"}}},
            {"response_range":{"header":{"revision":"2"},"kvs":[{"key":"L3A=","create_revision":"2",
            "mod_revision":"5","version":"1","value":"dg==","lease":"77"}],"count":"1"}},
            {"response_range":{"header":{"revision":"2"}}}]}
            """
        let outcome = try EtcdCoding.outcome(JSONValue(json: text.utf8))
        let pair = EtcdKeyValue(key: "/p", value: Array("v".utf8), created: 2, modified: 5, lease: 77)
        let header = EtcdHeader(cluster: 3_586_811_377_195_397_337, revision: 2, term: 3)
        #expect(outcome == EtcdOutcome(header: header, isDone: true, found: [[pair], []]))
        let refused = try EtcdCoding.outcome(["header": ["cluster_id": "1", "revision": 4, "raft_term": "1"]])
        #expect(!refused.isDone && refused.found.isEmpty && refused.header.revision == 4)
    }

    @Test(
        "What is no answer of etcd is malformed",
        arguments: [
            "{}", #"{"header":7}"#, #"{"header":{"cluster_id":"x"}}"#, #"{"header":{"revision":"-1"}}"#,
            #"{"header":{"revision":1.5}}"#, #"{"header":{"revision":"18446744073709551616"}}"#,
            #"{"header":{},"responses":[{"response_range":{"kvs":[{"key":"not base64"}]}}]}"#,
            #"{"header":{},"responses":[{"response_range":{"kvs":[{"mod_revision":[]}]}}]}"#,
        ])
    func malformed(text: String) throws {
        let answer = try JSONValue(json: text.utf8)
        let fault = #expect(throws: EtcdFault.self) { try EtcdCoding.outcome(answer) }
        guard case .malformed = try #require(fault) else {
            Issue.record("\(text) is taken for \(String(describing: fault))")
            return
        }
    }

    @Test("A prefix ends before the next key that does not begin so")
    func prefixes() {
        #expect(EtcdCoding.end(ofPrefix: [1, 2]) == [1, 3])
        #expect(EtcdCoding.end(ofPrefix: [1, 0xFF]) == [2])
        #expect(EtcdCoding.end(ofPrefix: [0xFF]) == [0])
        #expect(EtcdCoding.end(ofPrefix: []) == [0])
    }

    @Test("An error tells whether the request may have been carried out")
    func fates() {
        func fate(_ text: String) -> String {
            switch EtcdConnection.fate(of: Array(text.utf8), from: "u") {
            case .answered: "answered"
            case .notTaken: "not taken"
            case .lost: "lost"
            case .refused(let code, _): "refused \(code)"
            case .malformed: "malformed"
            }
        }
        #expect(fate(#"{"error":"m","message":"etcdserver: request timed out","code":14}"#) == "lost")
        #expect(fate(#"{"error":"m","message":"etcdserver: no leader","code":14}"#) == "not taken")
        #expect(
            fate(#"{"error":"m","message":"etcdserver: requested lease not found","code":5}"#) == "refused 5")
        // As in a stream.
        #expect(
            fate(#"{"error":{"grpc_code":7,"http_code":403,"message":"permission denied"}}"#) == "refused 7")
        #expect(fate(#"{"error":"m"}"#) == "malformed")
        #expect(fate("Not Found") == "malformed")
        #expect(fate(#"{"result":{}}"#) == "answered")
    }
}
