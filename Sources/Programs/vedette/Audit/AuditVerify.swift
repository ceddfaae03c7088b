import ArgumentParser
import Auditing
import Encodings
import EventLog
import Foundation
import Identity
import Projections
import Registry
import VIMDrivers

/// Whether the log is what it should be.
struct AuditVerify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Check the whole log: seals, order, payloads, projections, heads.",
        discussion: """
            Reads everything with code of its own and recomputes every seal; checks positions, times, \
            epochs, each VIM's chain of events and every payload; replays the log and compares the \
            checkpoint and the vault with it. With --head it proves that the log extends a head that was \
            signed earlier (vedette audit head --sign) unchanged; a log that was truncated, and one that has \
            another history there (rewritten or forked), are told. The exit code is 1 if anything is wrong, \
            with the first bad position.

              vedette audit verify
              vedette audit verify --head monday.note --key 'vedette.example+2f4c1b7e+AR0...'
            """)

    @OptionGroup var directory: DataDirectory
    @Option(
        help: ArgumentHelp(
            "A file with a signed head that the log must extend; may be repeated.", valueName: "file")
    )
    var head: [String] = []
    @Option(
        help: ArgumentHelp(
            "The key that verifies the heads' signatures, as text or in a file; else they are not checked.",
            valueName: "key"))
    var key: String?
    @Option(
        help: ArgumentHelp(
            """
            The master key's file, to prove that it opens every data key (default: master.key in the data \
            directory, if it can be read).
            """,
            valueName: "file"))
    var masterKeyFile: String?
    @Flag(help: "One JSON object.") var json = false

    func run() async throws {
        let verifierKey = try key.map { try HeadFiles.verifierKey($0) }
        let heads = try head.map { try HeadFiles.statement(in: $0, key: verifierKey) }
        let log = try directory.open(checking: .trees)
        let vault = try masterKey().map { CredentialVault(master: $0) }
        var findings = Findings()
        findings.isKeyChecked = vault != nil
        findings.isCommitUndone = log.hasUndoneCommit
        let began = ContinuousClock.now
        verify(log, vault, &findings)
        findings.seconds = Double((ContinuousClock.now - began) / .milliseconds(1)) / 1_000
        if let damage = findings.report.damage {
            findings.faults.append(
                EventLogError.damaged(
                    path: damage.path ?? directory.path + "/events.lmdb", position: damage.position,
                    what: damage.sentence
                ).sentence)
            if !heads.isEmpty {
                findings.faults.append("the heads were not compared, since the log is damaged")
            }
        } else {
            findings.faults += findings.report.state?.faults ?? []
            try verify(heads, against: log, isSigned: verifierKey != nil, &findings)
        }
        json ? printJSON(findings) : print(findings)
        if !findings.faults.isEmpty { throw ExitCode(1) }
    }

    private struct Findings {
        var report = Verifier.Report()
        var seconds = 0.0
        var isKeyChecked = false
        var isCommitUndone = false
        var foreignKeyCount = 0
        var heads: [String] = []
        var faults: [String] = []
    }

    private func verify(_ log: EventLog, _ vault: CredentialVault?, _ findings: inout Findings) {
        let bar = SharedProgressBar(isShown: !json)
        defer { bar.finish() }
        var foreignKeys: Set<VIMID> = []
        findings.report = Verifier(of: log).run { id, wrapped in
            do throws(VaultFault) {
                if let vault {
                    _ = try vault.unwrap(wrapped, of: id)
                } else {
                    try CredentialVault.check(wrapped, of: id)
                }
                return nil
            } catch {
                // No damage: a master key was lost, and the credentials were not yet set anew.
                guard error != .otherMasterKey else {
                    foreignKeys.insert(id)
                    return nil
                }
                return error.sentence
            }
        } progress: {
            bar.show($0, of: $1)
        }
        findings.foreignKeyCount = foreignKeys.count
    }

    /// The master key; nil if it was not named and is not where it usually is.
    private func masterKey() throws -> MasterKey? {
        let path = masterKeyFile ?? directory.path + "/master.key"
        guard masterKeyFile != nil || access(path, R_OK) == 0 else { return nil }
        do throws(MasterKeyFault) { return try MasterKey(file: path, mayCreate: false) } catch {
            throw Failure(error.sentence)
        }
    }

    private func verify(
        _ heads: [HeadFiles.Stated], against log: EventLog, isSigned: Bool, _ findings: inout Findings
    ) throws {
        for stated in heads {
            let place = "the head at position \(stated.statement.position) in \(stated.path)"
            switch try reading({ () throws(EventLogError) in try stated.statement.verdict(on: log) }) {
            case .extended(let count):
                let signature = isSigned ? "signature checked" : "signature not checked: name its --key"
                findings.heads.append(
                    "\(place) is part of this log, which goes on to position "
                        + "\(stated.statement.position + count); \(signature)"
                )
            case .truncated(let head):
                findings.faults.append(
                    "\(place) is beyond the end of this log, \(head.position): it was truncated")
            case .dropped(let end):
                findings.faults.append(
                    "\(place) lies among the events up to position \(end) that were dropped, and no file of "
                        + "theirs ended there: it can no longer be proven")
            case .rewritten:
                findings.faults.append(
                    "\(place) does not fit: this log has another history there; it was rewritten or forked"
                )
            }
        }
    }

    private func print(_ findings: Findings) {
        let report = findings.report
        let rate = Double(report.eventCount) / max(findings.seconds, 0.001)
        Swift.print(
            "\(report.eventCount) events in \(report.batchCount) batches of \(report.streamCount) VIMs: "
                + "seals, order, streams and payloads checked")
        Swift.print(
            String(
                format: "%.1f s, %.0f events/s, %.0f MB/s", findings.seconds, rate,
                Double(report.byteCount) / max(findings.seconds, 0.001) / 1e6))
        if let state = report.state {
            let checkpoint =
                state.checkpointPosition.map { "checkpoint at position \($0) compared with a replay" }
                ?? "no checkpoint to compare"
            let keys = findings.isKeyChecked ? "opened with the master key" : "checked without a master key"
            Swift.print(
                "\(state.registeredCount) registered VIMs; \(checkpoint); \(state.keyCount) data keys \(keys)"
            )
        }
        if let dropped = report.dropped {
            Swift.print(
                "what happened up to position \(dropped.lastPosition) was dropped on "
                    + "\(Timestamp(microseconds: dropped.time).spaced) and cannot be verified any more: the "
                    + "seals of its \(dropped.segmentCount) files follow each other, the rest goes on from "
                    + "the last one, and what stands for it is what log.dropped at position "
                    + "\(dropped.eventPosition) names")
        }
        if findings.foreignKeyCount > 0 {
            Swift.print(
                "\(findings.foreignKeyCount) data keys are wrapped under another master key: nobody can read "
                    + "those credentials until they are set anew")
        }
        if findings.isCommitUndone {
            Swift.print(
                "a commit after this state is in the file, but does not count: it failed, or the "
                    + "machine stopped in its middle, and nobody was told that it was stored, or a bit of "
                    + "its number flipped; a head that was signed after it tells (--head)")
        }
        for head in findings.heads { Swift.print(head) }
        if report.damage == nil {
            Swift.print("head: position \(report.head.position), seal \(report.head.seal)")
        }
        if findings.faults.isEmpty { return Swift.print(Terminal.painted("the log is whole", .green)) }
        for fault in findings.faults { Swift.print(Terminal.painted(fault, .red)) }
    }

    private func printJSON(_ findings: Findings) {
        let report = findings.report
        var line = JSONLine()
        line.add("ok", .bool(findings.faults.isEmpty))
        line.add("events", .integer(Int64(clamping: report.eventCount)))
        line.add("batches", .integer(Int64(clamping: report.batchCount)))
        line.add("bytes", .integer(Int64(clamping: report.byteCount)))
        line.add("vims_ever", .integer(Int64(clamping: report.streamCount)))
        line.add("milliseconds", .integer(Int64(findings.seconds * 1_000)))
        line.add("position", .integer(Int64(clamping: report.head.position)))
        line.add("seal", .string("\(report.head.seal)"))
        line.add("bad_position", report.damage.map { .integer(Int64(clamping: $0.position)) } ?? .null)
        line.add(
            "checkpoint_position",
            report.state?.checkpointPosition.map { .integer(Int64(clamping: $0)) } ?? .null)
        line.add("data_keys", report.state.map { .integer(Int64($0.keyCount)) } ?? .null)
        line.add("master_key_checked", .bool(findings.isKeyChecked))
        line.add("foreign_data_keys", .integer(Int64(findings.foreignKeyCount)))
        line.add("undone_commit", .bool(findings.isCommitUndone))
        line.add("dropped_end", report.dropped.map { .integer(Int64(clamping: $0.lastPosition)) } ?? .null)
        line.add("heads", .array(findings.heads.map { .string($0) }))
        line.add("faults", .array(findings.faults.map { .string($0) }))
        Swift.print(line.text)
    }
}
