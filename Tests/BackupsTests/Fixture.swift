import Backups
import Conductor
import EventLog
import Foundation
import Logging
import Registry
import Samples
import Testing

/// Opens a conductor over a directory, hands it to the body and stops it.
@discardableResult
func withConductor<Result: Sendable>(
    in directory: String, _ body: (Conductor) async throws -> Result
) async throws -> Result {
    let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let conductor = try await Conductor(.init(directory: directory), logger: quiet)
    do {
        let result = try await body(conductor)
        await conductor.stop()
        return result
    } catch {
        await conductor.stop()
        throw error
    }
}

extension NewVIM {
    static func sample(_ name: String) -> NewVIM {
        NewVIM(
            tenantID: "default", type: .openstack, name: name, authURL: "http://127.0.0.1:5000/v3",
            project: JSONText(#"{"name":"nfv"}"#),
            credentials: PlainCredentials(
                whole: JSONText(#"{"username":"nfv","password":"hush"}"#),
                masked: JSONText(#"{"username":"nfv","password":"***"}"#)))
    }
}

extension Conductor {
    func register(_ names: String...) async throws {
        for name in names { _ = try await register(.sample(name), actor: Actor(userName: "ada")) }
    }
}

/// A log of a few VIMs, partly archived, in `directory/data`.
func makeLog(in directory: String, names: [String] = ["a", "b", "c"]) async throws -> String {
    let data = directory + "/data"
    try await withConductor(in: data) { conductor in
        for name in names.dropLast() { try await conductor.register(name) }
        let moment = Timestamp.systemNow.advanced(by: .seconds(1))
        _ = try await conductor.archive(before: moment)
        for name in names.suffix(1) { try await conductor.register(name) }
    }
    return data
}

@discardableResult
func backUp(_ data: String, to target: String) throws -> BackupManifest {
    try Backup(of: data, to: target, version: "test", now: { Timestamp.systemNow }).make { _ in }
}

@discardableResult
func restore(_ backup: String, to data: String, discarding: Bool = false) throws -> RestoreReport {
    var restoration = Restoration(of: backup, to: data)
    restoration.discardsPresentLog = discarding
    return try restoration.run { _ in }
}

/// All files below a directory but those of locks, with their bytes.
func files(below directory: String) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for case let name as String in FileManager.default.enumerator(atPath: directory) ?? .init() {
        guard !name.hasSuffix("lock"),
            let data = FileManager.default.contents(atPath: directory + "/" + name)
        else { continue }
        files[name] = data
    }
    return files
}

/// The head and the identity of the log in a directory.
func facts(of directory: String) throws -> (head: Head, identity: [UInt8]) {
    let log = try EventLog(directory: directory, access: .read)
    return (log.head, log.identity)
}

func names(in data: String) async throws -> [String] {
    try await withConductor(in: data) { $0.registeredVIMs().map(\.configuration.name) }
}
