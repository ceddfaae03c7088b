// Starts: the server and the commands, on copies of a log in whose data file bits were flipped and pages
// overwritten.
//
// Whatever was damaged, each program either finds nothing wrong and says the same as before, or ends with
// exit code 1 and a sentence that names the file or what is wrong in it; none crashes or hangs, and no
// altered event is printed. SEED replays a failure; PAGE_DAMAGES makes more of them.
import EventLog
import Foundation
import Harness
import Testing

@Suite("A damaged page", .serialized)
struct PageDamageTests {
    @Test("Flipped bits, garbage and exchanged pages anywhere in the data file are told or harmless")
    func anywhere() async throws {
        let seed = faultSeed()
        var random = Seeded(state: seed)
        try await withTemporaryDirectory { directory in
            let data = directory + "/data"
            _ = try await makeReportedLog(
                in: data, vims: 30, batches: 700, reportsPerBatch: 5, using: &random)
            try await rewriteCheckpoint(of: data, times: 3)
            // Damage to the zeros behind the pages would try nothing.
            let whole = try Data(contentsOf: URL(fileURLWithPath: data + "/events.lmdb")).usedPages
            let sound = try await Sound(data)
            var told: [Damage: Int] = [:]
            for round in 0..<amount("PAGE_DAMAGES", 27) {
                let damage = Damage.allCases[round % Damage.allCases.count]
                let file = damage.inflict(on: whole, &random)
                let note = Comment(rawValue: "SEED=\(seed), round \(round), \(damage)")
                let isTold = try await check(file, of: data, in: directory, sound, note)
                told[damage, default: 0] += isTold ? 1 : 0
            }
            print("PageDamageTests: told of \(told), SEED=\(seed)")
            #expect(told.values.reduce(0, +) > 0)
        }
    }

    @Test("A bit that makes the last commit look undone is told by verify")
    func undone() async throws {
        var random = Seeded(state: faultSeed())
        try await withTemporaryDirectory { directory in
            let data = directory + "/data"
            _ = try await makeReportedLog(
                in: data, vims: 3, batches: 20, reportsPerBatch: 5, using: &random)
            let url = URL(fileURLWithPath: data + "/events.lmdb")
            var file = try Data(contentsOf: url)
            // Each rebuild commits; the bit that takes two away from the number must be set.
            while !file.newestStateNumber.isSecondBitSet {
                let rebuilt = try await runVedette(["rebuild", "--data-directory", data])
                #expect(rebuilt.exitCode == 0, "\(rebuilt)")
                file = try Data(contentsOf: url)
            }
            let sound = try await runVedette(["audit", "verify", "--json", "--data-directory", data])
            #expect(sound.output.contains("\"undone_commit\":false"), "\(sound)")
            file[file.newestStateNumber.offset] ^= 2
            try file.write(to: url)
            let undone = try await runVedette(["audit", "verify", "--data-directory", data])
            #expect(undone.exitCode == 0 && undone.output.contains("does not count"), "\(undone)")
            let json = try await runVedette(["audit", "verify", "--json", "--data-directory", data])
            #expect(json.output.contains("\"undone_commit\":true"), "\(json)")
        }
    }

    @Test("Pages that are damaged while the server runs never crash it, and the next command says so")
    func whileServing() async throws {
        let seed = faultSeed()
        var random = Seeded(state: seed)
        try await withTemporaryDirectory { directory in
            let data = directory + "/data"
            _ = try await makeReportedLog(
                in: data, vims: 5, batches: 400, reportsPerBatch: 5, using: &random)
            let path = data + "/events.lmdb"
            let (_, exitCode) = try await withServer(
                dataDirectory: data, arguments: ["--registration-check", "deferred"]
            ) { server in
                // All pages but the first two, in place: the map shows it to the server at once.
                let file = try #require(FileHandle(forUpdatingAtPath: path))
                let end = try file.seekToEnd()
                try file.seek(toOffset: 2 * 4_096)
                try file.write(contentsOf: Data(repeating: 0xFF, count: Int(end) - 2 * 4_096))
                // Whatever the map still holds: told in words that say what to do, or not told at all.
                for number in 0..<3 {
                    let vim = standInVIM("late-\(number)", at: "http://127.0.0.1:1")
                    let reply = try? await server.request(.post, "/v1.0/vims", body: ["vim": vim])
                    let words = reply?.text ?? ""
                    #expect(
                        [nil, 201].contains(reply?.status) || words.contains("is damaged"),
                        "SEED=\(seed) \(words)")
                }
            }
            let said = try String(contentsOfFile: data + ".log", encoding: .utf8)
            #expect(exitCode == 0 || exitCode == 1, "SEED=\(seed) \(exitCode): \(said.suffix(2_000))")
            let after = try await runVedette(["audit", "verify", "--data-directory", data])
            #expect(after.exitCode == 1 && after.isOneSentence(naming: data), "\(after)")
        }
    }

    /// What the programs say of the sound log.
    private struct Sound {
        var verified: [String]
        var events: String
        var rebuilt: [String]

        init(_ data: String) async throws {
            let answers = [
                try await runVedette(["audit", "verify", "--data-directory", data]),
                try await runVedette(["audit", "export", "--format", "jsonl", "--data-directory", data]),
                try await runVedette(["rebuild", "--check", "--data-directory", data]),
            ]
            #expect(answers.allSatisfy { $0.exitCode == 0 }, "\(answers.map(\.errorOutput))")
            (verified, events, rebuilt) = (answers[0].facts, answers[1].output, answers[2].facts)
        }
    }

    /// True if a program told of the damage.
    private func check(
        _ file: Data, of data: String, in directory: String, _ sound: Sound, _ note: Comment
    ) async throws -> Bool {
        let copy = directory + "/copy"
        func renew() throws {
            try? FileManager.default.removeItem(atPath: copy)
            try FileManager.default.copyItem(atPath: data, toPath: copy)
            try file.write(to: URL(fileURLWithPath: copy + "/events.lmdb"))
        }
        func runOnCopy(_ arguments: String...) async throws -> FinishedProcess {
            try renew()
            return try await runVedette(arguments + ["--data-directory", copy], limit: .seconds(60))
        }
        let verified = try await runOnCopy("audit", "verify")
        // One bit leads to the state before the last commit, which verify says.
        let isUndone = verified.exitCode == 0 && verified.output.contains("does not count")
        try #require(
            isUndone || verified.isSound(as: sound.verified, \.facts, in: copy),
            "verify, \(note): \(verified)")
        let exported = try await runOnCopy("audit", "export", "--format", "jsonl")
        try #require(
            exported.exitCode == 0 ? exported.output == sound.events : exported.isOneSentence(naming: copy),
            "export, \(note): \(exported.exitCode) \(exported.errorOutput)")
        try #require(sound.events.hasPrefix(exported.output), "export, \(note)")
        let backup = directory + "/backup"
        try? FileManager.default.removeItem(atPath: backup)
        let backedUp = try await runOnCopy("backup", backup)
        try #require(
            backedUp.exitCode == 0 || backedUp.isOneSentence(naming: copy), "backup, \(note): \(backedUp)")
        let compared = try await runOnCopy("rebuild", "--check")
        try #require(
            isUndone || compared.isSound(as: sound.rebuilt, \.facts, in: copy),
            "check, \(note): \(compared)")
        let rebuilt = try await runOnCopy("rebuild")
        try #require(
            rebuilt.exitCode == 0 || rebuilt.isOneSentence(naming: copy), "rebuild, \(note): \(rebuilt)")
        try renew()
        try await serve(copy, note)
        return verified.exitCode != 0
    }

    /// Either the server says in one sentence why it does not start, or it takes a command and stops.
    private func serve(_ copy: String, _ note: Comment) async throws {
        try? FileManager.default.removeItem(atPath: copy + ".log")
        do {
            let (_, exitCode) = try await withServer(
                dataDirectory: copy, arguments: ["--registration-check", "deferred"]
            ) { server in
                let list = try await server.request(.get, "/v1.0/vims?fields=id")
                #expect(list.status == 200, note)
                // Stored, or told why not.
                let vim = standInVIM("after", at: "http://127.0.0.1:1")
                let registered = try await server.request(.post, "/v1.0/vims", body: ["vim": vim])
                #expect([201, 503].contains(registered.status), note)
            }
            try #require(exitCode == 0, note)
        } catch is HarnessError {
            let said = try String(contentsOfFile: copy + ".log", encoding: .utf8)
            let last = said.split(separator: "\n").last.map(String.init) ?? ""
            try #require(last.hasPrefix("vedette: ") && last.contains(copy), "serve, \(note): \(said)")
            try #require(
                !said.contains("Fatal error") && !said.contains("Program crashed"), "\(note): \(said)")
        }
    }

    /// Gives the file pages that are free.
    private func rewriteCheckpoint(of data: String, times: Int) async throws {
        for _ in 0..<times {
            let rebuilt = try await runVedette(["rebuild", "--data-directory", data])
            #expect(rebuilt.exitCode == 0, "\(rebuilt)")
        }
    }
}

/// What happens to a file.
private enum Damage: CaseIterable {
    case bit, frontBit, frontBits, garbage, zeroes, exchanged, torn, rootBit, numberBit

    func inflict(on whole: Data, _ random: inout Seeded) -> Data {
        var file = whole
        let pageCount = whole.count / 4_096
        let page =
            [.rootBit, .numberBit].contains(self)
            ? Int.random(in: 0...1, using: &random) : .random(in: 0..<pageCount, using: &random)
        let start = page * 4_096
        let other = Int.random(in: 0..<pageCount, using: &random) * 4_096
        func flip(_ range: Range<Int>) {
            file[start + Int.random(in: range, using: &random)] ^=
                1 << UInt8.random(in: 0..<8, using: &random)
        }
        switch self {
        case .bit: flip(0..<4_096)
        case .frontBit: flip(0..<64)
        case .frontBits: for _ in 0..<8 { flip(0..<128) }
        case .rootBit: flip(0..<152)
        case .numberBit: flip(144..<152)
        case .garbage:
            file.replaceSubrange(
                start..<start + 4_096,
                with: (0..<4_096).map { _ in UInt8.random(in: 0...255, using: &random) })
        case .zeroes: file.replaceSubrange(start..<start + 4_096, with: repeatElement(0, count: 4_096))
        case .exchanged: file.replaceSubrange(start..<start + 4_096, with: whole[other..<other + 4_096])
        case .torn:
            let cut = 512 * Int.random(in: 1..<8, using: &random)
            file.replaceSubrange(start + cut..<start + 4_096, with: whole[other + cut..<other + 4_096])
        }
        return file
    }
}

extension Data {
    /// Where the number of the newest state lies in one of the first two pages.
    fileprivate var newestStateNumber: (offset: Int, isSecondBitSet: Bool) {
        let offset = number(at: 144) > number(at: 4_096 + 144) ? 144 : 4_096 + 144
        return (offset, number(at: offset) & 2 == 2)
    }

    /// The pages up to the last one that the newest state uses; its number lies before the state's.
    fileprivate var usedPages: Data { prefix((Int(number(at: newestStateNumber.offset - 8)) + 1) * 4_096) }

    private func number(at offset: Int) -> UInt64 {
        self[offset..<offset + 8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    }
}

extension FinishedProcess {
    /// What it said, without how long it took.
    fileprivate var facts: [String] {
        lines.filter { !$0.contains(" s, ") }.map { $0.replacing(/, \d+ events\/s/, with: "") }
    }

    /// Either the same as of the sound log, or exit code 1 and why.
    fileprivate func isSound(
        as sound: [String], _ said: KeyPath<FinishedProcess, [String]>, in directory: String
    ) -> Bool {
        if exitCode == 0 { return self[keyPath: said] == sound }
        return exitCode == 1
            && (isOneSentence(naming: directory) || output.contains(directory)
                || output.contains("checkpoint")
                || output.contains("data key") || output.contains("vault"))
    }

    /// Whether it ended with exit code 1 and one line that names the file and what to do.
    fileprivate func isOneSentence(naming directory: String) -> Bool {
        exitCode == 1 && errorOutput.split(separator: "\n").count == 1 && errorOutput.contains(directory)
            && errorOutput.hasPrefix("vedette: ")
    }
}
