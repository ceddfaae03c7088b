import Encodings
import VIMDrivers

/// The documents by which clients find out what is served.
enum Discovery {
    /// The answer to `GET /`.
    static func versions(host: String) -> JSONValue {
        let link: JSONValue = ["rel": "self", "href": .string("http://\(host)/v1.0")]
        return ["versions": [["id": "v1.0", "status": "CURRENT", "links": [link]]]]
    }

    /// The answer to `GET /v1.0/extensions`.
    static let extensions: [JSONValue] = [
        entry("Commonservices", "Common Services", "CommonServices", "2016-06-06T13:00:00-00:00"),
        entry("NFVO", "NFV Orchestrator", "NFV Orchestrator", "2015-12-21T10:00:00-00:00"),
        entry("VNFM", "VNF Manager", "VNF Manager", "2013-11-19T10:00:00-00:00"),
    ]

    /// One of ``extensions`` by its alias.
    static func `extension`(_ alias: String) -> JSONValue? {
        extensions.first { $0["alias"] == .string(alias) }
    }

    private static func entry(
        _ alias: String, _ name: String, _ subject: String, _ updated: String
    ) -> JSONValue {
        [
            "alias": .string(alias), "name": .string(name),
            "description": .string("Extension for \(subject)"), "links": [],
            "namespace": "https://wiki.openstack.org/Tacker", "updated": .string(updated),
        ]
    }
}
