// Starts nothing; shows each rule of the house a bad sample, since a check that cannot fail checks nothing.
import Testing

@Suite("Each rule of the house finds what breaks it")
struct RulesTests {
    @Test(
        "An import against the arrows is found, however it is written",
        arguments: [
            "import EventLog", "public import EventLog", "@testable import EventLog",
            "@_exported public import EventLog", "import struct EventLog.Position",
            "import EventLog  // just this once",
        ])
    func forbiddenImport(line: String) {
        let file = SourceFile("Sources/Requests/RESTRequests/Door.swift", "import Registry\n" + line)
        let findings = Rules.imports(in: file, house: house)
        #expect(findings.map(\.line) == [2])
        #expect(findings.first?.sentence == "RESTRequests must not import EventLog")
    }

    @Test("A pure room importing Foundation is found")
    func foreignImport() {
        let file = SourceFile("Sources/Registry/Clock.swift", "import Foundation\nimport SwiftProtobuf")
        #expect(Rules.imports(in: file, house: house).map(\.line) == [1, 2])
    }

    @Test(
        "What is allowed, or is no import, is not found",
        arguments: [
            "import Registry", "public import Projections", "import NIOCore", "// import EventLog",
            "let text = \"import EventLog\"", "/// Says why doors do not import EventLog.",
        ])
    func allowedImport(line: String) {
        let file = SourceFile("Sources/Requests/RESTRequests/Door.swift", line)
        #expect(Rules.imports(in: file, house: house).isEmpty)
    }

    @Test("Programs may import everything; the example only what the package offers to others")
    func programs() {
        let line = "import EventLog\nimport RESTRequests"
        #expect(Rules.imports(in: SourceFile("Sources/Programs/vedette/A.swift", line), house: house).isEmpty)
        let example = SourceFile("Sources/Programs/embedding-example/A.swift", line)
        #expect(Rules.imports(in: example, house: house).map(\.line) == [2])
    }

    @Test("A file that stands in no room is found")
    func unknownRoom() {
        #expect(Rules.imports(in: SourceFile("Sources/Helpers/A.swift", ""), house: house).count == 1)
    }

    @Test("Every room that a room may import is in the table, and no arrow turns back")
    func tableIsWhole() {
        let names = Set(house.map(\.name))
        var remaining = house.filter { $0.mayImport != nil }
        for room in remaining { #expect(room.mayImport?.subtracting(names) == []) }
        // Take away rooms that see nothing of what is left, again and again: what stays is a circle.
        while true {
            let left = Set(remaining.map(\.name))
            let free = remaining.filter { left.isDisjoint(with: $0.mayImport ?? []) }
            if free.isEmpty { break }
            remaining.removeAll { room in free.contains { $0.name == room.name } }
        }
        #expect(remaining.map(\.name) == [])
    }

    @Test("A detached task is found, reason or not")
    func detachedTask() {
        let file = SourceFile("a.swift", "// It is only a small one.\nTask.detached { }")
        #expect(Rules.words(in: file).map(\.line) == [2])
    }

    @Test("A risky word without a reason is found", arguments: Rules.onlyWithReason)
    func unreasoned(word: String) {
        #expect(Rules.words(in: SourceFile("a.swift", "let a = 1\n\(word) b")).map(\.line) == [2])
    }

    @Test("A risky word with a reason beside or above it is not found", arguments: Rules.onlyWithReason)
    func reasoned(word: String) {
        let beside = SourceFile("a.swift", "let a = 1\n\(word) b  // the parser checked it")
        let above = SourceFile("a.swift", "// the parser checked it\n\(word) b")
        let group = SourceFile(
            "a.swift", "// the parser checked both\n\(word) b\n\(word) c\n\nlet d = 1\n\(word) e")
        #expect(Rules.words(in: beside).isEmpty)
        #expect(Rules.words(in: above).isEmpty)
        #expect(Rules.words(in: group).map(\.line) == [6])
    }

    @Test("A word in a comment or a string is not code")
    func words() {
        let text = "/// Never try! this.\nlet a = \"as! \\\" as! \"\nlet b = \"\"\"\n  try!\n  \"\"\"\n"
        #expect(Rules.words(in: SourceFile("a.swift", text)).isEmpty)
        #expect(Rules.words(in: SourceFile("a.swift", text + "try! c")).map(\.line) == [6])
    }

    @Test("A line of 111 columns is found, one of 110 is not")
    func longLine() {
        let text = String(repeating: "a", count: 110) + "\n" + String(repeating: "é", count: 111)
        #expect(Rules.lengths(in: SourceFile("a.swift", text)).map(\.line) == [2])
    }

    @Test("A file of 601 lines is found, one of 600 is not")
    func longFile() {
        let line = "let a = 1\n"
        #expect(Rules.lengths(in: SourceFile("a.swift", String(repeating: line, count: 601))).count == 1)
        #expect(Rules.lengths(in: SourceFile("a.swift", String(repeating: line, count: 600))).isEmpty)
    }

    @Test("A stray entry at the top is found, a dot file is not")
    func topLevel() {
        #expect(Rules.topLevel([".github", "Sources", "notes.txt"]).map(\.path) == ["notes.txt"])
    }

    @Test(
        "A path of one machine is found; a folder of that name further down is not",
        arguments: Rules.machinePaths)
    func machinePath(path: String) {
        let text = "ls frame\(path)x ~\(path)y\nls \"\(path)x\"\n\(path)x"
        let found = Rules.machinePaths(in: SourceFile("run", text)).map(\.line)
        #expect(found.contains(2) && found.contains(3))
        if path.hasPrefix("/") { #expect(!found.contains(1)) }
    }

    @Test(
        "A README that begins with other code, or none, is found",
        arguments: ["# Vedette\n", "```\nmake\n```\n```\ntools/run\ntools/test\n```", "```\ntools/run\n```"])
    func readme(text: String) {
        #expect(!Rules.readme(SourceFile("README.md", text)).isEmpty)
    }

    @Test("A README that begins with the two commands passes")
    func goodReadme() {
        let text = "# Vedette\n\n```sh\ntools/run   # serves\ntools/test  # tests\n```\n"
        #expect(Rules.readme(SourceFile("README.md", text)).isEmpty)
    }
}
