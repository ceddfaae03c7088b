/// The log, by what calls are looked up by.
struct LogIndex {
    /// A VIM's description, or wanted action, from one position to the next; nil is none: it is not there.
    struct Span<Value> {
        var from: Int
        /// The position from which on it is another one.
        var to: Int
        var value: Value
    }

    /// A report as the log has it.
    struct Report {
        var position: Int
        var vim: String
        var action: String
        /// The status, or `bad_action`.
        var answer: String
    }

    private(set) var registrations: [String: (position: Int, vim: String)] = [:]
    private(set) var updates: [String: (position: Int, vim: String)] = [:]
    private(set) var deregistrations: [String: Int] = [:]
    /// By number; a call that was delivered twice was judged twice.
    private(set) var reports: [Int: [Report]] = [:]
    private(set) var descriptions: [String: [Span<String?>]] = [:]
    private(set) var actions: [String: [Span<String?>]] = [:]

    init(_ events: [LoggedEvent]) {
        var cause: LoggedEvent?
        for event in events {
            let vim = event.vim
            switch event.fact {
            case .registered(let name, let description):
                registrations[name] = (event.position, vim)
                describe(vim, as: description, from: event.position)
            case .updated(let description):
                guard let description else { break }
                updates[description] = (event.position, vim)
                describe(vim, as: description, from: event.position)
            case .deregistered:
                deregistrations[vim] = event.position
                describe(vim, as: nil, from: event.position)
                LogIndex.begin(nil, at: event.position, in: &actions[vim, default: []])
            case .assigned(let action):
                // What a registration or an update assigns, it assigns at once.
                let isCaused = cause.map { $0.vim == vim && $0.position == event.position - 1 } ?? false
                LogIndex.begin(
                    action, at: event.position - (isCaused ? 1 : 0), in: &actions[vim, default: []])
            case .reported(let action, let status, let isAccepted, let number):
                reports[number, default: []].append(
                    Report(
                        position: event.position, vim: vim, action: action,
                        answer: isAccepted ? status : "bad_action"))
            case .other: break
            }
            switch event.fact {
            case .registered, .updated: cause = event
            default: cause = nil
            }
        }
    }

    /// Whether an action was the wanted one of a VIM right before a position.
    func isWanted(_ action: String, of vim: String, before position: Int) -> Bool {
        actions[vim, default: []].last { $0.from < position }.map { $0.value == action } ?? false
    }

    /// From which position on a VIM's action was not wanted any more; nil if it still is, or never was.
    func end(ofAction action: String, of vim: String) -> Int? {
        actions[vim, default: []].last { $0.value == action }.flatMap { $0.to == .max ? nil : $0.to }
    }

    private mutating func describe(_ vim: String, as description: String?, from position: Int) {
        LogIndex.begin(
            description, at: position,
            in: &descriptions[vim, default: [Span(from: 0, to: .max, value: nil)]])
    }

    private static func begin(_ value: String?, at position: Int, in spans: inout [Span<String?>]) {
        if let last = spans.indices.last { spans[last].to = position }
        spans.append(Span(from: position, to: .max, value: value))
    }
}
