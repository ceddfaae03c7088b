import Encodings
import VIMDrivers

/// What a path leads to.
enum Route: Hashable {
    case versions
    case vims
    case vim(String)
    case events
    case event(String)
    case extensions
    case `extension`(String)
    /// A VIM with what Tacker does not know of it.
    case vedetteVIM(String)
    case live
    /// Whether this server leads.
    case leader
    /// Whether this server can answer, itself or through the one that leads.
    case ready
    /// The newest signed head.
    case head

    /// Reads a path, percent-encoded as it came; nil if it leads nowhere.
    init?(path: String) {
        guard path.hasPrefix("/") else { return nil }
        let parts = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
            .map { PercentCoding.decoded($0) }
        switch parts {
        case [""]: self = .versions
        case ["healthz", "live"]: self = .live
        case ["healthz", "leader"]: self = .leader
        case ["healthz", "ready"]: self = .ready
        case ["vedette", "v1", "head"]: self = .head
        case let parts where parts.count == 4 && parts[0] == "vedette" && parts[1] == "v1":
            guard parts[2] == "vims", !parts[3].isEmpty else { return nil }
            self = .vedetteVIM(Route.withoutFormat(parts[3]))
        case let parts where parts.first == "v1.0":
            self.init(resource: parts.dropFirst().map { $0 })
        default: return nil
        }
    }

    private init?(resource parts: [String]) {
        guard let last = parts.last, parts.count <= 2 else { return nil }
        let name = Route.withoutFormat(last)
        guard !name.isEmpty else { return nil }
        switch parts.count == 2 ? parts[0] : name {
        case "vims": self = parts.count == 2 ? .vim(name) : .vims
        case "events": self = parts.count == 2 ? .event(name) : .events
        case "extensions": self = parts.count == 2 ? .extension(name) : .extensions
        default: return nil
        }
    }

    /// Tacker takes any suffix and answers JSON whatever it asks for.
    private static func withoutFormat(_ text: String) -> String {
        guard let dot = text.lastIndex(of: "."), dot > text.startIndex else { return text }
        return String(text[..<dot])
    }

    /// Whether replies carry a request id: all but those that stand outside Tacker's pipeline.
    var isIdentified: Bool {
        switch self {
        case .versions, .live, .leader, .ready, .head: false
        default: true
        }
    }

    /// Whether what it answers is the registry's, so that only a pair's leader may.
    var isOfTheRegistry: Bool {
        switch self {
        case .vims, .vim, .events, .event, .vedetteVIM: true
        case .versions, .extensions, .extension, .live, .leader, .ready, .head: false
        }
    }
}
