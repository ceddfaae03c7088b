import Encodings
import HTTPTypes
import Hummingbird
import Registry
import Testing
import VIMDrivers

@testable import RESTRequests

/// One row of the error table: a request, and what Tacker and we answer.
struct ErrorRow: Sendable, CustomTestStringConvertible {
    var name: String
    var method: HTTPRequest.Method = .post
    var path = "/v1.0/vims.json"
    var body: JSONValue?
    var raw: String?
    var status = 400
    var type = "HTTPBadRequest"
    var message: String
    /// Tacker's status, type and message where they differ.
    var legacy: (status: Int, type: String, message: String)?

    var testDescription: String { name }

    static let generic = (
        500, "HTTPInternalServerError",
        "Request Failed: internal server error while processing your request."
    )
    static let missing = "11111111-2222-4333-8444-555555555555"

    static func input(_ attribute: String, _ value: JSONValue, _ reason: String) -> ErrorRow {
        ErrorRow(
            name: "\(attribute) = \(value.text)", body: House.registration([attribute: value]),
            message: "Invalid input for \(attribute). Reason: \(reason).")
    }

    static let bodies: [ErrorRow] = [
        ErrorRow(name: "empty body", raw: "", message: "Resource body required"),
        ErrorRow(name: "{}", raw: "{}", message: "Resource body required"),
        ErrorRow(name: "[]", raw: "[]", message: "Resource body required"),
        ErrorRow(name: "another key", raw: #"{"x": {}}"#, message: "Unable to find 'vim' in request body"),
        ErrorRow(name: "null", raw: #"{"vim": null}"#, message: "Unable to find 'vim' in request body"),
        ErrorRow(name: "bulk", raw: #"{"vims": [{}]}"#, message: "Bulk operation not supported"),
        ErrorRow(
            name: "no JSON", raw: "{\"vim\": ", type: "MalformedRequestBody",
            message: "Malformed request body: Cannot understand JSON"),
        ErrorRow(
            name: "array", raw: "[1]", message: "Malformed request body: a JSON object is required",
            legacy: generic),
        ErrorRow(
            name: "string", raw: "\"vim\"", message: "Malformed request body: a JSON object is required",
            legacy: generic),
        ErrorRow(
            name: "vim is an array", raw: #"{"vim": [1]}"#,
            message: "Malformed request body: 'vim' must be a JSON object", legacy: generic),
        ErrorRow(
            name: "PUT without body", method: .put, path: "/v1.0/vims/\(missing).json", raw: "",
            type: "BadRequest", message: "Bad body request: Invalid format: b''"),
    ]

    static let attributes: [ErrorRow] =
        ["type", "auth_url", "auth_cred", "vim_project", "name"].map {
            ErrorRow(
                name: "without \($0)", body: House.registration(without: $0),
                message: "Failed to parse request. Required attribute '\($0)' not specified")
        }
        + ["id", "status", "placement_attr", "shared", "created_at", "updated_at"].map {
            ErrorRow(
                name: "\($0) in POST", body: House.registration([$0: "x"]),
                message: "Attribute '\($0)' not allowed in POST")
        }
        + ["id", "tenant_id", "type", "status", "placement_attr", "shared", "created_at", "updated_at"].map {
            ErrorRow(
                name: "\($0) in PUT", method: .put, path: "/v1.0/vims/\(missing).json",
                body: ["vim": [$0: "x"]], message: "Cannot update read-only attribute \($0)")
        }
        + [
            ErrorRow(
                name: "unknown keys", body: House.registration(["b": 1, "a": 2]),
                message: "Unrecognized attribute(s) 'a, b'"),
            input("name", 5, "'5' is not a valid string"),
            input("name", nil, "'None' is not a valid string"),
            input("auth_url", ["a"], "'['a']' is not a valid string"),
            input("description", nil, "'None' is not a valid string"),
            input("tenant_id", 5, "'5' is not a valid string"),
            input(
                "name", .string(String(repeating: "ä", count: 256)),
                "'\(String(repeating: "ä", count: 256))' exceeds maximum length of 255"),
            input("type", "  ", "'  ' Blank strings are not permitted"),
            input("auth_cred", [:], "'{}' is not a valid dictionary or it is an empty dictionary"),
            input("auth_cred", "x", "'x' is not a valid dictionary or it is an empty dictionary"),
            input("auth_cred", nil, "'None' is not a valid dictionary or it is an empty dictionary"),
            input("vim_project", [:], "'{}' is not a valid dictionary or it is an empty dictionary"),
            input("is_default", "maybe", "'maybe' is not a valid boolean value"),
            input("is_default", 2, "'2' is not a valid boolean value"),
            input("is_default", nil, "'None' is not a valid boolean value"),
            input("extra", "x", "'x' is not a dictionary"),
            ErrorRow(
                name: "unknown type", body: House.registration(["type": "vmware"]),
                message: "Invalid input for type. Reason: 'vmware' is not one of 'openstack', 'kubernetes'.",
                legacy: generic),
            ErrorRow(
                name: "wrong cert_verify",
                body: House.registration(["auth_cred": ["username": "u", "cert_verify": "maybe"]]),
                message: "Invalid input for auth_cred. Reason: cert_verify must be True or False.",
                legacy: generic),
            ErrorRow(
                name: "auth_url with a password",
                body: House.registration(["auth_url": "http://u:p@h:5000/v3"]),
                message: "Invalid input for auth_url. Reason: it must not hold a user or password: "
                    + "put them into auth_cred."),
            {
                let message = "Could not find requested endpoint in Service Catalog."
                return ErrorRow(
                    name: "auth_url no URL", body: House.registration(["auth_url": "not a url"]),
                    type: "VimConnectionException", message: message,
                    legacy: (500, "VimConnectionException", message))
            }(),
        ]

    static let missingThings: [ErrorRow] =
        [HTTPRequest.Method.get, .put, .delete].flatMap { method -> [ErrorRow] in
            let body: JSONValue? = method == .put ? ["vim": ["name": "x"]] : nil
            let message = "Specified VIM id \(missing) is invalid. Please verify and pass a valid VIM id"
            return [
                ErrorRow(
                    name: "\(method) a missing VIM", method: method, path: "/v1.0/vims/\(missing).json",
                    body: body, status: 404, type: "VimNotFoundException", message: message,
                    legacy: (500, "VimNotFoundException", message)),
                ErrorRow(
                    name: "\(method) what is no UUID", method: method, path: "/v1.0/vims/nope", body: body,
                    message: "Invalid input for id. Reason: 'nope' is not a valid UUID.", legacy: generic),
            ]
        }
        + [
            ErrorRow(
                name: "list by what is no UUID", method: .get, path: "/v1.0/vims.json?id=nope",
                message: "Invalid input for id. Reason: 'nope' is not a valid UUID.", legacy: generic),
            ErrorRow(
                name: "POST an event", path: "/v1.0/events", body: ["event": [:]],
                message: "Unrecognized attribute(s) 'tenant_id'"),
            ErrorRow(
                name: "PUT an event", method: .put, path: "/v1.0/events/1", body: ["event": [:]],
                message: "Cannot update read-only attribute event_type"),
        ]
        + ["7", "x", "-1", "99999999999999999999999"].map {
            let message = "Specified Event id \($0) is invalid. Please verify and pass a valid Event id"
            return ErrorRow(
                name: "event \($0)", method: .get, path: "/v1.0/events/\($0).json", status: 404,
                type: "EventNotFoundException", message: message,
                legacy: (500, "EventNotFoundException", message))
        }
}

@Suite("The error table")
struct ErrorTableTests {
    private func check(_ row: ErrorRow, legacy: Bool) async throws {
        try await House.run(legacy: legacy) { house in
            let answer = try await house.send(row.method, row.path, row.body, raw: row.raw)
            let expected = legacy ? row.legacy ?? (row.status, row.type, row.message) : nil
            #expect(answer.status == expected?.0 ?? row.status)
            #expect(answer.errorType == expected?.1 ?? row.type)
            #expect(answer.message == expected?.2 ?? row.message)
            #expect(answer.body?["TackerError"]?["detail"] == "")
            #expect(answer.headers[.openStackRequestID]?.hasPrefix("req-") == true)
            // A request that fails validation never contacts the VIM.
            #expect(house.openStack.with { $0.contacts.isEmpty })
            #expect(house.registry.registeredVIMs().isEmpty)
        }
    }

    @Test("A wrong body is told as Tacker tells it", arguments: ErrorRow.bodies, [false, true])
    func bodies(row: ErrorRow, legacy: Bool) async throws { try await check(row, legacy: legacy) }

    @Test("A wrong attribute is told as Tacker tells it", arguments: ErrorRow.attributes, [false, true])
    func attributes(row: ErrorRow, legacy: Bool) async throws { try await check(row, legacy: legacy) }

    @Test("What is not there is told as Tacker tells it", arguments: ErrorRow.missingThings, [false, true])
    func missing(row: ErrorRow, legacy: Bool) async throws { try await check(row, legacy: legacy) }

    @Test("A name that is taken is a conflict; on PUT Tacker has no word for it", arguments: [false, true])
    func duplicateName(legacy: Bool) async throws {
        try await House.run(legacy: legacy) { house in
            try await house.register()
            let other = try await house.registerID(["name": "n2"])
            let message = "vim already exist with given ['tenant_id', 'name', 'deleted_at']"
            let post = try await house.send(.post, "/v1.0/vims", House.registration())
            #expect(post.status == 409 && post.errorType == "DuplicateEntity" && post.message == message)
            let put = try await house.send(.put, "/v1.0/vims/\(other)", ["vim": ["name": "n1"]])
            #expect(put.status == (legacy ? 500 : 409))
            #expect(put.errorType == (legacy ? "HTTPInternalServerError" : "DuplicateEntity"))
            // The same name in another tenant, and once more after the first is gone, is free.
            try await house.register(["tenant_id": "other"])
        }
    }

    @Test("A second default VIM is a conflict, on POST and on PUT", arguments: [false, true])
    func secondDefault(legacy: Bool) async throws {
        try await House.run(legacy: legacy) { house in
            let first = try await house.registerID(["is_default": "TRUE"])
            let second = try await house.registerID(["name": "n2", "is_default": "false"])
            let message = "Default VIM already exists \(first)."
            let post = try await house.send(
                .post, "/v1.0/vims", House.registration(["name": "n3", "is_default": 1]))
            let put = try await house.send(.put, "/v1.0/vims/\(second)", ["vim": ["is_default": true]])
            for answer in [post, put] {
                #expect(answer.status == (legacy ? 500 : 409))
                #expect(answer.errorType == "VimDefaultDuplicateException" && answer.message == message)
            }
        }
    }

    @Test(
        "A VIM that says no, or nothing, is not registered",
        arguments: [
            (
                VIMDriverError.connection("Unable to establish connection to http://h/v3: x"),
                "VimConnectionException"
            ),
            (.unauthorized("No. (HTTP 401)"), "VimUnauthorizedException"),
        ], [false, true])
    func driverErrors(row: (VIMDriverError, String), legacy: Bool) async throws {
        try await House.run(legacy: legacy) { house in
            house.openStack.with { $0.failure = row.0 }
            let answer = try await house.send(.post, "/v1.0/vims", House.registration())
            #expect(answer.status == (legacy ? 500 : 400))
            #expect(answer.errorType == row.1 && answer.message == row.0.message)
            #expect(house.registry.registeredVIMs().isEmpty)
        }
    }

    @Test("Unusable credentials are a bad request, and Tacker's wordless error", arguments: [false, true])
    func badCredentials(legacy: Bool) async throws {
        try await House.run(legacy: legacy) { house in
            house.kubernetes.with { $0.failure = .badCredentials("nothing to log in with") }
            let answer = try await house.send(
                .post, "/v1.0/vims", House.registration(["type": "kubernetes"]))
            #expect(answer.status == (legacy ? 500 : 400))
            #expect(answer.errorType == (legacy ? "HTTPInternalServerError" : "HTTPBadRequest"))
        }
    }

    @Test(
        "A conductor that cannot store answers 503 and says why",
        arguments: [CommandFailure.notStored("the disk is full: make room"), .stopped], [false, true])
    func unavailable(failure: CommandFailure, legacy: Bool) async throws {
        try await House.run(legacy: legacy) { house in
            let id = try await house.registerID()
            house.registry.with { $0.failure = failure }
            for (method, path, body) in [
                (HTTPRequest.Method.post, "/v1.0/vims", House.registration(["name": "n2"])),
                (.put, "/v1.0/vims/\(id)", ["vim": ["name": "x"]]), (.delete, "/v1.0/vims/\(id)", nil),
            ] as [(HTTPRequest.Method, String, JSONValue?)] {
                let answer = try await house.send(method, path, body)
                #expect(answer.status == 503 && answer.errorType == "ServiceUnavailable")
                #expect(answer.message == failure.sentence)
            }
        }
    }

    @Test("An event too large for the log is a 413")
    func tooLargeForTheLog() async throws {
        try await House.run { house in
            house.registry.with { $0.failure = .refused(.tooLarge(byteCount: 9, byteMax: 8)) }
            let answer = try await house.send(.post, "/v1.0/vims", House.registration())
            #expect(answer.status == 413)
        }
    }

    @Test(
        "Unknown paths, wrong methods and trailing slashes are the path table's 404",
        arguments: [
            (HTTPRequest.Method.get, "/v1.0"), (.get, "/v1.0/"), (.get, "/v1.0/vims/"), (.get, "/nope"),
            (.patch, "/v1.0/vims/\(ErrorRow.missing)"), (.put, "/v1.0/vims"), (.options, "/v1.0/vims"),
            (.delete, "/v1.0/vims"), (.post, "/v1.0/vims/\(ErrorRow.missing)"), (.get, "/v1.0/vims/a/b"),
            (.get, "//v1.0/vims"), (.post, "/"), (.get, "/vedette/v1/vims/"), (.get, "/v2.0/vims"),
        ])
    func unknownPaths(method: HTTPRequest.Method, path: String) async throws {
        try await House.run { house in
            let answer = try await house.send(method, path)
            #expect(answer.status == 404)
            #expect(
                answer.body == [
                    "message": "The resource could not be found.<br /><br />\n\n\n", "code": "404 Not Found",
                    "title": "Not Found",
                ])
        }
    }

    @Test("HEAD is that 404 too, without a body")
    func head() async throws {
        try await House.run { house in
            let answer = try await house.send(.head, "/v1.0/vims")
            #expect(answer.status == 404 && answer.text.isEmpty)
        }
    }

    @Test("Deleting an event is no path of ours, and Tacker's wordless error", arguments: [false, true])
    func deleteEvent(legacy: Bool) async throws {
        try await House.run(legacy: legacy) { house in
            let answer = try await house.send(.delete, "/v1.0/events/1")
            #expect(answer.status == (legacy ? 500 : 404))
        }
    }
}
