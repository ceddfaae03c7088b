import EventLog
import Registry
import VIMDrivers

/// Comma-separated values (RFC 4180) with a header line.
///
/// A cell that a spreadsheet would take for a formula gets an apostrophe in front: names come from users.
struct CSVForm: ExportForm {
    private static let columns = [
        "position", "time", "type", "vim_id", "vim_name", "status", "user_name", "user_id", "project_id",
        "request_id", "remote_address", "details", "seal_position", "seal",
    ]

    var header: String? { CSVForm.columns.joined(separator: ",") }

    func line(_ event: ExportedEvent) -> String {
        let actor = event.placed.event.actor
        var status = ""
        if case .vimStatusReported(let reported) = event.placed.event { status = reported.status.word }
        let cells = [
            "\(event.placed.position)", event.placed.time.description, event.placed.event.type.name,
            event.vimID?.description ?? "", event.vimName ?? "", status, actor?.userName ?? "",
            actor?.userID ?? "", actor?.projectID ?? "", actor?.requestID ?? "", actor?.remoteAddress ?? "",
            event.details.text.description, "\(event.sealPosition)", event.seal.description,
        ]
        return cells.map(CSVForm.cell).joined(separator: ",")
    }

    /// One cell, quoted where it must be.
    static func cell(_ text: String) -> String {
        var text = text
        if let first = text.unicodeScalars.first, "=+-@\t\r".unicodeScalars.contains(first) {
            text = "'" + text
        }
        let mustQuote = text.unicodeScalars.contains { ",\"\r\n".unicodeScalars.contains($0) }
        return mustQuote ? "\"" + text.replacing("\"", with: "\"\"") + "\"" : text
    }
}
