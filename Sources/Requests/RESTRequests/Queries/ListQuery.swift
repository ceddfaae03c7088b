import Encodings
import VIMDrivers

/// What the query string of a list asks for.
struct ListQuery: Hashable {
    struct Filter: Hashable {
        var column: String
        /// Any of them will do.
        var values: [String]
    }
    struct Sort: Hashable {
        var column: String
        var isAscending: Bool
    }
    struct Page: Hashable {
        /// At least 1.
        var limit: Int
        /// The page lies next to this row and does not hold it.
        var marker: String?
        /// The page lies before the marker, not after it.
        var isReverse: Bool
    }

    var filters: [Filter] = []
    var fields: [String]
    var sorts: [Sort]
    var page: Page?

    /// Keys that name no column.
    private static let ownKeys: Set = ["fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir"]

    /// Reads a query string.
    ///
    /// Keys that name no scalar column are ignored, and so are empty values.
    init<Row>(_ parameters: QueryParameters, table: Table<Row>) throws(APIError) {
        fields = parameters.values("fields")
        sorts = try ListQuery.sorts(parameters, table: table)
        page = try ListQuery.page(parameters)
        var seen: Set<String> = []
        for (key, _) in parameters.pairs where !ListQuery.ownKeys.contains(key) {
            guard seen.insert(key).inserted, table.column(key)?.isScalar == true else { continue }
            let values = parameters.values(key)
            if !values.isEmpty { filters.append(Filter(column: key, values: values)) }
        }
    }

    private static func sorts<Row>(
        _ parameters: QueryParameters, table: Table<Row>
    ) throws(APIError) -> [Sort] {
        let keys = parameters.values("sort_key")
        let directions = parameters.values("sort_dir")
        // Fewer directions than keys are no riddle: what is left is ascending.
        guard directions.count <= keys.count else {
            throw .badRequest("The number of sort_keys and sort_dirs must be same")
        }
        let absent = keys.filter { table.column($0)?.isScalar != true }
        guard absent.isEmpty else {
            let list = PythonText.of(.array(absent.map { .string($0) }))
            throw .badRequest("\(list) is invalid attribute for sort_keys")
        }
        let wrong = directions.filter { $0 != "asc" && $0 != "desc" }
        guard wrong.isEmpty else {
            let list = PythonText.of(.array(wrong.map { .string($0) }))
            throw .badRequest("\(list) is invalid value for sort_dirs, valid value is 'asc' and 'desc'")
        }
        return keys.enumerated().map { index, key in
            Sort(column: key, isAscending: index >= directions.count || directions[index] == "asc")
        }
    }

    private static func page(_ parameters: QueryParameters) throws(APIError) -> Page? {
        let marker = parameters.value("marker").flatMap { $0.isEmpty ? nil : $0 }
        // A marker alone: all that follows it.
        var limit = marker == nil ? 0 : Int.max
        if let text = parameters.value("limit") {
            guard let number = Int(text), number >= 0 else { throw .badLimit(text) }
            limit = number
        }
        // 0 turns paging off, as it does in Tacker.
        guard limit > 0 else { return nil }
        let reverse = ["true", "1"].contains(parameters.value("page_reverse")?.lowercased())
        return Page(limit: limit, marker: marker, isReverse: reverse)
    }
}

/// One page of a list, or the whole of it.
struct ListResult<Row> {
    var rows: [Row]
    /// The marker of the page after this one; nil if there is none.
    var next: String?
    /// The marker of the page before this one; nil if there is none.
    var previous: String?
}

extension Table {
    /// Narrows, sorts and cuts, in that order.
    ///
    /// Rows equal in all sort keys keep the order they came in.
    func select(_ query: ListQuery, from all: [Row]) throws(APIError) -> ListResult<Row> {
        var rows = all
        for filter in query.filters {
            guard let column = column(filter.column) else { continue }
            let wanted = filter.values.map(Scalar.init)
            rows = rows.filter { row in
                let value = column.value(row)
                return wanted.contains { $0.matches(value) }
            }
        }
        rows = sorted(rows, by: query.sorts)
        guard let page = query.page else { return ListResult(rows: rows) }
        return try cut(rows, page)
    }

    private func sorted(_ rows: [Row], by sorts: [ListQuery.Sort]) -> [Row] {
        let keys = sorts.compactMap { sort in column(sort.column).map { ($0, sort.isAscending) } }
        guard !keys.isEmpty else { return rows }
        let decorated = rows.enumerated().map { index, row in
            (index: index, row: row, values: keys.map { $0.0.value(row) })
        }
        return decorated.sorted { left, right in
            for (position, key) in keys.enumerated() {
                let (one, two) = (left.values[position], right.values[position])
                if Scalar.precedes(one, two) { return key.1 }
                if Scalar.precedes(two, one) { return !key.1 }
            }
            return left.index < right.index
        }
        .map(\.row)
    }

    private func cut(_ rows: [Row], _ page: ListQuery.Page) throws(APIError) -> ListResult<Row> {
        var range = rows.indices
        if let marker = page.marker {
            guard let place = rows.firstIndex(where: { identifier($0) == marker }) else {
                throw .badRequest("Invalid input for marker. Reason: '\(marker)' names none of the rows.")
            }
            range = page.isReverse ? 0..<place : (place + 1)..<rows.count
        }
        let chosen = page.isReverse ? range.suffix(page.limit) : range.prefix(page.limit)
        guard let first = chosen.first, let last = chosen.last else { return ListResult(rows: []) }
        return ListResult(
            rows: Array(rows[first...last]),
            next: last + 1 < rows.count ? identifier(rows[last]) : nil,
            previous: first > 0 ? identifier(rows[first]) : nil)
    }
}

/// Comparing a query's words with a row's values.
struct Scalar: Hashable {
    private let text: String
    private let truth: Bool?

    init(_ text: String) {
        self.text = text
        self.truth = VIMAttributes.truth(.string(text))
    }

    /// Exact: texts byte by byte, truth values by their words.
    func matches(_ value: JSONValue) -> Bool {
        switch value {
        case .bool(let value): truth == value
        case .string(let value): value.utf8.elementsEqual(text.utf8)
        case .integer(let value): String(value) == text
        default: false
        }
    }

    /// Null before all else, false before true, numbers by size, texts by their characters.
    static func precedes(_ left: JSONValue, _ right: JSONValue) -> Bool {
        switch (left, right) {
        case (.null, .null): false
        case (.null, _): true
        case (.bool(let one), .bool(let two)): !one && two
        case (.integer(let one), .integer(let two)): one < two
        case (.string(let one), .string(let two)): one < two
        default: false
        }
    }
}
