import Encodings
import Registry

/// `announce_worker(worker)`: a worker says that it is there, and hears what it should do.
enum AnnounceCall {
    static let method = "announce_worker"

    static func arguments(_ facts: WorkerFacts) -> [String: JSONValue] { ["worker": facts.json] }

    static func facts(_ arguments: [String: JSONValue]) throws(WireFault) -> WorkerFacts {
        try WorkerFacts(json: arguments["worker"])
    }
}

/// What a worker is told whenever it announces itself.
struct WorkerOrders: Hashable, Sendable {
    /// Names what the conductor remembers of the worker: under a new name it remembers nothing, so the worker
    /// takes again all that it carries.
    var session: String
    /// It takes tickets while it carries fewer actions than this.
    var loadMax: Int
    /// So many actions it gives back now, because others have more room.
    var surplus: Int
    /// Actions of its whose orders changed: it takes them again and hears what is new, or that they are
    /// stale.
    var changed: [MonitorTicket]
    /// It announces itself again after so long.
    var announceInterval: Duration
    /// Its actions report at least so often.
    var reportInterval: Duration

    var json: JSONValue {
        [
            "session": .string(session), "load_max": .integer(Int64(loadMax)),
            "surplus": .integer(Int64(surplus)), "changed": changed.json,
            "announce_interval_milliseconds": .integer(announceInterval.wholeMilliseconds),
            "report_interval_milliseconds": .integer(reportInterval.wholeMilliseconds),
        ]
    }

    init(
        session: String, loadMax: Int, surplus: Int, changed: [MonitorTicket], announceInterval: Duration,
        reportInterval: Duration
    ) {
        self.session = session
        self.loadMax = loadMax
        self.surplus = surplus
        self.changed = changed
        self.announceInterval = announceInterval
        self.reportInterval = reportInterval
    }

    init(json: JSONValue) throws(WireFault) {
        guard let session = json["session"]?.string, let loadMax = json["load_max"]?.count,
            let surplus = json["surplus"]?.count, let changed = json["changed"],
            let announcing = json["announce_interval_milliseconds"]?.count, announcing > 0,
            let reporting = json["report_interval_milliseconds"]?.count, reporting > 0
        else { throw WireFault("orders that are not whole") }
        self.init(
            session: session, loadMax: loadMax, surplus: surplus, changed: try changed.tickets(),
            announceInterval: .milliseconds(announcing), reportInterval: .milliseconds(reporting))
    }
}

extension Duration {
    /// Whole milliseconds; what is finer is cut.
    var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000 + attoseconds / 1_000_000_000_000_000
    }
}
