import Encodings
import Registry
import VIMDrivers

/// Understanding `extra.monitor`.
enum MonitorSettingsReading {
    /// Reads the settings out of `extra`; a null or absent member follows the server's defaults.
    static func settings(inExtra extra: [String: JSONValue]) throws(APIError) -> MonitorSettings {
        guard let monitor = extra["monitor"], monitor != .null else { return MonitorSettings() }
        guard let members = monitor.object else {
            throw fault("monitor must be an object")
        }
        var settings = MonitorSettings()
        for (key, value) in members.sorted(by: { $0.key < $1.key }) {
            if value == .null, keys.contains(key) { continue }
            switch key {
            case "probe": settings.probe = try probe(value)
            case "interval": settings.intervalMilliseconds = try milliseconds(key, value)
            case "timeout": settings.timeoutMilliseconds = try milliseconds(key, value)
            case "failure_threshold": settings.failureThreshold = try count(key, value)
            case "success_threshold": settings.successThreshold = try count(key, value)
            default:
                throw fault("monitor.\(key) is unknown; known are \(keys.joined(separator: ", "))")
            }
        }
        if let sentence = settings.fault { throw fault("monitor: \(sentence)") }
        return settings
    }

    private static let keys = ["probe", "interval", "timeout", "failure_threshold", "success_threshold"]

    private static func probe(_ value: JSONValue) throws(APIError) -> ProbeKind {
        guard let word = value.string, let kind = ProbeKind(rawValue: word) else {
            let words = ProbeKind.allCases.map(\.rawValue).joined(separator: ", ")
            throw fault("monitor.probe must be one of \(words), not '\(PythonText.of(value))'")
        }
        return kind
    }

    private static func milliseconds(_ key: String, _ value: JSONValue) throws(APIError) -> UInt32 {
        let seconds: Double
        switch value {
        case .integer(let whole): seconds = Double(whole)
        case .number(let number): seconds = number
        default: throw fault("monitor.\(key) must be a number of seconds, not '\(PythonText.of(value))'")
        }
        let rounded = (seconds * 1_000).rounded()
        guard rounded > 0, let milliseconds = UInt32(exactly: rounded) else {
            throw fault("monitor.\(key) must be a positive number of seconds, not \(PythonText.of(value))")
        }
        return milliseconds
    }

    private static func count(_ key: String, _ value: JSONValue) throws(APIError) -> UInt32 {
        guard case .integer(let whole) = value, whole > 0, let count = UInt32(exactly: whole) else {
            throw fault("monitor.\(key) must be a positive whole number, not '\(PythonText.of(value))'")
        }
        return count
    }

    private static func fault(_ reason: String) -> APIError { .badInput("extra", reason) }
}
