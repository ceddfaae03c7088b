import ArgumentParser
import Encodings
import EventLog
import Registry
import VIMDrivers

/// An event with all that an auditor needs to find it in the log again.
struct ExportedEvent {
    var placed: PlacedEvent
    /// The VIM it is about; nil for the conductor's own events.
    var vimID: VIMID?
    var vimName: String?
    /// The last position of its batch: the one that the seal stands for.
    var sealPosition: UInt64
    var seal: Seal

    /// The payload's own fields.
    var details: JSONValue {
        var members: [String: JSONValue] = [:]
        for (name, value) in placed.event.fields { members[name] = JSONValue(value) }
        return .object(members)
    }
}

/// The forms in which events are handed out.
enum ExportFormat: String, CaseIterable, ExpressibleByArgument {
    case jsonl, cloudevents, cadf, csv

    /// The form for a log, which its first seal names: all copies share it.
    func form(firstSeal: Seal) -> any ExportForm {
        switch self {
        case .jsonl: PlainForm()
        case .cloudevents: CloudEventsForm(source: "urn:vedette:log:" + firstSeal.description.prefix(32))
        case .cadf: CADFForm(observer: CADFForm.id(of: firstSeal.bytes))
        case .csv: CSVForm()
        }
    }
}

/// Renders events, one a line.
protocol ExportForm {
    /// The first line; nil if there is none.
    var header: String? { get }
    func line(_ event: ExportedEvent) -> String
}

extension ExportForm {
    var header: String? { nil }
}

/// Our own names, as `audit log --json` has them, and the batch's seal.
struct PlainForm: ExportForm {
    func line(_ event: ExportedEvent) -> String {
        var line = JSONLine()
        line.add("position", .integer(Int64(clamping: event.placed.position)))
        line.add("time", .string(event.placed.time.description))
        line.add("type", .string(event.placed.event.type.name))
        line.add("vim_id", event.vimID.map { .string($0.description) } ?? .null)
        line.add("vim_name", event.vimName.map { .string($0) } ?? .null)
        line.add("actor", event.placed.event.actor.map { JSONValue($0) } ?? .null)
        line.add("details", event.details)
        line.add("seal_position", .integer(Int64(clamping: event.sealPosition)))
        line.add("seal", .string(event.seal.description))
        return line.text
    }
}

/// CloudEvents 1.0 in its structured JSON form (https://cloudevents.io, spec v1.0.2, JSON format).
///
/// Extension attributes have lower-case names without separators; they are texts, since CloudEvents'
/// integers end at 2³¹.
struct CloudEventsForm: ExportForm {
    let source: String

    func line(_ event: ExportedEvent) -> String {
        var line = JSONLine()
        line.add("specversion", "1.0")
        line.add("id", .string("\(event.placed.position)"))
        line.add("source", .string(source))
        line.add("type", .string("vedette." + event.placed.event.type.name))
        if let id = event.vimID { line.add("subject", .string(id.description)) }
        line.add("time", .string(event.placed.time.description))
        line.add("datacontenttype", "application/json")
        line.add("position", .string("\(event.placed.position)"))
        line.add("sealposition", .string("\(event.sealPosition)"))
        line.add("seal", .string(event.seal.description))
        line.add(
            "data",
            [
                "vim_name": event.vimName.map { .string($0) } ?? .null,
                "actor": event.placed.event.actor.map { JSONValue($0) } ?? .null, "details": event.details,
            ])
        return line.text
    }
}
