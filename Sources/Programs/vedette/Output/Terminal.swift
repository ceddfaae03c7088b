// The C library's streams are global variables, which Swift cannot know to be safe: they lock themselves.
@preconcurrency import Glibc

/// What is written for people: colours only where they are seen and wanted (https://no-color.org).
enum Terminal {
    enum Colour: String {
        case red = "31"
        case green = "32"
        case yellow = "33"
        case dim = "2"
        case bold = "1"
    }

    static let isColourful =
        isatty(STDOUT_FILENO) == 1 && (getenv("NO_COLOR").map { $0.pointee == 0 } ?? true)

    static func painted(_ text: String, _ colour: Colour?) -> String {
        guard isColourful, let colour else { return text }
        return "\u{1B}[\(colour.rawValue)m\(text)\u{1B}[0m"
    }

    static func colour(ofStatus word: String) -> Colour? {
        switch word {
        case "REACHABLE": .green
        case "UNREACHABLE": .red
        case "PENDING": .yellow
        default: nil
        }
    }

    static func error(_ sentence: String) { note("vedette: \(shown(sentence))") }

    /// A line beside the output proper, on standard error.
    static func note(_ sentence: String) { draw(sentence + "\n") }

    /// Text on standard error, without a line end.
    static func draw(_ text: String) { fputs(text, stderr) }

    /// Whether all output so far went where it should.
    static var isOutputWritten: Bool { fflush(stdout) == 0 && ferror(stdout) == 0 }

    /// Lines of output appear at once, also in a pipe.
    static func flushEveryLine() { setvbuf(stdout, nil, _IOLBF, 0) }

    /// A text from outside without what moves the cursor or turns the writing round: a name must not.
    static func shown(_ text: String) -> String {
        func isHarmful(_ scalar: Unicode.Scalar) -> Bool {
            scalar.properties.generalCategory == .control || ("\u{202A}"..."\u{202E}").contains(scalar)
                || ("\u{2066}"..."\u{2069}").contains(scalar)
        }
        guard text.unicodeScalars.contains(where: isHarmful) else { return text }
        return String(String.UnicodeScalarView(text.unicodeScalars.map { isHarmful($0) ? "\u{FFFD}" : $0 }))
    }
}

/// Rows under a header, each column as wide as its widest cell.
struct TextTable {
    private let header: [String]
    private var rows: [[(text: String, colour: Terminal.Colour?)]] = []

    init(_ header: [String]) { self.header = header }

    mutating func add(_ cells: [(String, Terminal.Colour?)]) {
        rows.append(cells.map { (Terminal.shown($0), $1) })
    }

    mutating func add(_ cells: [String]) { add(cells.map { ($0, nil) }) }

    func print() {
        let widths = header.indices.map { column in
            max(header[column].count, rows.map { $0[column].text.count }.max() ?? 0)
        }
        func line(_ cells: [(text: String, colour: Terminal.Colour?)]) -> String {
            var line = ""
            for (column, cell) in cells.enumerated() {
                line += Terminal.painted(cell.text, cell.colour)
                if column < cells.count - 1 {
                    line += String(repeating: " ", count: widths[column] - cell.text.count + 2)
                }
            }
            return line
        }
        Swift.print(line(header.map { ($0, .bold) }))
        for row in rows { Swift.print(line(row)) }
    }
}
