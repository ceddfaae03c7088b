/// A field of an event as people and programs are shown it.
public enum FieldValue: Hashable, Sendable {
    /// A text.
    case text(String)
    /// A number.
    case number(UInt64)
    /// A truth value.
    case flag(Bool)
    /// A JSON object.
    case object(JSONText)
}

extension Event {
    /// The payload's own fields in reading order, under their names in the API; the actor apart, and of
    /// credentials only the masked form.
    public var fields: [(name: String, value: FieldValue)] {
        switch self {
        case .vimRegistered(let event): event.configuration.fields
        case .vimUpdated(let event): event.changes.fields
        case .vimDeregistered, .vimCredentialsShredded: []
        case .vimStatusReported(let event): event.fields
        case .vimMonitorAssigned(let event):
            [
                ("action_id", .text(event.actionID.description)), ("reason", .text(event.reason.word)),
                ("detail", .text(event.detail)),
            ]
        case .vimMonitorLaunched(let event):
            [("action_id", .text(event.actionID.description)), ("backend", .text(event.backend))]
        case .vimMonitorStopped(let event):
            [
                ("action_id", .text(event.actionID.description)), ("backend", .text(event.backend)),
                ("reason", .text(event.reason)),
            ]
        case .commandRefused(let event):
            [
                ("command", .text(event.command)), ("refusal", .text(event.refusal)),
                ("reason", .text(event.sentence)),
            ]
        case .epochStarted(let event):
            [
                ("epoch", .number(event.epoch)), ("version", .text(event.version)),
                ("host", .text(event.host)),
                ("process_id", .number(UInt64(event.processID))),
            ]
        case .vaultRotated(let event):
            [
                ("from_fingerprint", .text(event.fromFingerprint)),
                ("to_fingerprint", .text(event.toFingerprint)),
                ("data_keys", .number(event.dataKeyCount)), ("unopened_keys", .number(event.unopenedCount)),
            ]
        case .logDropped(let event):
            [
                ("first_position", .number(event.firstPosition)),
                ("last_position", .number(event.lastPosition)), ("segments", .number(event.segmentCount)),
                ("file_bytes", .number(event.fileByteCount)),
                ("last_seal", .text(event.lastSeal.hexadecimal)),
                ("first_seal", .text(event.firstSeal.hexadecimal)),
                ("base_sha256", .text(event.baseDigest.hexadecimal)),
            ]
        case .logArchived(let event):
            [
                ("first_position", .number(event.firstPosition)),
                ("last_position", .number(event.lastPosition)), ("file", .text(event.file)),
                ("last_seal", .text(event.lastSeal.hexadecimal)),
                ("batch_bytes", .number(event.batchByteCount)), ("file_bytes", .number(event.fileByteCount)),
            ]
        }
    }

    /// Who caused it; nil where nobody did.
    public var actor: Actor? {
        switch self {
        case .vimRegistered(let event): event.actor
        case .vimUpdated(let event): event.actor
        case .vimDeregistered(let event): event.actor
        case .vimMonitorAssigned(let event): event.actor
        case .commandRefused(let event): event.actor
        case .logArchived(let event): event.actor
        case .logDropped(let event): event.actor
        case .vaultRotated(let event): event.actor
        case .vimStatusReported, .vimMonitorLaunched, .vimMonitorStopped, .vimCredentialsShredded,
            .epochStarted:
            nil
        }
    }

    /// The VIM it names although its stream does not: an unknown one.
    public var namedVIM: VIMID? {
        switch self {
        case .vimRegistered(let event): event.id
        case .vimStatusReported(let event): event.unknownVIM
        case .commandRefused(let event): event.vimID
        default: nil
        }
    }
}

extension VIMStatusReported {
    fileprivate var fields: [(name: String, value: FieldValue)] {
        [
            ("status", .text(status.word)), ("verdict", .text(verdict.word)),
            ("action_id", .text(actionID.description)), ("reason", .text(finding.sentence)),
            ("finding", .text(finding.word)), ("finding_detail", .number(UInt64(finding.detail))),
            ("round_trip_microseconds", .number(UInt64(finding.roundTripMicroseconds))),
        ]
    }
}

extension VIMConfiguration {
    fileprivate var fields: [(name: String, value: FieldValue)] {
        [
            ("name", .text(name)), ("description", .text(description)), ("vim_type", .text(type.rawValue)),
            ("tenant_id", .text(tenantID)), ("auth_url", .text(authURL)), ("vim_project", .object(project)),
            ("auth_cred", .object(credentials.masked)), ("placement_attr", .object(placement)),
            ("is_default", .flag(isDefault)), ("extra", .object(extra)),
        ]
    }
}

extension VIMChanges {
    fileprivate var fields: [(name: String, value: FieldValue)] {
        var fields: [(name: String, value: FieldValue)] = []
        if let name { fields.append(("name", .text(name))) }
        if let description { fields.append(("description", .text(description))) }
        if let authURL { fields.append(("auth_url", .text(authURL))) }
        if let project { fields.append(("vim_project", .object(project))) }
        if let credentials { fields.append(("auth_cred", .object(credentials.masked))) }
        if let placement { fields.append(("placement_attr", .object(placement))) }
        if let isDefault { fields.append(("is_default", .flag(isDefault))) }
        if let extra { fields.append(("extra", .object(extra.text))) }
        return fields
    }
}
