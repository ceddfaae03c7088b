import ArgumentParser
import Conductor
import Encodings
import EventLog
import Foundation
import Identity
import Logging
import OperatorRequests
import Registry

/// The keys that credentials are encrypted under.
struct VaultCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vault", abstract: "Look at the keys of VIM credentials, and exchange the master key.",
        subcommands: [VaultRotate.self, VaultStatus.self])
}

/// Exchanges the master key.
struct VaultRotate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate",
        abstract: "Wrap every data key under a new master key; the log stays as it is.",
        discussion: """
            A running server does it beside its work; without one this command does it. The new key takes \
            the place of the old one in the master key's file; the old one is overwritten and opens nothing \
            any more: neither the vault nor what deleted data keys have left on the disk. Backups made \
            before still need the old key: copy its file first if you want to keep using them. The log \
            remembers the rotation as vault.rotated.

            Of a pair the one that leads is asked, in its data directory; the other one takes the new key \
            over with the event, or when it comes back, and overwrites the old one, too.

            It may be interrupted at any moment: the next start finds the right key.

              vedette vault rotate
              vedette vault rotate --new-master-key-file /run/keys/vedette.new
            """)

    @OptionGroup var directory: DataDirectory
    @Option(
        help: ArgumentHelp(
            "A file with the new key, 64 hexadecimal digits, mode 0600 (default: a random key).",
            valueName: "file"))
    var newMasterKeyFile: String?
    @Option(
        help: ArgumentHelp(
            """
            The file of the key in use, if no server runs (default: master.key in the data directory; a \
            server knows its own).
            """, valueName: "file"))
    var masterKeyFile: String?
    @Flag(help: "One JSON object.") var json = false

    func run() async throws {
        let bar = SharedProgressBar(isShown: !json)
        let report: RotationReport
        do {
            defer { bar.finish() }
            report = try await rotate(bar)
        }
        json ? printJSON(report) : print(report)
    }

    /// Asks the server that runs there, or does it here if none does.
    private func rotate(_ bar: SharedProgressBar) async throws -> RotationReport {
        let file = newMasterKeyFile.map { URL(fileURLWithPath: $0).path }
        let wish = RotationTask.Wish(newMasterKeyFile: file, userName: NSUserName())
        do throws(OperatorFailure) {
            if let client = OperatorClient(directory: directory.path) {
                return try await client.ask(RotationTask.self, wish) { bar.show($0) }
            }
        } catch { throw Failure(error.sentence) }
        // Only looks whether there is a log: a mistyped directory must not become a new one.
        _ = try directory.open()
        let conductor = try await openConductor()
        let result: Result<RotationReport, OperatorFailure>
        do throws(OperatorFailure) {
            result = .success(try await RotationTask(conductor: conductor).run(wish) { bar.show($0) })
        } catch { result = .failure(error) }
        await conductor.stop()
        do throws(OperatorFailure) { return try result.get() } catch { throw Failure(error.sentence) }
    }

    private func openConductor() async throws -> Conductor {
        var options = Conductor.Options(directory: directory.path)
        options.masterKeyFile = masterKeyFile
        options.version = Vedette.version
        let quiet = Logger(label: "vedette") { _ in SwiftLogNoOpLogHandler() }
        do throws(StartFault) { return try await Conductor(options, logger: quiet) } catch {
            guard error.isInUse else { throw Failure(error.sentence) }
            throw Failure(
                "\(error.sentence); it answers at no operator.socket there, so it cannot be asked: a server "
                    + "that is just starting does so in a moment")
        }
    }

    private func print(_ report: RotationReport) {
        Swift.print(
            "\(report.dataKeyCount) data keys are wrapped under the new master key "
                + "\(report.toFingerprint), which is in \(report.keyFile); the old one, "
                + "\(report.fromFingerprint), opens nothing any more")
        if report.unopenedCount > 0 {
            Swift.print(
                "\(report.unopenedCount) data keys were left: the old master key did not open them, either")
        }
    }

    private func printJSON(_ report: RotationReport) {
        var line = JSONLine()
        line.add("data_keys", .integer(Int64(clamping: report.dataKeyCount)))
        line.add("unopened_keys", .integer(Int64(clamping: report.unopenedCount)))
        line.add("from_fingerprint", .string(report.fromFingerprint))
        line.add("to_fingerprint", .string(report.toFingerprint))
        line.add("master_key_file", .string(report.keyFile))
        Swift.print(line.text)
    }
}

/// Which master key opens how many data keys.
struct VaultStatus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Count the data keys by the master key that opens them.",
        discussion: """
            A master key is named by its fingerprint, the first bytes of its SHA-256, which tell nothing \
            of it. The key file need not be readable for this.
            """)

    @OptionGroup var directory: DataDirectory
    @Option(
        help: ArgumentHelp(
            "The master key's file (default: master.key in the data directory).", valueName: "file"))
    var masterKeyFile: String?
    @Flag(help: "One JSON object.") var json = false

    func run() async throws {
        let log = try directory.open()
        let entries = try reading { () throws(EventLogError) in try log.vaultEntries() }
        var counts: [String: Int] = [:]
        for entry in entries {
            counts[entry.value.flatMap(CredentialVault.fingerprintText(of:)) ?? "malformed", default: 0] += 1
        }
        let file = masterKeyFile ?? directory.path + "/master.key"
        let present = (try? MasterKey(reading: file))?.fingerprintText
        json ? printJSON(counts, present) : print(counts, present, file)
    }

    private func print(_ counts: [String: Int], _ present: String?, _ file: String) {
        for (fingerprint, count) in counts.sorted(by: { $0.key < $1.key }) {
            let place = fingerprint == present ? ", which is in \(file)" : ", which is not in \(file)"
            Swift.print("\(count) data keys are wrapped under master key \(fingerprint)\(place)")
        }
        if counts.isEmpty { Swift.print("no VIM is registered, so there are no data keys") }
    }

    private func printJSON(_ counts: [String: Int], _ present: String?) {
        var line = JSONLine()
        line.add("data_keys", .object(counts.mapValues { .integer(Int64($0)) }))
        line.add("master_key", present.map { .string($0) } ?? .null)
        Swift.print(line.text)
    }
}
