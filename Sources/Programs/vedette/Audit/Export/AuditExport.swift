import ArgumentParser
import EventLog
// The C library's streams are global variables, which Swift cannot know to be safe: they lock themselves.
@preconcurrency import Glibc
import Projections
import Registry

/// Events for other people's tools, each with its evidence.
struct AuditExport: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract:
            "Write events, of one VIM or all, as JSON lines, CloudEvents, CADF or CSV, with their seals.",
        discussion: """
            Each event names its position, and the seal of its batch with the position that the seal stands \
            for (the batch's last). Seals are recomputed on the way. Whoever holds a signed head at or after \
            that position, and this log, proves with vedette audit verify --head that the event stands in \
            the history that was signed; vedette audit log --from POSITION --limit 1 shows it again. Secrets \
            are *** here as everywhere.

              vedette audit export --vim my-cloud --format cadf > my-cloud.cadf.jsonl
              vedette audit export --since 2026-11-01 --until 2026-12-01 --format csv --out november.csv
            """)

    @OptionGroup var directory: DataDirectory
    @Option(help: ArgumentHelp("Only events of this VIM.", valueName: "name-or-id")) var vim: String?
    @Option(help: ArgumentHelp("Only events at or after this time.", valueName: "time")) var since: String?
    @Option(help: ArgumentHelp("Only events at or before this time.", valueName: "time")) var until: String?
    @Option(help: "jsonl, cloudevents, cadf or csv.") var format = ExportFormat.jsonl
    @Option(help: ArgumentHelp("Write here instead of standard output.", valueName: "file")) var out: String?

    func run() async throws {
        let log = try directory.open(checking: .trees)
        let table = try directory.table(of: log)
        let stream = try vim.map { try directory.find($0, in: table).stream }
        let first = try since.map { try Moment.time($0, flag: "--since").microseconds } ?? 0
        let last = try until.map { try Moment.time($0, flag: "--until").microseconds } ?? .max
        let start =
            first == 0 ? 1 : try reading { () throws(EventLogError) in try log.firstPosition(since: first) }
        try directory.noteDropped(log, before: start)
        let output = try Output(path: out)
        let form = format.form(
            firstSeal: try reading { () throws(EventLogError) in try log.firstSeal() })
        if let header = form.header { output.write(header, end: format.lineEnd) }
        do {
            try export(log, table, from: start, until: last, stream) { event in
                output.write(form.line(event), end: format.lineEnd)
            }
        } catch {
            output.discard()
            throw error
        }
        try output.finish()
    }

    private func export(
        _ log: EventLog, _ table: VIMTable, from start: UInt64, until last: UInt64, _ stream: UInt32?,
        _ body: (ExportedEvent) -> Void
    ) throws {
        let end = table.position
        var bar = ProgressBar(isShown: out != nil && isatty(STDERR_FILENO) == 1)
        defer { bar.finish() }
        do throws(ReadError<ProjectionFault>) {
            try log.readEvents(from: start, verifyingSeals: true) {
                (event, batch) throws(ProjectionFault) -> Bool in
                guard event.envelope.time <= last, event.position <= end else { return false }
                if event.position == batch.firstPosition { bar.show(batch.lastPosition, of: end) }
                if let stream, event.envelope.stream != stream { return true }
                let placed: PlacedEvent
                do throws(PayloadFault) { placed = try PlacedEvent(event) } catch {
                    throw ProjectionFault(position: event.position, error)
                }
                let id = table.vimID(ofStream: placed.stream) ?? placed.event.namedVIM
                body(
                    ExportedEvent(
                        placed: placed, vimID: id, vimName: id.flatMap { table.vim($0)?.configuration.name },
                        sealPosition: batch.lastPosition, seal: batch.header.seal))
                return true
            }
        } catch { throw Failure(error.sentence(for: log)) }
    }
}

extension ExportFormat {
    /// RFC 4180 ends lines as networks do.
    fileprivate var lineEnd: String { self == .csv ? "\r\n" : "\n" }
}

/// Standard output, or a file that has its name only when it is complete.
private struct Output {
    private let path: String?
    private let file: UnsafeMutablePointer<FILE>

    init(path: String?) throws {
        self.path = path
        guard let path else {
            file = stdout
            return
        }
        guard let opened = fopen(path + ".partial", "w") else {
            throw Failure("--out \(path): it cannot be written (\(String(cString: strerror(errno))))")
        }
        file = opened
    }

    /// Writes a line whole: C's own ways to write a text would cut it at a NUL that stands in a name.
    func write(_ line: String, end: String) {
        var whole = line + end
        whole.withUTF8 { _ = fwrite($0.baseAddress, 1, $0.count, file) }
    }

    /// Leaves no half of a file behind.
    func discard() {
        guard let path else { return }
        fclose(file)
        unlink(path + ".partial")
    }

    func finish() throws {
        guard let path else { return }
        let isWritten = fflush(file) == 0 && ferror(file) == 0 && fsync(fileno(file)) == 0
        let words = String(cString: strerror(errno))
        fclose(file)
        guard isWritten, rename(path + ".partial", path) == 0 else {
            unlink(path + ".partial")
            throw Failure("--out \(path): it could not be written (\(words))")
        }
    }
}
