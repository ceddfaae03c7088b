import ArgumentParser
import Conductor
import Encodings
import EventLog
import Projections
import Registry
import VIMDrivers

/// What was told and seen.
struct Audit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read the log, prove it, and hand it out.",
        subcommands: [
            AuditLog.self, AuditState.self, AuditVerify.self, AuditHead.self, AuditKey.self, AuditExport.self,
        ])
}

/// Every event.
struct AuditLog: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Print events in the order in which they happened.",
        discussion: """
            Times are RFC 3339 (2026-11-23T01:29:53Z), a date, or how long ago (90s, 5m, 2h, 3d).

              vedette audit log --vim my-cloud --since 1h
              vedette audit log --type vim.status_reported --json | jq .
              vedette audit log --from 1000 --limit 20
            """)

    @OptionGroup var directory: DataDirectory
    @Option(help: ArgumentHelp("Only events of this VIM.", valueName: "name-or-id")) var vim: String?
    @Option(
        help: ArgumentHelp(
            "Only events of this type, such as vim.registered; may be repeated.", valueName: "type"))
    var type: [String] = []
    @Option(help: ArgumentHelp("Only events at or after this time.", valueName: "time")) var since: String?
    @Option(help: ArgumentHelp("Only events at or before this time.", valueName: "time")) var until: String?
    @Option(help: ArgumentHelp("Begin at this position.", valueName: "position")) var from: UInt64?
    @Option(help: ArgumentHelp("Print at most so many events.", valueName: "count")) var limit: Int?
    @Flag(help: "Go on printing events as they happen, until interrupted.") var follow = false
    @Flag(help: "One JSON object a line.") var json = false

    func validate() throws {
        if let limit, limit < 0 { throw ValidationError("--limit must not be negative.") }
        for name in type where EventType(name: name) == nil {
            let known = EventType.allCases.map(\.name).joined(separator: ", ")
            throw ValidationError("--type: '\(name)' is no event type; there are \(known).")
        }
    }

    func run() async throws {
        let log = try directory.open(checking: .trees)
        let table = try directory.table(of: log)
        var filter = Filter(
            stream: try vim.map { try directory.find($0, in: table).stream },
            vimID: try vim.map { try directory.find($0, in: table).id },
            types: Set(type.compactMap { EventType(name: $0)?.rawValue }),
            until: try until.map { try Moment.time($0, flag: "--until").microseconds }, rest: limit ?? .max)
        var printer = EventPrinter(isJSON: json, table: table)
        var next = try start(in: log)
        try directory.noteDropped(log, before: next)
        if follow { Terminal.flushEveryLine() }
        while true {
            next = try printSome(of: log, from: next, &filter, &printer)
            guard follow, filter.rest > 0, !filter.isPast else { return }
            if let until = filter.until, Timestamp.systemNow.microseconds > until { return }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    private func start(in log: EventLog) throws -> UInt64 {
        var start = from ?? 1
        if let since {
            let time = try Moment.time(since, flag: "--since").microseconds
            start = max(start, try reading { () throws(EventLogError) in try log.firstPosition(since: time) })
        }
        return start
    }

    private func printSome(
        of log: EventLog, from position: UInt64, _ filter: inout Filter, _ printer: inout EventPrinter
    ) throws -> UInt64 {
        var next = position
        do throws(ReadError<PayloadFault>) {
            try log.readEvents(from: position, verifyingSeals: true) { (event) throws(PayloadFault) -> Bool in
                guard filter.wants(more: event.envelope.time) else { return false }
                next = event.position + 1
                let isNew = event.position > printer.table.position
                guard isNew || filter.matches(event.envelope) else { return true }
                let placed = try PlacedEvent(event)
                if isNew { printer.learn(placed) }
                if filter.matches(event.envelope), filter.matches(placed) {
                    printer.print(placed)
                    filter.rest -= 1
                }
                return true
            }
        } catch {
            switch error {
            case .log(let error): throw Failure(error.sentence)
            case .body(let fault):
                throw Failure(ProjectionFault(position: next - 1, fault).error(in: log).sentence)
            }
        }
        return next
    }

    /// Which events are wanted; decided on the envelope where that is enough.
    struct Filter {
        var stream: UInt32?
        var vimID: VIMID?
        var types: Set<UInt16>
        var until: UInt64?
        var rest: Int
        var isPast = false

        mutating func wants(more time: UInt64) -> Bool {
            if let until, time > until { isPast = true }
            return rest > 0 && !isPast
        }

        func matches(_ envelope: Envelope) -> Bool {
            (stream == nil || envelope.stream == stream) && (types.isEmpty || types.contains(envelope.type))
        }

        func matches(_ placed: PlacedEvent) -> Bool { stream == nil || placed.stream == stream }
    }
}

/// The registry as it was.
struct AuditState: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "state", abstract: "Print the registry as it was at a time or position, by replay.",
        discussion: """
            The same code that serves folds the log up to there.

              vedette audit state --at 2026-11-23T01:29:53Z
              vedette audit state --at 1000 --vim my-cloud --json
            """)

    @OptionGroup var directory: DataDirectory
    @Option(
        help: ArgumentHelp(
            "When: a time, how long ago, or a position (default: now).", valueName: "time-or-position"))
    var at: String?
    @Option(help: ArgumentHelp("Only this VIM.", valueName: "name-or-id")) var vim: String?
    @Flag(help: "One JSON object.") var json = false

    func run() async throws {
        let log = try directory.open(checking: .trees)
        var end: UInt64?
        if let at {
            switch try Moment(at, flag: "--at") {
            case .position(let position):
                guard position <= log.head.position else {
                    throw Failure("position \(position) is beyond the end of the log, \(log.head.position)")
                }
                end = position
            case .time(let time):
                end = try reading { () throws(EventLogError) in
                    try log.head(atTime: time.microseconds).position
                }
            }
        }
        let table = try directory.table(of: log, upTo: end)
        var vims = Array(table.allVIMs)
        if let vim {
            let wanted = try directory.find(vim, in: table)
            vims = [wanted]
        } else {
            vims.removeAll { !$0.isRegistered }
        }
        let time = try reading { () throws(EventLogError) in try log.head(at: table.position).time }
        if json {
            var line = JSONLine()
            line.add("position", .integer(Int64(clamping: table.position)))
            line.add("time", time == 0 ? .null : .string(Timestamp(microseconds: time).description))
            line.add("vims", .array(vims.map { VIMText.json($0) }))
            print(line.text)
        } else {
            let moment = time == 0 ? "the beginning" : Timestamp(microseconds: time).description
            print("The registry at position \(table.position), \(moment):")
            VIMText.printList(vims, emptySentence: "No VIM was registered.")
        }
    }
}
