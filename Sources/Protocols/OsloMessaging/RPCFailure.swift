import Encodings

/// What a caller gets instead of a result: the name of a Python exception, and what it says.
///
/// A client raises `builtins` as they are, classes of modules that it allows by their names, and everything
/// else as `oslo_messaging.RemoteError`.
package struct RPCFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// The exception's class.
    package var className: String
    /// The module of the class.
    package var module: String
    /// What it says.
    package var message: String

    /// All parts at once.
    package init(className: String, module: String, message: String) {
        self.className = className
        self.module = module
        self.message = message
    }

    /// The server does not speak the version, or the namespace, that was asked for.
    package static func unsupportedVersion(_ version: String, method: String) -> RPCFailure {
        RPCFailure(
            className: "UnsupportedVersion", module: dispatcher,
            message: "Endpoint does not support RPC version \(version). Attempted method: \(method)")
    }

    /// The server has no such method.
    package static func noSuchMethod(_ method: String) -> RPCFailure {
        RPCFailure(
            className: "NoSuchMethod", module: dispatcher,
            message: "Endpoint does not support RPC method \(method)")
    }

    /// An argument is missing, too many, or of the wrong type: what Python calls a TypeError.
    package static func badArguments(_ message: String) -> RPCFailure {
        RPCFailure(className: "TypeError", module: "builtins", message: message)
    }

    /// An argument has a value that it may not have: what Python calls a ValueError.
    package static func badValue(_ message: String) -> RPCFailure {
        RPCFailure(className: "ValueError", module: "builtins", message: message)
    }

    /// Told to nobody: the delivery goes back to the broker when the server ends, and another one answers.
    package static let elsewhere = RPCFailure(
        className: "NotLeading", module: "vedette", message: "another server answers")

    private static let dispatcher = "oslo_messaging.rpc.dispatcher"

    /// The class and what it says.
    package var description: String { "\(className): \(message)" }

    /// The JSON that stands, once more as a text, in a reply's `failure`.
    var json: JSONValue {
        [
            "class": .string(className), "module": .string(module), "message": .string(message),
            "tb": [.string("\(self)\n")], "args": [.string(message)], "kwargs": [:],
        ]
    }

    /// Reads what ``json`` writes; what is missing stays empty.
    init(json: JSONValue) {
        className = json["class"]?.string ?? ""
        module = json["module"]?.string ?? ""
        message = json["message"]?.string ?? ""
    }
}
