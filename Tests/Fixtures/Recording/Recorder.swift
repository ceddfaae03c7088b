package import EventLog
package import Projections
package import Registry
import Samples

/// A conductor without threads: decides, appends and folds one command after the other.
package struct Recorder {
    package let log: EventLog
    package var table = VIMTable()
    /// Changes of the vault for the next commit.
    package var vault: [VaultChange] = []
    private var batch: BatchBuilder
    private var time: UInt64 = 1_000

    package init(_ directory: String) throws {
        log = try EventLog(directory: directory, access: .write, mapByteCount: 1 << 30)
        batch = BatchBuilder(firstPosition: 1, time: 1_000)
    }

    @discardableResult
    package mutating func run(_ command: Command) throws -> Decision.Answer {
        let decision = decide(command, on: table)
        for addressed in decision.events { try record(addressed.event, stream: addressed.stream) }
        return decision.answer
    }

    package mutating func record(_ event: Event, stream: UInt32) throws {
        let position = event.withPayload { format, payload in
            batch.append(
                stream: stream, previousInStream: table.lastPosition(inStream: stream),
                type: event.type.rawValue, format: format, payload: payload)
        }
        try table.apply(
            PlacedEvent(
                position: position, time: Timestamp(microseconds: batch.time), stream: stream, event: event))
    }

    /// Adds an event that no table would take.
    package mutating func smuggle(
        type: UInt16, format: UInt8 = 1, stream: UInt32, previous: UInt64 = 0, payload: [UInt8]
    ) {
        payload.withUnsafeBytes {
            _ = batch.append(
                stream: stream, previousInStream: previous, type: type, format: format, payload: $0)
        }
    }

    package mutating func commit() throws {
        guard !batch.isEmpty else { return }
        let head = try log.append(&batch, epoch: 1, vault: vault)
        vault = []
        time += 7
        batch.reset(firstPosition: head.position + 1, time: time)
    }
}

/// Opens a recorder over a fresh directory and hands it to the body.
package func withRecorder(_ body: (inout Recorder) throws -> Void) throws {
    try withTemporaryDirectory { directory in
        var recorder = try Recorder(directory)
        try body(&recorder)
    }
}

package func update(_ number: UInt64, action: UInt64 = 900, _ edit: (inout VIMChanges) -> Void) -> Command {
    var changes = VIMChanges()
    edit(&changes)
    return .update(
        UpdateVIM(
            id: .sample(number), expectedVersion: nil, changes: changes, actionID: .sample(action),
            actor: Actor(userName: "bob")))
}

package func deregister(_ number: UInt64) -> Command {
    .deregister(DeregisterVIM(id: .sample(number), actor: Actor()))
}

package func report(
    _ number: UInt64, action: UInt64, _ status: VIMStatus, _ finding: ProbeFinding = .unstated
) -> Command {
    .report(
        StatusReport(id: .sample(number), status: status, actionID: .sample(action), finding: finding))
}
