import Foundation

/// A figure or a word in a report.
enum Cell {
    case text(String)
    case count(Int)
    /// A measured number and how many digits after the point people see of it.
    case number(Double, digits: Int = 0)
    /// Median and middle half over the rounds.
    case spread([Double], digits: Int = 0)

    var text: String {
        switch self {
        case .text(let text): text
        case .count(let count): Cell.grouped(Double(count), 0)
        case .number(let number, let digits): Cell.grouped(number, digits)
        case .spread(let values, let digits): Cell.text(Spread(values), digits)
        }
    }

    var json: Any {
        switch self {
        case .text(let text): text
        case .count(let count): count
        case .number(let number, _): Cell.finite(number)
        case .spread(let values, _): Cell.json(Spread(values), of: values)
        }
    }

    private static func json(_ spread: Spread, of values: [Double]) -> Any {
        [
            "median": finite(spread.median), "lower_quartile": finite(spread.lowerQuartile),
            "upper_quartile": finite(spread.upperQuartile), "least": finite(spread.least),
            "most": finite(spread.most), "rounds": values.map(finite),
        ]
    }

    /// Large medians in thousands or millions, the range in the same unit.
    private static func text(_ spread: Spread, _ digits: Int) -> String {
        let (unit, divisor, digits) =
            switch spread.median {
            case 1e6...: (" M", 1e6, 2)
            case 1e4...: (" k", 1e3, 1)
            default: ("", 1.0, digits)
            }
        let values = [spread.median, spread.lowerQuartile, spread.upperQuartile].map {
            grouped($0 / divisor, digits)
        }
        return "\(values[0])\(unit) (\(values[1])-\(values[2]))"
    }

    private static func finite(_ number: Double) -> Any { number.isFinite ? number : NSNull() }

    private static func grouped(_ number: Double, _ digits: Int) -> String {
        guard number.isFinite else { return "-" }
        let fixed = String(format: "%.\(digits)f", abs(number))
        let parts = fixed.split(separator: ".", maxSplits: 1)
        var whole = ""
        for (index, digit) in parts[0].reversed().enumerated() {
            if index > 0, index.isMultiple(of: 3) { whole.append(",") }
            whole.append(digit)
        }
        let text = String(whole.reversed()) + (parts.count > 1 ? "." + parts[1] : "")
        return number < 0 ? "-" + text : text
    }
}

/// A column: what programs call it and what people read above it.
struct Column {
    var key: String
    var heading: String

    init(_ key: String, _ heading: String) {
        self.key = key
        self.heading = heading
    }
}

/// What a workload found, for people and for programs.
struct Report {
    var workload: String
    var configuration: [(key: String, value: Cell)]
    var columns: [Column]
    var rows: [[Cell]] = []
    /// Sentences that belong to the figures.
    var notes: [String] = []
    private let before = Machine.load

    init(_ workload: String, configuration: [(key: String, value: Cell)], columns: [Column]) {
        self.workload = workload
        self.configuration = configuration
        self.columns = columns
    }

    func print(asJSON: Bool) throws {
        Swift.print(asJSON ? try jsonText : plainText)
        fflush(nil)
    }

    private var plainText: String {
        var lines = ["", "== \(workload) =="]
        lines.append("machine: " + Machine.sentence)
        lines.append("load average: \(before) before, \(Machine.load) after")
        lines.append(configuration.map { "\($0.key) \($0.value.text)" }.joined(separator: ", "))
        lines.append("")
        let table = [columns.map(\.heading)] + rows.map { $0.map(\.text) }
        let widths = columns.indices.map { column in table.map { $0[column].count }.max() ?? 0 }
        for row in table {
            let cells = zip(row, widths).enumerated().map { index, cell in
                let padding = String(repeating: " ", count: cell.1 - cell.0.count)
                return index == 0 ? cell.0 + padding : padding + cell.0
            }
            lines.append(cells.joined(separator: "  "))
        }
        if !notes.isEmpty { lines.append("") }
        lines += notes
        return lines.joined(separator: "\n")
    }

    private var jsonText: String {
        get throws {
            let rows = rows.map { row in
                Dictionary(zip(columns.map(\.key), row.map(\.json))) { first, _ in first }
            }
            let object: [String: Any] = [
                "workload": workload, "machine": Machine.facts, "load_average_before": before,
                "load_average_after": Machine.load,
                "configuration": Dictionary(configuration.map { ($0.key, $0.value.json) }) { first, _ in first
                },
                "rows": rows, "notes": notes,
            ]
            let data = try JSONSerialization.data(
                withJSONObject: object, options: [.sortedKeys, .withoutEscapingSlashes])
            return String(decoding: data, as: UTF8.self)
        }
    }
}
