import Encodings
import Projections
import Registry
import VIMDrivers

/// Prints events of the log, one a line: for people, or as JSON for programs.
struct EventPrinter {
    let isJSON: Bool
    /// The table as of the end of the log: knows which VIM a stream belongs to, and its name.
    private(set) var table: VIMTable

    /// Takes in an event that came after the table was made.
    mutating func learn(_ placed: PlacedEvent) {
        if placed.position == table.position + 1 { try? table.apply(placed) }
    }

    func print(_ placed: PlacedEvent) {
        let id = table.vimID(ofStream: placed.stream) ?? placed.event.namedVIM
        Swift.print(isJSON ? json(placed, id) : text(placed, id))
    }

    private func json(_ placed: PlacedEvent, _ id: VIMID?) -> String {
        var line = JSONLine()
        line.add("position", .integer(Int64(clamping: placed.position)))
        line.add("time", .string(placed.time.description))
        line.add("type", .string(placed.event.type.name))
        line.add("vim_id", id.map { .string($0.description) } ?? .null)
        line.add("actor", placed.event.actor.map { JSONValue($0) } ?? .null)
        for (name, value) in placed.event.fields { line.add(name, JSONValue(value)) }
        return line.text
    }

    private func text(_ placed: PlacedEvent, _ id: VIMID?) -> String {
        let name = id.map { id in
            table.vim(id).map { $0.configuration.name }.flatMap { $0.isEmpty ? nil : $0 } ?? id.description
        }
        let position = String(placed.position)
        let padding = String(repeating: " ", count: max(0, 6 - position.count))
        let head = "\(padding)\(position)  \(Terminal.painted(placed.time.description, .dim))  "
        let type = placed.event.type.name
        let typeField = type + String(repeating: " ", count: max(0, 25 - type.count))
        let who = Terminal.painted(Terminal.shown(name ?? "-"), .bold)
        return head + "\(typeField)  \(who)  \(summary(placed.event))"
    }

    private func summary(_ event: Event) -> String {
        if case .vimStatusReported(let reported) = event {
            let word = reported.status.word
            let verdict =
                reported.verdict == .accepted ? "" : "  " + Terminal.painted("refused: bad_action", .yellow)
            let why = reported.finding.sentence.isEmpty ? "" : "  (\(reported.finding.sentence))"
            return Terminal.painted(word, Terminal.colour(ofStatus: word)) + why + verdict
                + Terminal.painted("  action \(reported.actionID)", .dim)
        }
        let fields = event.fields.compactMap { name, value -> String? in
            switch value {
            case .text(let text): text.isEmpty ? nil : "\(name)=\(Terminal.shown(text))"
            case .number(let number): "\(name)=\(number)"
            case .flag(let flag): "\(name)=\(flag)"
            case .object(let object): object == .empty ? nil : "\(name)=\(Terminal.shown(object.description))"
            }
        }
        let actor = event.actor.flatMap { actor -> String? in
            let who = actor.userName.isEmpty ? actor.userID : actor.userName
            let parts = [who, actor.remoteAddress, actor.requestID].filter { !$0.isEmpty }
            return parts.isEmpty ? nil : Terminal.painted("by " + parts.joined(separator: " "), .dim)
        }
        return (fields + (actor.map { [$0] } ?? [])).joined(separator: " ")
    }
}
