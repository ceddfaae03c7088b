import EventLog
import Recording
import Registry
import Samples
import Testing

@testable import Auditing

@Suite("Signed heads")
struct SignedHeadTests {
    // The example of Go's golang.org/x/mod/sumdb/note, an independent implementation of the form.
    private let goKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    private let goSecret = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
    private let goNote =
        "If you think cryptography is the answer to your problem,\n"
        + "then you don't know what your problem is.\n\n"
        + "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFup"
        + "LLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"

    @Test("A note made elsewhere is accepted, and ours is the same to the byte")
    func foreignNote() throws {
        let note = try SignedNote(goNote)
        try note.check(against: HeadVerifierKey(goKey))
        let own = SignedNote(signing: note.text, with: try HeadSigningKey(file: goSecret))
        #expect(own.note == goNote)
        #expect(try HeadSigningKey(file: goSecret).verifier.description == goKey)
    }

    @Test("Any flipped bit of a note or of the verifier key is found")
    func flips() throws {
        let key = try HeadVerifierKey(goKey)
        for index in 0..<goNote.utf8.count {
            var bytes = Array(goNote.utf8)
            bytes[index] ^= 1
            guard let text = String(validating: bytes, as: UTF8.self) else { continue }
            #expect(throws: NoteFault.self, "byte \(index)") {
                try SignedNote(text).check(against: key)
            }
        }
        for index in 0..<goKey.utf8.count {
            var bytes = Array(goKey.utf8)
            bytes[index] ^= 1
            #expect(throws: NoteFault.self, "byte \(index)") {
                try SignedNote(goNote).check(against: HeadVerifierKey(String(decoding: bytes, as: UTF8.self)))
            }
        }
    }

    @Test("Another key's signature is not taken for ours, and keys have fit names")
    func otherKey() throws {
        let (one, other) = (try HeadSigningKey(name: "one"), try HeadSigningKey(name: "one"))
        let note = SignedNote(signing: "text\n", with: one)
        try note.check(against: one.verifier)
        #expect(throws: NoteFault.self) { try note.check(against: other.verifier) }
        #expect(try SignedNote(note.note) == note)
        #expect(try HeadVerifierKey(one.verifier.description) == one.verifier)
        #expect(try HeadSigningKey(file: one.file).verifier == one.verifier)
        for name in ["", "with space", "with+plus", "line\nend"] {
            #expect(throws: NoteFault.self) { try HeadSigningKey(name: name) }
        }
        for file in [
            "", "PRIVATE+KEY+x", goKey, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        ] {
            #expect(throws: NoteFault.self, "\(file)") { try HeadSigningKey(file: file, name: "one") }
        }
    }

    @Test("What is no note, or states no head, is told in words")
    func noNote() throws {
        for text in ["", "\n", "text\n", "text\n\n", "text\n\nsignature\n", "text\n\n\u{2014} name AAAA\n"] {
            #expect(throws: NoteFault.self, "\(text)") { try SignedNote(text) }
        }
        for text in ["a\n", "a\n1\n", "a\nx\nAAAA\n", "a\n01\n\n", "\n1\nAAAA\n"] {
            #expect(throws: NoteFault.self, "\(text)") { try HeadStatement(text: text) }
        }
    }

    @Test("A log extends every head it ever had; one that was truncated, rewritten or forked does not")
    func verdicts() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            try recordSample(in: directory + "/log", commandCount: 300, using: &random)
            let log = try EventLog(directory: directory + "/log", access: .read)
            var heads: [Head] = []
            try log.readBatches { (batch) throws(Never) -> Bool in
                heads.append(
                    Head(position: batch.lastPosition, seal: batch.header.seal, time: 1, epoch: 1))
                return true
            }
            for head in heads {
                let statement = try HeadStatement(text: HeadStatement(head, origin: "log").text)
                #expect(try statement.verdict(on: log) == .extended(by: log.head.position - head.position))
            }
            let last = HeadStatement(try #require(heads.last), origin: "log")
            // A longer log of other commands.
            var other = SeededGenerator(seed: runSeed &+ 1)
            try recordSample(in: directory + "/other", commandCount: 900, using: &other)
            let fork = try EventLog(directory: directory + "/other", access: .read)
            #expect(fork.head.position > last.position)
            #expect(try last.verdict(on: fork) == .rewritten)
            try recordSample(in: directory + "/short", commandCount: 20, using: &other)
            let short = try EventLog(directory: directory + "/short", access: .read)
            #expect(try last.verdict(on: short) == .truncated(head: short.head))
            // A position inside a batch is no head of this log.
            if let wide = zip(heads, heads.dropFirst()).first(where: { $1.position > $0.position + 1 }) {
                var inside = HeadStatement(wide.1, origin: "log")
                inside.position -= 1
                #expect(try inside.verdict(on: log) == .rewritten)
            }
        }
    }

    @Test("History that was rewritten with the same number of events does not extend the older head")
    func sameLength() throws {
        try withTemporaryDirectory { directory in
            let heads = try ["site", "sitf"].map { name in
                var recorder = try Recorder(directory + "/" + name)
                try recorder.run(.sampleRegistration(1, name: name))
                try recorder.commit()
                for _ in 0..<5 {
                    try recorder.run(report(1, action: 1, .reachable))
                    try recorder.commit()
                }
                return recorder.log.head
            }
            #expect(heads[0].position == heads[1].position)
            let rewritten = try EventLog(directory: directory + "/sitf", access: .read)
            #expect(try HeadStatement(heads[0], origin: "log").verdict(on: rewritten) == .rewritten)
            #expect(try HeadStatement(heads[1], origin: "log").verdict(on: rewritten) == .extended(by: 0))
        }
    }
}
