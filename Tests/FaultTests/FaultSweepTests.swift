// Starts: conductor-load and vedette under strace, which lets one system call after the other fail.
//
// 1. A clean run of each operation is traced: how often each thread makes each call on a file of the data
//    directory.
// 2. For every call and every error that it may meet, the operation is run again on a fresh copy, once for
//    each time the call was made, and that one fails (the nth of each thread).
// 3. The program must end by itself and say in one sentence on standard error what failed, unless it did
//    without.
// 4. Whatever it acknowledged must be in the log, whose seals must hold; the next run must work; and then
//    `audit verify` must find nothing.
//
// A table is printed: operation × call × error: how many faults, how many were told, how many did no harm.
// SWEEP_WISHES makes the operations longer.
import EventLog
import Foundation
import Harness
import Recording
import Testing

@Suite("A system call that fails", .serialized)
struct FaultSweepTests {
    /// What is done, and to what.
    struct Operation: Sendable, CustomTestStringConvertible {
        var name: String
        var startsWithLog = true
        var program = Programs.conductorLoad
        /// After the data directory.
        var arguments: @Sendable (String) -> [String]
        /// What a run needs beside the data directory, made anew before each.
        var prepare: @Sendable (String) async throws -> Void = { _ in }
        var testDescription: String { name }
    }

    static let wishCount = amount("SWEEP_WISHES", 6)

    static let operations: [Operation] = [
        Operation(name: "create", startsWithLog: false) { [$0, "1", "1", "1"] },
        Operation(name: "append and checkpoint") { [$0, "1", "2", "\(wishCount)"] },
        Operation(name: "rebuild", program: Programs.vedette) { ["rebuild", "--data-directory", $0] },
        Operation(name: "audit verify", program: Programs.vedette) {
            ["audit", "verify", "--data-directory", $0]
        },
        Operation(
            name: "vault rotate", program: Programs.vedette,
            arguments: { ["vault", "rotate", "--data-directory", $0] }),
        Operation(
            name: "archive", program: Programs.vedette,
            arguments: { ["archive", "--before", "0s", "--data-directory", $0] }),
        Operation(
            name: "drop", program: Programs.vedette,
            arguments: { ["archive", "--drop-before", "0s", "--yes", "--data-directory", $0] },
            prepare: { _ = try await runVedette(["archive", "--before", "0s", "--data-directory", $0]) }),
        Operation(
            name: "backup", program: Programs.vedette,
            arguments: { ["backup", $0 + ".backup", "--data-directory", $0] },
            prepare: { try? FileManager.default.removeItem(atPath: $0 + ".backup") }),
        Operation(
            name: "restore", program: Programs.vedette,
            arguments: { ["restore", $0 + ".backup", "--data-directory", $0] },
            prepare: { data in
                guard !FileManager.default.fileExists(atPath: data + ".backup") else { return }
                _ = try await runVedette(["backup", data + ".backup", "--data-directory", data])
            }),
    ]

    /// The calls that change a file or set it up, and the errors each may meet.
    static let calls: [(name: String, errors: [String])] = [
        ("openat", ["EIO", "ENOSPC", "EMFILE"]), ("mmap", ["ENOMEM"]), ("ftruncate", ["EIO", "ENOSPC"]),
        ("write", ["EIO", "ENOSPC"]), ("pwrite64", ["EIO", "ENOSPC"]), ("writev", ["EIO", "ENOSPC"]),
        ("pwritev", ["EIO", "ENOSPC"]), ("fsync", ["EIO", "ENOSPC"]), ("fdatasync", ["EIO", "ENOSPC"]),
        ("msync", ["EIO"]), ("fallocate", ["EIO", "ENOSPC"]), ("rename", ["EIO", "ENOSPC"]),
        ("link", ["EIO", "ENOSPC"]), ("unlink", ["EIO"]), ("mkdir", ["EIO", "ENOSPC"]), ("pread64", ["EIO"]),
    ]

    @Test(
        "It is told in one sentence, loses nothing that was acknowledged, and the next run works",
        arguments: operations)
    func sweep(_ operation: Operation) async throws {
        try await withTemporaryDirectory { directory in
            let template = directory + "/template"
            if operation.startsWithLog {
                let made = try await run(Programs.conductorLoad, [template, "1", "1", "12"])
                try #require(made.exitCode == 0, "\(made.errorOutput)")
            }
            let counts = try await count(operation, template, directory)
            try #require(counts.values.reduce(0, +) > 3)
            var total = Outcomes()
            for (call, errors) in FaultSweepTests.calls {
                for error in errors {
                    var outcomes = Outcomes()
                    for number in 0..<(counts[call] ?? 0) {
                        let fault = Fault(call: call, error: error, number: number + 1)
                        let isTold = try await attempt(operation, fault, template, directory)
                        outcomes.note(isTold)
                    }
                    if outcomes.faults > 0 {
                        print("FaultSweep: \(operation.name) | \(call) | \(error) | \(outcomes)")
                    }
                    total.add(outcomes)
                }
            }
            print("FaultSweep: \(operation.name) | all | all | \(total)")
        }
    }

    /// Runs the operation without a fault and counts the calls of the thread that makes most of each.
    private func count(
        _ operation: Operation, _ template: String, _ directory: String
    ) async throws -> [String: Int] {
        let (data, trace) = (directory + "/data", directory + "/trace")
        try place(operation, template, data)
        try await operation.prepare(data)
        let clean = try await run(
            Programs.strace,
            ["-o", trace] + options(for: FaultSweepTests.calls.map(\.name), data)
                + [operation.program] + operation.arguments(data))
        try #require(clean.exitCode == 0, "\(clean.errorOutput)")
        var counts: [String: [Substring: Int]] = [:]
        for line in try String(contentsOfFile: trace, encoding: .utf8).split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 1)
            guard words.count == 2, !words[1].hasPrefix("<"), let end = words[1].firstIndex(of: "(") else {
                continue
            }
            let call = words[1][..<end].drop { $0 == " " }
            counts[String(call), default: [:]][words[0], default: 0] += 1
        }
        return counts.mapValues { $0.values.max() ?? 0 }
    }

    /// Only calls on files of the data directory are looked at.
    private func options(for calls: [String], _ data: String) -> [String] {
        let names = [
            "", "/events.lmdb", "/events.lmdb-lock", "/events.lmdb.new", "/events.lmdb.new-lock",
            "/writer.lock", "/master.key", "/master.key.new", "/master.key.next", "/master.key.next.new",
            "/archive", "/archive/00000000000000000001.segment",
            "/archive/00000000000000000001.segment.partial",
            ".backup", ".backup.partial", ".backup.partial/events.lmdb", ".backup.partial/manifest.json",
            ".backup.partial/archive", ".backup/events.lmdb", ".backup/manifest.json",
            "/restore.staged", "/restore.staged/archive", "/restore.staged/events.lmdb",
            "/restore.staged/writer.lock", "/restore.ready", "/restore.ready/events.lmdb",
            "/restore.ready/replaced", "/restore.ready/archive",
        ]
        return ["-f", "-qqq", "-e", "signal=none", "-e", "trace=" + calls.joined(separator: ",")]
            + names.flatMap { ["-P", data + $0] }
    }

    private func place(_ operation: Operation, _ template: String, _ data: String) throws {
        try? FileManager.default.removeItem(atPath: data)
        if operation.startsWithLog { try FileManager.default.copyItem(atPath: template, toPath: data) }
    }

    private struct Fault: CustomStringConvertible {
        var call: String
        var error: String
        var number: Int
        var description: String { "\(call) number \(number) fails with \(error)" }
    }

    /// What came of faults.
    private struct Outcomes: CustomStringConvertible {
        var faults = 0
        var told = 0
        var description: String { "\(faults) faults, \(told) told, \(faults - told) did no harm" }

        mutating func note(_ isTold: Bool) {
            faults += 1
            told += isTold ? 1 : 0
        }

        mutating func add(_ other: Outcomes) {
            faults += other.faults
            told += other.told
        }
    }

    /// Runs the operation with a fault and looks at what it left; true if it told of it.
    private func attempt(
        _ operation: Operation, _ fault: Fault, _ template: String, _ directory: String
    ) async throws -> Bool {
        let data = directory + "/data"
        let place: Comment = "\(operation.name): \(fault)"
        try self.place(operation, template, data)
        try await operation.prepare(data)
        let faulty = try await run(
            Programs.strace,
            ["-o", "/dev/null"] + options(for: [fault.call], data)
                + ["-e", "inject=\(fault.call):error=\(fault.error):when=\(fault.number)"]
                + [operation.program] + operation.arguments(data))
        let sentences = faulty.errorOutput.split(separator: "\n")
        // 128 and more are signals: a crash, or never an end.
        #expect(faulty.exitCode == 0 || faulty.exitCode == 1, "\(place) \(faulty.errorOutput)")
        if faulty.exitCode != 0 {
            #expect(!sentences.isEmpty, place)
            // Each wish that failed is told by itself, with the path of what could not be used.
            #expect(sentences.allSatisfy { $0.contains(data) }, "\(place) \(faulty.errorOutput)")
        }
        let promises = faulty.lines.compactMap { Acknowledgement(line: $0) }
        try await operation.prepare(data)
        let again = try await run(operation.program, operation.arguments(data))
        #expect(again.exitCode == 0, "\(place): and then \(again.errorOutput)")
        let later = again.lines.compactMap { Acknowledgement(line: $0) }
        var witness = Witness()
        #expect(try follow(data, &witness, promises: promises + later) == [], place)
        let verify = try await runVedette(["audit", "verify", "--data-directory", data])
        #expect(verify.exitCode == 0, "\(place) \(verify.output) \(verify.errorOutput)")
        return faulty.exitCode != 0
    }
}
