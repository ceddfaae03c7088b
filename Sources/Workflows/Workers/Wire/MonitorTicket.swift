import Encodings
import Registry

/// What lies in the queue of work: which action of which VIM wants to be carried, and nothing else.
///
/// Whoever takes it learns the rest from the conductor, and only as long as it is the wanted one.
struct MonitorTicket: Hashable, Sendable {
    /// The VIM to watch.
    var vimID: VIMID
    /// The action to be.
    var actionID: MonitorActionID

    var json: JSONValue {
        ["vim_id": .string(vimID.description), "action_id": .string(actionID.description)]
    }

    init(_ vimID: VIMID, _ actionID: MonitorActionID) {
        self.vimID = vimID
        self.actionID = actionID
    }

    init(json: JSONValue) throws(WireFault) {
        guard let vimID = json["vim_id"]?.string.flatMap({ VIMID($0) }),
            let actionID = json["action_id"]?.string.flatMap({ MonitorActionID($0) })
        else { throw WireFault("a ticket without vim_id and action_id") }
        self.init(vimID, actionID)
    }

    /// Reads a message's body.
    init(body: [UInt8]) throws(WireFault) {
        guard let json = try? JSONValue(json: body) else { throw WireFault("a ticket that is no JSON") }
        try self.init(json: json)
    }
}

/// A message between workers and conductor that does not say what it must: one phrase.
struct WireFault: Error, Hashable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
