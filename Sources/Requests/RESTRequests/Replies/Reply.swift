import Encodings
import VIMDrivers

/// What goes back to the caller, before it is put into HTTP.
struct Reply: Hashable {
    var status: Int
    var body: Body
    /// Nothing was done, since this server does not lead its pair any more.
    var isElsewhere = false

    enum Body: Hashable {
        case none
        case json(JSONValue)
        case text(String)
    }

    init(_ status: Int, _ body: JSONValue?) {
        self.status = status
        self.body = body.map { .json($0) } ?? .none
    }

    init(_ status: Int, text: String) {
        self.status = status
        body = .text(text)
    }

    /// What Tacker's path table answers for what it does not know, wrong methods included.
    static let unknownPath = Reply(
        404,
        [
            "message": "The resource could not be found.<br /><br />\n\n\n", "code": "404 Not Found",
            "title": "Not Found",
        ])
}
