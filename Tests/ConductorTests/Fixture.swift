import Conductor
import EventLog
import Foundation
import Logging
import Projections
import Registry
import Samples
import Synchronization
import Testing

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Opens a conductor over a directory, hands it to the body and stops it.
@discardableResult
func withConductor<Result: Sendable>(
    in directory: String, _ change: (inout Conductor.Options) -> Void = { _ in },
    _ body: (Conductor) async throws -> Result
) async throws -> Result {
    var options = Conductor.Options(directory: directory)
    change(&options)
    let conductor = try await Conductor(options, logger: quiet)
    do {
        let result = try await body(conductor)
        await conductor.stop()
        return result
    } catch {
        await conductor.stop()
        throw error
    }
}

/// A conductor over a fresh directory.
func withConductor(
    _ change: (inout Conductor.Options) -> Void = { _ in },
    _ body: (Conductor) async throws -> Void
) async throws {
    try await withTemporaryDirectory { directory in
        try await withConductor(in: directory, change, body)
    }
}

/// Everything the log in a directory holds, with its seals checked; no conductor has it open.
struct StoredLog {
    var events: [PlacedEvent] = []
    var batchEventCounts: [UInt32] = []
    var epochs: [UInt64] = []
    var table = VIMTable()

    init(_ directory: String) throws {
        let log = try EventLog(directory: directory, access: .read)
        var faults: [PayloadFault] = []
        try log.readBatches(verifyingSeals: true) { (batch) throws(any Error) -> Bool in
            batchEventCounts.append(batch.header.eventCount)
            epochs.append(batch.header.epoch)
            try batch.forEachEvent { (event) throws(Never) -> Bool in
                do throws(PayloadFault) { events.append(try PlacedEvent(event)) } catch {
                    faults.append(error)
                }
                return true
            }
            return true
        }
        #expect(faults == [])
        table = try Replay(of: log).table
    }

    var types: [EventType] { events.map(\.event.type) }
    var times: [UInt64] { events.map(\.time.microseconds) }

    func events(of id: VIMID) -> [Event] {
        guard let stream = table.vim(id)?.stream else { return [] }
        return events.filter { $0.stream == stream }.map(\.event)
    }
}

let password = "hush-hush-9f3a"

extension NewVIM {
    /// An OpenStack VIM with a password worth hiding.
    static func sample(
        _ name: String, description: String = "", isDefault: Bool = false, password: String = password
    ) -> NewVIM {
        NewVIM(
            tenantID: "default", type: .openstack, name: name, description: description,
            authURL: "http://127.0.0.1:5000/v3", project: JSONText(#"{"name":"nfv"}"#),
            credentials: .sample(password), isDefault: isDefault)
    }
}

extension PlainCredentials {
    static func sample(_ password: String) -> PlainCredentials {
        PlainCredentials(
            whole: JSONText(#"{"username":"nfv","password":"\#(password)"}"#),
            masked: JSONText(#"{"username":"nfv","password":"***"}"#))
    }
}

extension VIMEdit {
    static func with(_ change: (inout VIMEdit) -> Void) -> VIMEdit {
        var edit = VIMEdit()
        change(&edit)
        return edit
    }
}

let ada = Actor(userName: "ada", requestID: "req-1")

/// Lets nobody through until it is opened.
final class Gate: Sendable {
    private let isOpen = Atomic<Bool>(true)

    func close() { isOpen.store(false, ordering: .sequentiallyConsistent) }
    func open() { isOpen.store(true, ordering: .sequentiallyConsistent) }

    /// Blocks the calling thread, which must be the writer's.
    func pass() {
        while !isOpen.load(ordering: .sequentiallyConsistent) { usleep(200) }
    }
}

/// Asks again until the answer is yes; the limit only ends a broken run.
func eventually(_ what: String, _ ask: () async throws -> Bool) async throws {
    for _ in 0..<6_000 {
        if try await ask() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record("waited in vain: \(what)")
}

/// Counts from many tasks.
final class Counter: Sendable {
    private let number = Atomic<Int>(0)

    var value: Int { number.load(ordering: .relaxed) }
    func add() { number.add(1, ordering: .relaxed) }
}
