import ArgumentParser
import Conductor
import EventLog
import Foundation
import Projections
import Registry

/// Where the log lies; the same flag for every command.
struct DataDirectory: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            The directory of the log (environment: VEDETTE_DATA_DIRECTORY; default: \
            \(DataDirectory.standard)).
            """,
            valueName: "dir"))
    var dataDirectory: String?

    var path: String {
        dataDirectory ?? ProcessInfo.processInfo.environment["VEDETTE_DATA_DIRECTORY"]
            ?? DataDirectory.standard
    }

    static var standard: String {
        let environment = ProcessInfo.processInfo.environment
        let home = environment["HOME"] ?? "/var/lib"
        return (environment["XDG_DATA_HOME"] ?? home + "/.local/share") + "/vedette"
    }

    func open(
        _ access: EventLog.Access = .read, checking pages: EventLog.PageCheck? = nil
    ) throws -> EventLog {
        EventLog.explainDamagedPages(of: path)
        do throws(EventLogError) {
            return try EventLog(directory: path, access: access, checking: pages)
        } catch { throw Failure(error.sentence) }
    }

    /// The registry as of a position, or as of now, by replay.
    func table(of log: EventLog, upTo end: UInt64? = nil) throws -> VIMTable {
        let checkpoint = try reading { () throws(EventLogError) in try log.readCheckpoint() }
        do throws(ReadError<ProjectionFault>) {
            return try Replay(of: log, from: checkpoint, upTo: end, verifyingSeals: true).table
        } catch { throw Failure(error.sentence(for: log)) }
    }

    /// Finds a VIM by id or name; names of deregistered VIMs are found if no registered one has them.
    func find(_ nameOrID: String, in table: borrowing VIMTable) throws -> VIM {
        if let id = VIMID(nameOrID), let vim = table.vim(id) { return vim }
        let named = table.allVIMs.filter { $0.configuration.name == nameOrID }
        let candidates = named.contains(where: \.isRegistered) ? named.filter(\.isRegistered) : named
        guard let vim = candidates.last else { throw Failure("no VIM is or was named '\(nameOrID)'") }
        guard candidates.count == 1 else {
            let ids = candidates.map(\.id.description).joined(separator: ", ")
            throw Failure("'\(nameOrID)' names \(candidates.count) VIMs; name one by its id: \(ids)")
        }
        return vim
    }
}

/// Gives a log's error its sentence.
func reading<Result>(_ body: () throws(EventLogError) -> Result) throws -> Result {
    do throws(EventLogError) { return try body() } catch { throw Failure(error.sentence) }
}

extension ReadError<ProjectionFault> {
    /// One sentence that names the file.
    func sentence(for log: EventLog) -> String {
        switch self {
        case .log(let error): error.sentence
        case .body(let fault): fault.error(in: log).sentence
        }
    }
}

/// A moment or a position, as people write them.
enum Moment {
    case position(UInt64)
    case time(Timestamp)

    /// All digits are a position; else see ``time(_:now:)``.
    init(_ text: String, flag: String) throws {
        if let position = UInt64(text) {
            self = .position(position)
        } else {
            self = .time(try Moment.time(text, flag: flag))
        }
    }

    /// How long ago: `90s`, `5m`, `2h`, `3d`; nil if it is none.
    static func age(_ text: String) -> Duration? {
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
        guard let unit = text.last.flatMap({ units[$0] }), let count = Int64(text.dropLast()), count >= 0,
            count < 1_000_000
        else { return nil }
        return .seconds(count * unit)
    }

    /// RFC 3339, the same with a space and without zone (UTC), a date, or how long ago: `90s`, `5m`, `2h`.
    static func time(_ text: String, flag: String) throws -> Timestamp {
        if let age = Moment.age(text) { return Timestamp.systemNow.advanced(by: .zero - age) }
        var normal = text.trimmingCharacters(in: .whitespaces)
        if normal.count == 10 { normal += "T00:00:00Z" }
        if let space = normal.firstIndex(of: " ") { normal.replaceSubrange(space...space, with: "T") }
        let hasZone = normal.hasSuffix("Z") || normal.dropFirst(19).contains { $0 == "+" || $0 == "-" }
        if !hasZone { normal += "Z" }
        // The style reads whole seconds or milliseconds; the fraction is ours to the microsecond.
        var microseconds: Int64 = 0
        if let dot = normal.firstIndex(of: ".") {
            let digits = normal[normal.index(after: dot)...].prefix { $0.isASCII && $0.isNumber }
            microseconds = Int64((digits + "000000").prefix(6)) ?? 0
            normal.removeSubrange(dot..<digits.endIndex)
        }
        // Before the year 10000, and no 30 February, which the parser would take for another day.
        let bounds = 0..<253_402_300_800.0
        guard let date = try? Date(normal, strategy: .iso8601), bounds.contains(date.timeIntervalSince1970),
            !normal.hasSuffix("Z") || normal.prefix(19) == date.formatted(.iso8601).prefix(19)
        else {
            throw Failure.usage(
                "\(flag): '\(text)' is no time: write 2026-11-23T01:29:53Z, 2026-11-23, or how long ago: "
                    + "90s, 5m, 2h, 3d")
        }
        return Timestamp(microseconds: UInt64(Int64(date.timeIntervalSince1970) * 1_000_000 + microseconds))
    }
}
