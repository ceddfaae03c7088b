import FoundationEssentials  // the generated code reads bytes as Data
import SwiftProtobuf

extension Event {
    /// Hands the event's payload and the version of its form to the body, as they are stored.
    ///
    /// Status reports are written without allocation; all other payloads are Protocol Buffers
    /// (`tools/proto/events.proto`).
    @inlinable
    public func withPayload<Result>(_ body: (_ format: UInt8, UnsafeRawBufferPointer) -> Result) -> Result {
        if case .vimStatusReported(let reported) = self {
            return StatusReportPayload.withBytes(of: reported, body)
        }
        return protobufPayload.withUnsafeBytes { body(1, $0) }
    }

    /// Reads a stored payload.
    ///
    /// - Throws: ``PayloadFault`` if the type or format is unknown to this version, or the bytes are not it.
    public init(type: UInt16, format: UInt8, payload: UnsafeRawBufferPointer) throws(PayloadFault) {
        guard let known = EventType(rawValue: type) else {
            throw PayloadFault("event type \(type) is unknown to this version", isUnknown: true)
        }
        if known == .vimStatusReported {
            self = .vimStatusReported(try StatusReportPayload.decode(format: format, payload))
            return
        }
        guard format == 1 else {
            throw PayloadFault(
                "\(known.name) has format \(format), unknown to this version", isUnknown: true)
        }
        self = try Event(protobuf: known, payload)
    }

    @usableFromInline
    var protobufPayload: [UInt8] {
        switch self {
        case .vimRegistered(let event): bytes(Vedette_V1_VIMRegistered(event))
        case .vimUpdated(let event): bytes(Vedette_V1_VIMUpdated(event))
        case .vimDeregistered(let event):
            bytes(Vedette_V1_VIMDeregistered.with { $0.actor = .init(event.actor) })
        case .vimMonitorAssigned(let event): bytes(Vedette_V1_VIMMonitorAssigned(event))
        case .vimMonitorLaunched(let event), .vimMonitorStopped(let event):
            bytes(Vedette_V1_VIMMonitorNoted(event))
        case .vimCredentialsShredded: []
        case .commandRefused(let event): bytes(Vedette_V1_CommandRefused(event))
        case .epochStarted(let event): bytes(Vedette_V1_EpochStarted(event))
        case .logArchived(let event): bytes(Vedette_V1_LogArchived(event))
        case .logDropped(let event): bytes(Vedette_V1_LogDropped(event))
        case .vaultRotated(let event): bytes(Vedette_V1_VaultRotated(event))
        case .vimStatusReported: preconditionFailure("status reports have a binary form of their own")
        }
    }

    private init(protobuf type: EventType, _ payload: UnsafeRawBufferPointer) throws(PayloadFault) {
        switch type {
        case .vimRegistered: self = .vimRegistered(try VIMRegistered(message(payload, type)))
        case .vimUpdated: self = .vimUpdated(VIMUpdated(try message(payload, type)))
        case .vimDeregistered:
            let message: Vedette_V1_VIMDeregistered = try message(payload, type)
            self = .vimDeregistered(VIMDeregistered(actor: Actor(message.actor)))
        case .vimMonitorAssigned: self = .vimMonitorAssigned(try VIMMonitorAssigned(message(payload, type)))
        case .vimMonitorLaunched: self = .vimMonitorLaunched(try VIMMonitorNoted(message(payload, type)))
        case .vimMonitorStopped: self = .vimMonitorStopped(try VIMMonitorNoted(message(payload, type)))
        case .vimCredentialsShredded:
            let _: Vedette_V1_VIMCredentialsShredded = try message(payload, type)
            self = .vimCredentialsShredded
        case .commandRefused: self = .commandRefused(try CommandRefused(message(payload, type)))
        case .epochStarted: self = .epochStarted(EpochStarted(try message(payload, type)))
        case .logArchived: self = .logArchived(LogArchived(try message(payload, type)))
        case .logDropped: self = .logDropped(LogDropped(try message(payload, type)))
        case .vaultRotated: self = .vaultRotated(VaultRotated(try message(payload, type)))
        case .vimStatusReported: preconditionFailure("status reports have a binary form of their own")
        }
    }
}

/// No message has a map field, so its bytes are the same on every run: golden files depend on it.
private func bytes(_ message: some Message) -> [UInt8] {
    // Serialising fails only for proto2 messages that miss required fields; these are proto3.
    guard let bytes: [UInt8] = try? message.serializedBytes() else {
        preconditionFailure("a proto3 message could not be serialised")
    }
    return bytes
}

private func message<Payload: Message>(
    _ payload: UnsafeRawBufferPointer, _ type: EventType
) throws(PayloadFault) -> Payload {
    do { return try Payload(serializedBytes: Array(payload)) } catch {
        throw PayloadFault("\(type.name) cannot be decoded: \(error)")
    }
}
