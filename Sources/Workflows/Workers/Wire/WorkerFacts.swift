import Encodings
import Registry

/// One run of a worker process; the next one of the same name has another id.
struct WorkerID: Hashable, Sendable, CustomStringConvertible {
    let value: UniqueID

    init(_ value: UniqueID) { self.value = value }

    var description: String { value.description }
}

/// What a worker says of itself.
struct WorkerFacts: Hashable, Sendable {
    /// This run of it.
    var id: WorkerID
    /// What the operator calls it.
    var name: String
    /// The machine.
    var host: String
    /// The process on the machine.
    var processID: UInt32
    /// The program's version.
    var version: String
    /// How many actions it carries.
    var load: Int
    /// How many it would carry at most.
    var capacity: Int

    /// Names are for people and logs; nobody needs a long one.
    static let textMax = 255

    var json: JSONValue {
        [
            "id": .string(id.description), "name": .string(name), "host": .string(host),
            "process_id": .integer(Int64(processID)), "version": .string(version),
            "load": .integer(Int64(load)), "capacity": .integer(Int64(capacity)),
        ]
    }

    init(
        id: WorkerID, name: String, host: String, processID: UInt32, version: String, load: Int, capacity: Int
    ) {
        self.id = id
        self.name = name
        self.host = host
        self.processID = processID
        self.version = version
        self.load = load
        self.capacity = capacity
    }

    init(json: JSONValue?) throws(WireFault) {
        guard let id = json?["id"]?.string.flatMap({ UniqueID($0) }),
            let name = json?["name"]?.string, let host = json?["host"]?.string,
            let version = json?["version"]?.string,
            let processID = json?["process_id"]?.count.flatMap({ UInt32(exactly: $0) }),
            let load = json?["load"]?.count, let capacity = json?["capacity"]?.count,
            [name, host, version].allSatisfy({ $0.utf8.count <= WorkerFacts.textMax })
        else { throw WireFault("a worker that does not say who it is") }
        self.init(
            id: WorkerID(id), name: name, host: host, processID: processID, version: version, load: load,
            capacity: capacity)
    }
}

extension JSONValue {
    /// A whole number from zero to a billion.
    var count: Int? {
        guard case .integer(let value) = self, (0...1_000_000_000).contains(value) else { return nil }
        return Int(value)
    }

    /// The tickets in a list.
    func tickets() throws(WireFault) -> [MonitorTicket] {
        guard let array else { throw WireFault("tickets that are no list") }
        var tickets: [MonitorTicket] = []
        for element in array { tickets.append(try MonitorTicket(json: element)) }
        return tickets
    }
}

extension [MonitorTicket] {
    var json: JSONValue { .array(map(\.json)) }
}
