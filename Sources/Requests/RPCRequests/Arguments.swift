import Encodings
import OsloMessaging
import Registry

/// A call's arguments, checked as they are read.
struct Arguments {
    private let method: String
    private let values: RPCArguments

    init(_ method: String, _ values: RPCArguments) {
        self.method = method
        self.values = values
    }

    /// Refuses arguments that the method does not have, as Python would.
    func allow(_ names: [String]) throws(RPCFailure) {
        if let stranger = values.names.first(where: { !names.contains($0) }) {
            throw .badArguments("\(method)() got an unexpected argument '\(stranger.prefix(80))'")
        }
    }

    /// Whether an argument was given and is not null.
    func has(_ name: String) -> Bool { (values[name] ?? .null) != .null }

    /// A text that must be there.
    func text(_ name: String) throws(RPCFailure) -> String {
        guard let value = values[name] else { throw .badArguments("\(method)() needs \(name)") }
        guard let text = value.string else { throw .badArguments("\(method)(): \(name) is no text") }
        return text
    }

    /// A finding; unstated if it was left out.
    func finding(_ name: String) throws(RPCFailure) -> ProbeFinding {
        guard has(name) else { return .unstated }
        guard let members = values[name]?.object,
            let word = members["reason"]?.string,
            let reason = ProbeFinding.Reason(word: word)
        else {
            let known = ProbeFinding.Reason.allCases.map { ProbeFinding($0).word }.joined(separator: ", ")
            throw .badValue("\(method)(): \(name) is an object whose reason is one of \(known)")
        }
        return ProbeFinding(
            reason, detail: UInt16(clamping: members["detail"]?.count ?? 0),
            roundTripMicroseconds: UInt32(clamping: members["microseconds"]?.count ?? 0))
    }
}

extension ProbeFinding.Reason {
    /// Reads the word that ``ProbeFinding/word`` writes.
    fileprivate init?(word: String) {
        guard let reason = ProbeFinding.Reason.allCases.first(where: { ProbeFinding($0).word == word })
        else { return nil }
        self = reason
    }
}

extension JSONValue {
    fileprivate var count: Int64? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int64(exactly: value.rounded())
        default: nil
        }
    }
}

extension RPCFailure {
    /// The report could not be stored; nothing changed, and the caller may try again.
    static func notStored(_ sentence: String) -> RPCFailure {
        RPCFailure(className: "NotStored", module: "vedette", message: sentence)
    }
}
