import Encodings
import Registry
import VIMDrivers

/// One JSON object on one line, its keys in the order they were given.
struct JSONLine {
    private var members: [UInt8] = []

    mutating func add(_ key: String, _ value: JSONValue) {
        if !members.isEmpty { members.append(UInt8(ascii: ",")) }
        JSONValue.string(key).append(to: &members)
        members.append(UInt8(ascii: ":"))
        value.append(to: &members)
    }

    var text: String { "{" + String(decoding: members, as: UTF8.self) + "}" }
}

extension JSONValue {
    init(_ value: FieldValue) {
        switch value {
        case .text(let text): self = .string(text)
        case .number(let number): self = .integer(Int64(clamping: number))
        case .flag(let flag): self = .bool(flag)
        case .object(let text): self = (try? JSONValue(text)) ?? .object([:])
        }
    }

    init(_ actor: Actor) {
        self = [
            "user_id": .string(actor.userID), "user_name": .string(actor.userName),
            "project_id": .string(actor.projectID), "request_id": .string(actor.requestID),
            "remote_address": .string(actor.remoteAddress),
        ]
    }
}
