import ArgumentParser
import Backups
import Conductor
import Encodings
import EventLog
import Foundation
import Registry

/// Copies the log while a server writes it.
struct BackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Copy the log and its archive, consistently, while a server writes it.",
        discussion: """
            The copy holds every event that was acknowledged before it began. It is made beside the target, \
            as DIR.partial, and gets its name when all of it is on the disk. Free pages are left out, so \
            nothing that was destroyed before is in it.

            The master key is not in it: keep a copy of that elsewhere, or the credentials in the backup \
            cannot be read.

              vedette backup /backups/monday
              vedette restore /backups/monday --data-directory /var/lib/vedette
            """)

    @Argument(help: "A directory that does not exist yet, or is empty.") var target: String
    @OptionGroup var directory: DataDirectory
    @Flag(help: "One JSON object.") var json = false

    func run() async throws {
        EventLog.explainDamagedPages(of: directory.path)
        let bar = SharedProgressBar(isShown: !json)
        let manifest: BackupManifest
        do throws(BackupFault) {
            defer { bar.finish() }
            manifest = try Backup(
                of: directory.path, to: target, version: Vedette.version, now: { Timestamp.systemNow }
            ).make { bar.show($0) }
        } catch { throw Failure(error.sentence) }
        if json {
            var line = JSONLine()
            line.add("directory", .string(target))
            manifest.add(to: &line)
            return print(line.text)
        }
        print(
            "\(target) holds the log up to position \(manifest.position): \(manifest.byteCount) bytes in "
                + "\(manifest.files.count) files")
        print("the master key is not in it: keep a copy of that elsewhere")
    }
}

/// Puts a backup in the log's place.
struct RestoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Verify a backup and put it in the place of a data directory's log.",
        discussion: """
            No server may run there. The backup is copied beside the log and verified completely, as by \
            vedette audit verify, before anything is exchanged; an interrupted restore is undone, or \
            finished, by the next start. The files that it replaces are kept, in replaced-TIME.

            A log that is newer than the backup, that has another history, or that cannot be read is not \
            replaced unless you say so. The restored log has an identity of its own: for its peers and \
            witnesses it is another copy of the same history.

            The master key stays as it is in the data directory: put the one of the backup's time there.

              vedette restore /backups/monday --data-directory /var/lib/vedette
            """)

    @Argument(help: "A directory that vedette backup made.") var backup: String
    @OptionGroup var directory: DataDirectory
    @Flag(help: "Restore although events of the present log are not in the backup; its files are kept.")
    var discardPresentLog = false
    @Option(
        help: ArgumentHelp(
            "The master key's file, to say what it opens (default: master.key in the data directory).",
            valueName: "file"))
    var masterKeyFile: String?
    @Flag(help: "One JSON object.") var json = false

    func run() async throws {
        let bar = SharedProgressBar(isShown: !json)
        var restoration = Restoration(of: backup, to: directory.path)
        restoration.discardsPresentLog = discardPresentLog
        restoration.willRead = { EventLog.explainDamagedPages(of: $0, advice: $1) }
        let report: RestoreReport
        do throws(BackupFault) {
            defer { bar.finish() }
            report = try restoration.run { bar.show($0) }
        } catch { throw Failure(error.sentence) }
        let keys = OpenedKeys(report.dataKeyCounts, file: masterKeyFile ?? directory.path + "/master.key")
        json ? printJSON(report, keys) : print(report, keys)
    }

    private func print(_ report: RestoreReport, _ keys: OpenedKeys) {
        Swift.print(
            "\(directory.path) holds the log up to position \(report.manifest.position), of "
                + "\(Timestamp(microseconds: report.manifest.time)): \(report.eventCount) events verified, "
                + "\(report.registeredCount) VIMs registered")
        Swift.print("its identity is \(report.identity), a new one")
        if let replaced = report.replaced { Swift.print("the files it replaced are in \(replaced)") }
        Swift.print(keys.sentence)
    }

    private func printJSON(_ report: RestoreReport, _ keys: OpenedKeys) {
        var line = JSONLine()
        report.manifest.add(to: &line)
        line.add("events_verified", .integer(Int64(clamping: report.eventCount)))
        line.add("vims", .integer(Int64(report.registeredCount)))
        line.add("new_identity", .string(report.identity))
        line.add("replaced", report.replaced.map { .string($0) } ?? .null)
        line.add("data_keys", .integer(Int64(keys.count)))
        line.add("data_keys_opened", .integer(Int64(keys.openedCount)))
        Swift.print(line.text)
    }
}

extension BackupManifest {
    fileprivate func add(to line: inout JSONLine) {
        line.add("time", .string(Timestamp(microseconds: time).description))
        line.add("position", .integer(Int64(clamping: position)))
        line.add("seal", .string(seal))
        line.add("identity", .string(identity))
        line.add("bytes", .integer(Int64(clamping: byteCount)))
        line.add("files", .integer(Int64(files.count)))
    }
}
