// Starts nothing; reads the repository's files.
import Testing

private func isSwift(_ path: String) -> Bool { path.hasSuffix(".swift") && !path.contains("/Generated/") }

private func isText(_ path: String) -> Bool { !path.contains("__pycache__") }

@Suite("The rules of the house")
struct HouseTests {
    @Test("Every import in Sources follows the table of rooms")
    func imports() throws {
        let files = try Repository.files(below: ["Sources"])
        #expect(files.count > 20)
        let findings = files.flatMap { Rules.imports(in: $0, house: house) }
        #expect(findings.isEmpty, "\(report(findings))")
    }

    @Test("No source uses a banned word, or a risky one without saying why")
    func words() throws {
        let files = try Repository.files(below: ["Sources", "Tests"], where: isSwift)
        let findings = files.flatMap(Rules.words)
        #expect(findings.isEmpty, "\(report(findings))")
    }

    @Test("No line and no file is too long")
    func lengths() throws {
        let files = try Repository.files(below: ["Package.swift", "Sources", "Tests"], where: isSwift)
        let findings = files.flatMap(Rules.lengths)
        #expect(findings.isEmpty, "\(report(findings))")
    }

    @Test("Only what belongs there stands at the top of the repository")
    func topLevel() throws {
        let findings = Rules.topLevel(try Repository.topLevelNames())
        #expect(findings.isEmpty, "\(report(findings))")
    }

    @Test("No file names a path that holds on one machine only")
    func machinePaths() throws {
        let entries = ["Package.swift", "Sources", "Tests", "tools", ".ci", "README.md", "Design.md"]
        let findings = try Repository.files(below: entries, where: isText).flatMap(Rules.machinePaths)
        #expect(findings.isEmpty, "\(report(findings))")
    }

    @Test("The first code in the README is tools/run and tools/test")
    func readme() throws {
        let file = try #require(
            try Repository.files(below: ["README.md"], where: isText).first, "there is no README.md")
        let findings = Rules.readme(file)
        #expect(findings.isEmpty, "\(report(findings))")
    }

    private func report(_ findings: [Finding]) -> String {
        findings.map(\.description).joined(separator: "\n")
    }
}
