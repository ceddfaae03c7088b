import Encodings
import FoundationEssentials

/// How the JSON gateway writes what etcd's protobuf messages hold: bytes in base64, 64-bit numbers as texts,
/// zeros, empty lists and false not at all.
enum EtcdCoding {
    /// The body of `/v3/kv/txn`.
    static func transaction(
        _ conditions: [EtcdComparison], _ done: [EtcdOperation], _ refused: [EtcdOperation]
    ) -> JSONValue {
        [
            "compare": .array(conditions.map(comparison)), "success": .array(done.map(operation)),
            "failure": .array(refused.map(operation)),
        ]
    }

    private static func comparison(_ condition: EtcdComparison) -> JSONValue {
        switch condition {
        case .created(let key, let revision):
            [
                "key": text(key), "target": "CREATE", "result": "EQUAL",
                "create_revision": number(revision),
            ]
        case .modified(let key, let revision):
            ["key": text(key), "target": "MOD", "result": "EQUAL", "mod_revision": number(revision)]
        case .value(let key, let value):
            ["key": text(key), "target": "VALUE", "result": "EQUAL", "value": bytes(value)]
        }
    }

    private static func operation(_ operation: EtcdOperation) -> JSONValue {
        switch operation {
        case .get(let key): ["request_range": ["key": text(key)]]
        case .list(let prefix):
            // The empty key is none; a single zero is the first one.
            [
                "request_range": [
                    "key": prefix.isEmpty ? bytes([0]) : text(prefix),
                    "range_end": bytes(end(ofPrefix: Array(prefix.utf8))),
                ]
            ]
        case .put(let key, let value, let lease):
            ["request_put": ["key": text(key), "value": bytes(value), "lease": .string(String(lease))]]
        case .delete(let key): ["request_delete_range": ["key": text(key)]]
        }
    }

    /// The first key behind all that begin so; a single zero stands for the end of all keys.
    static func end(ofPrefix prefix: [UInt8]) -> [UInt8] {
        guard let last = prefix.lastIndex(where: { $0 < 0xFF }) else { return [0] }
        return prefix[..<last] + [prefix[last] + 1]
    }

    static func bytes(_ bytes: [UInt8]) -> JSONValue { .string(Data(bytes).base64EncodedString()) }
    static func text(_ text: String) -> JSONValue { bytes(Array(text.utf8)) }
    static func number(_ number: UInt64) -> JSONValue { .string(String(number)) }

    /// The outcome of a transaction.
    static func outcome(_ answer: JSONValue) throws(EtcdFault) -> EtcdOutcome {
        var found: [[EtcdKeyValue]] = []
        for response in answer["responses"]?.array ?? [] {
            guard let range = response["response_range"] else { continue }
            var pairs: [EtcdKeyValue] = []
            for pair in range["kvs"]?.array ?? [] { pairs.append(try keyValue(pair)) }
            found.append(pairs)
        }
        return EtcdOutcome(
            header: try header(answer), isDone: answer["succeeded"] == .bool(true), found: found)
    }

    /// The header of an answer.
    static func header(_ answer: JSONValue) throws(EtcdFault) -> EtcdHeader {
        guard let header = answer["header"], case .object = header else { throw foreign(answer) }
        return EtcdHeader(
            cluster: try integer(header, "cluster_id"), revision: try integer(header, "revision"),
            term: try integer(header, "raft_term"))
    }

    private static func keyValue(_ pair: JSONValue) throws(EtcdFault) -> EtcdKeyValue {
        EtcdKeyValue(
            key: String(decoding: try decoded(pair, "key"), as: UTF8.self), value: try decoded(pair, "value"),
            created: try integer(pair, "create_revision"), modified: try integer(pair, "mod_revision"),
            lease: try integer(pair, "lease"))
    }

    /// A 64-bit number; absent means zero.
    static func integer<Number: FixedWidthInteger>(
        _ object: JSONValue, _ name: String
    ) throws(EtcdFault) -> Number {
        switch object[name] {
        case nil: return 0
        case .string(let text):
            guard let number = Number(text) else { throw foreign(object) }
            return number
        case .integer(let value):
            guard let number = Number(exactly: value) else { throw foreign(object) }
            return number
        default: throw foreign(object)
        }
    }

    private static func decoded(_ object: JSONValue, _ name: String) throws(EtcdFault) -> [UInt8] {
        guard let value = object[name] else { return [] }
        guard let text = value.string, let data = Data(base64Encoded: text) else { throw foreign(object) }
        return Array(data)
    }

    static func foreign(_ answer: JSONValue) -> EtcdFault { foreign(answer.encoded) }

    static func foreign(_ answer: [UInt8]) -> EtcdFault {
        .malformed(
            "what answers is no etcd: \(String(decoding: answer.prefix(120), as: UTF8.self))")
    }

    /// A gRPC status in place of an answer: `error` is a text, or in a stream an object.
    static func refusal(_ answer: JSONValue) -> (code: Int, message: String)? {
        let stream = answer["error"]
        let status = stream?.object == nil ? answer : stream
        guard stream != nil, let message = status?["message"]?.string else { return nil }
        guard case .integer(let code)? = status?["code"] ?? status?["grpc_code"] else { return nil }
        return (Int(code), message)
    }
}
