import Foundation

/// A text file of the repository.
struct SourceFile: Sendable {
    /// Its path from the top of the repository.
    var path: String
    /// Its lines, without line ends.
    var lines: [String]

    init(_ path: String, _ text: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if lines.last == "" { lines.removeLast() }
    }

    /// The lines without comments and without what stands in string literals.
    ///
    /// Good enough for looking for words; not a Swift parser.
    var codeLines: [String] {
        var isInMultilineString = false
        return lines.map { line in
            let wasInside = isInMultilineString
            if line.components(separatedBy: "\"\"\"").count.isMultiple(of: 2) { isInMultilineString.toggle() }
            return wasInside ? "" : SourceFile.code(of: line)
        }
    }

    private static func code(of line: String) -> String {
        var code = ""
        var isInString = false
        var previous: Character = " "
        for character in line {
            if character == "\"", previous != "\\" { isInString.toggle() }
            if !isInString, character == "/", previous == "/" { return String(code.dropLast()) }
            if !isInString || character == "\"" { code.append(character) }
            previous = character == "\\" && previous == "\\" ? " " : character
        }
        return code
    }

    /// Whether a comment on this line, or above it and the lines before that need the same reason, says why;
    /// indices count from 0.
    func hasReason(at index: Int, for word: String) -> Bool {
        if lines[index].contains("// ") { return true }
        guard index > 0 else { return false }
        if lines[index - 1].trimmingCharacters(in: .whitespaces).hasPrefix("//") { return true }
        return codeLines[index - 1].contains(word) && hasReason(at: index - 1, for: word)
    }
}

/// Something that breaks a rule of the house.
struct Finding: Hashable, CustomStringConvertible {
    var path: String
    /// From 1; nil if the whole file is meant.
    var line: Int?
    var sentence: String

    var description: String { path + (line.map { ":\($0)" } ?? "") + ": " + sentence }
}

/// The checked-out repository.
enum Repository {
    static let top: URL = {
        // This file is Tests/HouseTests/SourceFile.swift.
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
    }()

    /// The names at the top.
    static func topLevelNames() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: top.path)
    }

    /// All text files below these folders or files whose path passes `isWanted`, sorted by path.
    static func files(
        below entries: [String], where isWanted: (String) -> Bool = { $0.hasSuffix(".swift") }
    ) throws -> [SourceFile] {
        try entries.flatMap { entry -> [SourceFile] in
            let url = top.appendingPathComponent(entry)
            var isDirectory: ObjCBool = false
            guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isDirectory) else {
                return []
            }
            let inside = FileManager.default.enumerator(atPath: url.path)?.compactMap { $0 as? String } ?? []
            let paths = isDirectory.boolValue ? inside.map { "\(entry)/\($0)" } : [entry]
            return try paths.filter(isWanted).sorted().compactMap(read)
        }
    }

    private static func read(_ path: String) throws -> SourceFile? {
        let url = top.appendingPathComponent(path)
        guard try url.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true else { return nil }
        // What is not UTF-8 is no text: golden files, for instance.
        guard let text = String(data: try Data(contentsOf: url), encoding: .utf8) else { return nil }
        return SourceFile(path, text)
    }
}
