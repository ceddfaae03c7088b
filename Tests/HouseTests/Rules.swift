/// The rules of the house, as functions of the files they look at, so that each is tested on a bad sample.
enum Rules {
    static let columnMax = 110
    static let lineMax = 600

    /// Imports that the table does not allow, and files that stand in no room.
    static func imports(in file: SourceFile, house: [Room]) -> [Finding] {
        guard let room = house.first(where: { file.path.hasPrefix("Sources/\($0.folder)/") }) else {
            return [Finding(path: file.path, sentence: "stands in no room of the table in Rooms.swift")]
        }
        let ours = Set(house.map(\.name))
        return file.codeLines.enumerated().compactMap { index, line in
            guard let module = importedModule(line), module != room.name else { return nil }
            if ours.contains(module) {
                guard let allowed = room.mayImport, !allowed.contains(module) else { return nil }
            } else {
                guard let allowed = room.mayImportForeign, !allowed.contains(module) else { return nil }
            }
            return Finding(
                path: file.path, line: index + 1, sentence: "\(room.name) must not import \(module)")
        }
    }

    /// The module that a line imports; nil if the line is no import.
    static func importedModule(_ line: String) -> String? {
        var words = line.split(separator: " ").map(String.init)
        while let first = words.first, first.hasPrefix("@") || accessLevels.contains(first) {
            words.removeFirst()
        }
        guard words.first == "import", words.count >= 2 else { return nil }
        let name = words.count > 2 && importKinds.contains(words[1]) ? words[2] : words[1]
        return name.split(separator: ".").first.map(String.init)
    }

    private static let accessLevels: Set<String> = [
        "public", "package", "internal", "fileprivate", "private",
    ]
    private static let importKinds: Set<String> = [
        "struct", "class", "enum", "protocol", "typealias", "func", "let", "var", "actor",
    ]

    /// What no source may say at all.
    static let banned: [(word: String, why: String)] = [
        ("Task.detached", "a detached task belongs to nobody; use a structured one")
    ]

    /// What needs a comment on its line or the one before that says why it is right.
    static let onlyWithReason = [
        "try!", "as!", "fatalError(", "@unchecked Sendable", "nonisolated(unsafe)", "unsafeBitCast(",
    ]

    /// Banned words, and risky ones without a reason.
    static func words(in file: SourceFile) -> [Finding] {
        file.codeLines.enumerated().flatMap { index, line -> [Finding] in
            let never = banned.filter { line.contains($0.word) }.map { "\($0.word): \($0.why)" }
            let unreasoned = onlyWithReason.filter {
                line.contains($0) && !file.hasReason(at: index, for: $0)
            }
            .map { "\($0) needs a comment, here or on the line before, that says why it is right" }
            return (never + unreasoned).map { Finding(path: file.path, line: index + 1, sentence: $0) }
        }
    }

    /// Lines and files that are too long.
    static func lengths(in file: SourceFile) -> [Finding] {
        let long = file.lines.enumerated().filter { $0.element.count > columnMax }
        var findings = long.map { index, line in
            Finding(
                path: file.path, line: index + 1, sentence: "\(line.count) columns; at most \(columnMax)")
        }
        if file.lines.count > lineMax {
            findings.append(
                Finding(path: file.path, sentence: "\(file.lines.count) lines; at most \(lineMax)"))
        }
        return findings
    }

    /// Entries at the top that do not belong there.
    static func topLevel(_ names: [String]) -> [Finding] {
        names.filter { !$0.hasPrefix(".") && !topLevelEntries.contains($0) }.sorted()
            .map { Finding(path: $0, sentence: "does not belong at the top of the repository") }
    }

    /// Paths that hold on one machine only.
    ///
    /// Put together here so that this file does not find itself.
    static let machinePaths = ["/work" + "/", "/root" + "/", "/home" + "/", "/Users" + "/", ".." + "/shared"]

    /// Mentions of paths that hold on one machine only.
    static func machinePaths(in file: SourceFile) -> [Finding] {
        file.lines.enumerated().flatMap { index, line in
            machinePaths.filter { mentions($0, in: line) }.map {
                Finding(
                    path: file.path, line: index + 1, sentence: "\($0) is a path of one machine")
            }
        }
    }

    /// Whether a line holds an absolute path, not a folder of the same name further down.
    private static func mentions(_ path: String, in line: String) -> Bool {
        var rest = Substring(line)
        while let range = rest.firstRange(of: path) {
            let before =
                range.lowerBound == line.startIndex ? " " : line[line.index(before: range.lowerBound)]
            if !before.isLetter, !before.isNumber, before != "_", before != "~", before != "}" { return true }
            rest = rest[range.upperBound...]
        }
        return false
    }

    /// Whether the two commands that a newcomer needs are the first code the README shows.
    static func readme(_ file: SourceFile) -> [Finding] {
        guard let opening = file.lines.firstIndex(where: { $0.hasPrefix("```") }) else {
            return [Finding(path: file.path, sentence: "shows no code")]
        }
        let block = file.lines[(opening + 1)...].prefix { !$0.hasPrefix("```") }
        return ["tools/run", "tools/test"].filter { command in !block.contains { $0.contains(command) } }
            .map {
                Finding(path: file.path, line: opening + 1, sentence: "the first code does not name \($0)")
            }
    }
}
