import Encodings
import Registry

/// `take_actions(worker, actions, carried, public_key)`: a worker asks for actions by their tickets, and gets
/// what it needs to carry those that are wanted.
///
/// Taking an action that it carries already tells it what is new.
struct TakeCall: Hashable, Sendable {
    static let method = "take_actions"
    /// Tickets in one call: bounds the answer, and the work that one call makes.
    static let ticketMax = 64

    var worker: WorkerID
    var tickets: [MonitorTicket]
    /// Whether the worker carries all of these already; else none of them.
    var areCarried: Bool
    /// The credentials in the answer are encrypted to this key: ``SealedCredentials``.
    var publicKey: [UInt8]

    var arguments: [String: JSONValue] {
        [
            "worker": .string(worker.description), "actions": tickets.json,
            "carried": .bool(areCarried), "public_key": .string(Base64.encoded(publicKey)),
        ]
    }

    init(worker: WorkerID, tickets: [MonitorTicket], areCarried: Bool, publicKey: [UInt8]) {
        self.worker = worker
        self.tickets = tickets
        self.areCarried = areCarried
        self.publicKey = publicKey
    }

    init(_ arguments: [String: JSONValue]) throws(WireFault) {
        guard let worker = arguments["worker"]?.string.flatMap({ UniqueID($0) }),
            let actions = arguments["actions"], case .bool(let areCarried)? = arguments["carried"],
            let publicKey = arguments["public_key"]?.string.flatMap({ Base64.decoded($0) })
        else { throw WireFault("a call without worker, actions, carried and public_key") }
        self.init(
            worker: WorkerID(worker), tickets: try actions.tickets(), areCarried: areCarried,
            publicKey: publicKey)
        guard tickets.count <= TakeCall.ticketMax else {
            throw WireFault("a call for more than \(TakeCall.ticketMax) actions")
        }
    }
}

/// What became of one ticket.
enum TakeAnswer: Hashable, Sendable {
    /// Carry it so; credentials are nil if there are none that can be read.
    case carry(MonitorAssignment, credentials: JSONText?)
    /// It is not the wanted action.
    case stale
    /// Another worker carries it, or may.
    case elsewhere
    /// The answer was full: ask once more.
    case later
}

/// The answer to ``TakeCall``: one of ``TakeAnswer`` a ticket, in their order.
struct TakeReply: Sendable {
    var answers: [TakeAnswer]

    /// Credentials in one answer, in bytes, but for those of a single action: keeps it below what the
    /// broker's clients take.
    static let credentialByteMax = 256 * 1_024

    /// - Parameter key: a worker's, from its call.
    func json(sealedTo key: [UInt8], under secret: WorkerSecret?) throws(WireFault) -> JSONValue {
        var secrets: [JSONValue] = []
        let answers = answers.map { answer -> JSONValue in
            switch answer {
            case .carry(let assignment, let credentials):
                secrets.append(credentials.map { .string($0.description) } ?? .null)
                return ["verdict": "carry", "assignment": assignment.json]
            case .stale: return ["verdict": "bad_action"]
            case .elsewhere: return ["verdict": "elsewhere"]
            case .later: return ["verdict": "later"]
            }
        }
        return [
            "answers": .array(answers),
            "credentials": try SealedCredentials(
                sealing: JSONValue.array(secrets).encoded, to: key, under: secret
            ).json,
        ]
    }

    init(answers: [TakeAnswer]) { self.answers = answers }

    init(json: JSONValue, call: TakeCall, key: WorkerKey) throws(WireFault) {
        guard let list = json["answers"]?.array, list.count == call.tickets.count else {
            throw WireFault("an answer that does not fit its call")
        }
        let plain = try SealedCredentials(json: json["credentials"]).opened(with: key)
        guard let secrets = (try? JSONValue(json: plain))?.array else {
            throw WireFault("credentials that are no list")
        }
        var rest = secrets[...]
        answers = []
        for (ticket, answer) in zip(call.tickets, list) {
            switch answer["verdict"]?.string {
            case "carry":
                guard let secret = rest.popFirst() else { throw WireFault("credentials are missing") }
                answers.append(
                    .carry(
                        try MonitorAssignment(ticket, json: answer["assignment"]),
                        credentials: secret.string.map { JSONText($0) }))
            case "bad_action": answers.append(.stale)
            case "elsewhere": answers.append(.elsewhere)
            case "later": answers.append(.later)
            default: throw WireFault("a verdict that is not known")
            }
        }
    }
}

extension MonitorAssignment {
    /// All but the ids, which stand in the ticket.
    fileprivate var json: JSONValue {
        var members: [String: JSONValue] = [
            "type": .string(type.rawValue), "auth_url": .string(authURL), "status": .string(status.word),
        ]
        members["probe"] = settings.probe.map { .string($0.rawValue) }
        func add(_ key: String, _ value: UInt32?) { members[key] = value.map { .integer(Int64($0)) } }
        add("interval_milliseconds", settings.intervalMilliseconds)
        add("timeout_milliseconds", settings.timeoutMilliseconds)
        add("failure_threshold", settings.failureThreshold)
        add("success_threshold", settings.successThreshold)
        return .object(members)
    }

    fileprivate init(_ ticket: MonitorTicket, json: JSONValue?) throws(WireFault) {
        guard let type = json?["type"]?.string.flatMap({ VIMType(rawValue: $0) }),
            let authURL = json?["auth_url"]?.string, let word = json?["status"]?.string
        else { throw WireFault("an assignment that is not whole") }
        func number(_ key: String) -> UInt32? { json?[key]?.count.flatMap { UInt32(exactly: $0) } }
        self.init(
            vimID: ticket.vimID, actionID: ticket.actionID, type: type, authURL: authURL,
            settings: MonitorSettings(
                probe: json?["probe"]?.string.flatMap { ProbeKind(rawValue: $0) },
                intervalMilliseconds: number("interval_milliseconds"),
                timeoutMilliseconds: number("timeout_milliseconds"),
                failureThreshold: number("failure_threshold"), successThreshold: number("success_threshold")),
            status: VIMStatus(reportedWord: word) ?? .pending)
    }
}
