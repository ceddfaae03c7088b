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
    ///
    /// Byte by byte: to Swift a quote and a mark that combines with it are one character, to a reader of CSV
    /// they are not.
    static func cell(_ text: String) -> String {
        let isFormula = text.utf8.first.map { "=+-@\t\r".utf8.contains($0) } ?? false
        let text = isFormula ? "'" + text : text
        guard text.utf8.contains(where: { ",\"\r\n".utf8.contains($0) }) else { return text }
        let quote = UInt8(ascii: "\"")
        var quoted = [quote]
        for byte in text.utf8 {
            if byte == quote { quoted.append(quote) }
            quoted.append(byte)
        }
        quoted.append(quote)
        return String(decoding: quoted, as: UTF8.self)
    }
}
