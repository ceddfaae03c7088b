import Crypto
import Encodings
import EventLog
import Registry
import VIMDrivers

/// Cloud Auditing Data Federation event records (DMTF DSP0262 1.0.0), OpenStack's form of audit records.
struct CADFForm: ExportForm {
    /// Names the log whose conductor saw the event.
    let observer: String

    /// Identifiers should be UUIDs; this one is nobody's (RFC 9562, section 5.9).
    private static let anonymous = "00000000-0000-0000-0000-000000000000"
    private static let schema = "http://schemas.dmtf.org/cloud/audit/1.0/"

    func line(_ event: ExportedEvent) -> String {
        let meaning = Meaning(event.placed.event)
        var line = JSONLine()
        line.add("typeURI", .string(CADFForm.schema + "event"))
        line.add("id", .string(CADFForm.id(of: event)))
        line.add("eventType", .string(meaning.eventType))
        line.add("eventTime", .string(CADFForm.time(event.placed.time)))
        line.add("action", .string(meaning.action))
        line.add("outcome", .string(meaning.outcome))
        if let reason = meaning.reason {
            line.add("reason", ["reasonType": "vedette", "reasonCode": .string(reason)])
        }
        line.add("initiator", initiator(of: event.placed.event))
        line.add("target", target(of: event))
        line.add(
            "observer", ["id": .string(observer), "typeURI": "service/oss/monitoring", "name": "vedette"])
        if case .vimStatusReported(let reported) = event.placed.event {
            line.add(
                "measurements",
                [
                    [
                        "result": .string(reported.status.word),
                        "metric": ["metricId": "vim.status", "unit": "status", "name": "VIM status"],
                    ]
                ])
        }
        line.add(
            "attachments",
            [
                attachment("position", .string("\(event.placed.position)")),
                attachment("seal_position", .string("\(event.sealPosition)")),
                attachment("seal", .string(event.seal.description)), attachment("details", event.details),
            ])
        return line.text
    }

    private func attachment(_ name: String, _ content: JSONValue) -> JSONValue {
        let type = if case .object = content { "application/json" } else { "xs:string" }
        return ["typeURI": .string(type), "name": .string(name), "content": content]
    }

    private func initiator(of event: Event) -> JSONValue {
        if let actor = event.actor {
            let name = actor.userName.isEmpty ? actor.userID : actor.userName
            return [
                "id": .string(actor.userID.isEmpty ? CADFForm.anonymous : actor.userID),
                "typeURI": "service/security/account/user",
                "name": .string(name.isEmpty ? "anonymous" : name),
                "host": ["address": .string(actor.remoteAddress)],
                "project_id": .string(actor.projectID), "request_id": .string(actor.requestID),
            ]
        }
        if case .vimStatusReported(let reported) = event {
            return [
                "id": .string(reported.actionID.description), "typeURI": "service/oss/monitoring",
                "name": "monitor action",
            ]
        }
        return ["id": .string(observer), "typeURI": "service/oss/monitoring", "name": "conductor"]
    }

    private func target(of event: ExportedEvent) -> JSONValue {
        guard let id = event.vimID else {
            return ["id": .string(observer), "typeURI": "service/oss/monitoring", "name": "conductor"]
        }
        return [
            "id": .string(id.description), "typeURI": "service/compute",
            "name": .string(event.vimName ?? id.description),
        ]
    }

    /// A UUID (RFC 9562, version 8) that names this event of this history: made of the seal and the position.
    private static func id(of event: ExportedEvent) -> String {
        id(of: event.seal.bytes + withUnsafeBytes(of: event.placed.position.bigEndian) { Array($0) })
    }

    /// A UUID made of some bytes.
    static func id(of name: [UInt8]) -> String {
        var bytes = Array(SHA256.hash(data: name).prefix(16))
        bytes[6] = bytes[6] & 0x0F | 0x80
        bytes[8] = bytes[8] & 0x3F | 0x80
        guard let id = UniqueID(bytes: bytes) else { preconditionFailure("sixteen bytes are an id") }
        return id.description
    }

    /// CADF's timestamps name their zone by its offset.
    private static func time(_ time: Timestamp) -> String {
        let text = time.description
        return text.hasSuffix("Z") ? text.dropLast() + "+00:00" : text
    }
}

/// What an event is in CADF's taxonomies (DSP0262, annex A).
private struct Meaning {
    var eventType = "activity"
    var action: String
    var outcome = "success"
    var reason: String?

    init(_ event: Event) {
        switch event {
        case .vimRegistered: action = "create"
        case .vimUpdated: action = "update"
        case .vimDeregistered: action = "delete"
        case .vimStatusReported(let reported):
            eventType = "monitor"
            action = "monitor"
            outcome = reported.verdict == .accepted ? "success" : "failure"
            reason = reported.verdict == .accepted ? reported.finding.word : reported.verdict.word
        case .vimMonitorAssigned(let assigned):
            eventType = "control"
            action = "configure"
            reason = assigned.reason.word
        case .vimMonitorLaunched: action = "start"
        case .vimMonitorStopped(let stopped):
            action = "stop"
            reason = stopped.reason
        case .vimCredentialsShredded: action = "revoke"
        case .commandRefused(let refused):
            switch refused.command {
            case "register": action = "create"
            case "update": action = "update"
            case "deregister": action = "delete"
            default: action = "unknown"
            }
            outcome = "failure"
            reason = refused.refusal
        case .epochStarted: action = "start"
        case .logArchived: action = "backup"
        case .logDropped: action = "delete"
        case .vaultRotated: action = "renew"
        }
        if reason?.isEmpty == true { reason = nil }
    }
}
