import Encodings
import HTTPTypes
import Hummingbird
import Registry
import Samples
import Testing
import VIMDrivers

@testable import RESTRequests

@Suite("Registering, showing and deregistering")
struct VIMTests {
    @Test("A registration is answered with Tacker's attributes, all of them and no others")
    func shape() async throws {
        try await House.run { house in
            let answer = try await house.send(
                .post, "/v1.0/vims.json",
                House.registration(["name": "v1", "description": "d1", "is_default": true, "tenant_id": "t1"])
            )
            #expect(answer.status == 201)
            #expect(answer.headers[.contentType] == "application/json")
            #expect(answer.headers[.location] == nil)
            var vim = try #require(answer.body?["vim"]?.object)
            let id = try #require(vim.removeValue(forKey: "id")?.string)
            #expect(VIMID(id) != nil && id.count == 36)
            let created = try #require(vim.removeValue(forKey: "created_at")?.string)
            #expect(created.wholeMatch(of: /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}/) != nil)
            #expect(
                JSONValue.object(vim) == [
                    "type": "openstack", "tenant_id": "t1", "name": "v1", "description": "d1",
                    "placement_attr": ["regions": ["RegionOne"]], "is_default": true, "updated_at": nil,
                    "status": "PENDING", "extra": [:], "auth_url": "http://127.0.0.1:5000/v3",
                    "vim_project": ["name": "nfv", "project_domain_name": "Default"],
                    "auth_cred": [
                        "username": "nfv_user", "user_domain_name": "Default", "cert_verify": "False",
                        "project_id": nil, "project_name": "nfv", "project_domain_name": "Default",
                        "auth_url": "http://127.0.0.1:5000/v3", "key_type": "fernet_key", "password": "***",
                    ],
                ])
            let shown = try await house.send(.get, "/v1.0/vims/\(id).json")
            #expect(shown.status == 200 && shown.body == answer.body)
        }
    }

    @Test("The driver gets the credentials whole, the registrar too, and the log and replies never")
    func secrets() async throws {
        try await House.run { house in
            let secrets = ["hunter-22", "t0k-33", "s3cr-44", "pem-55"]
            try await house.register([
                "auth_cred": [
                    "username": "u", "password": "hunter-22", "bearer_token": "t0k-33",
                    "client_secret": "s3cr-44", "oidc_token_url": "http://idp/token",
                ]
            ])
            _ = try await house.send(
                .post, "/v1.0/vims?password=hunter-22", raw: #"{"vim": {"password": "hunter-22"}"#)
            _ = try await house.send(
                .post, "/v1.0/vims", House.registration(["auth_cred": "password=hunter-22 s3cr-44"]))
            let list = try await house.send(.get, "/v1.0/vims")
            let show = try await house.send(
                .get, "/vedette/v1/vims/\(house.registry.registeredVIMs()[0].id)")
            let texts = house.log.all + [list.text, show.text]
            for secret in secrets { #expect(!texts.contains { $0.contains(secret) }) }
            #expect(house.openStack.with { $0.contacts[0].credentials["password"] } == "hunter-22")
            let stored = house.registry.with { $0.secrets.values.first }
            #expect(stored?.description.contains("hunter-22") == true)
            let cred = list.body?["vims"]?.array?.first?["auth_cred"]
            #expect(cred?["oidc_token_url"] == "http://idp/token" && cred?["bearer_token"] == "***")
        }
    }

    @Test("A text where credentials belong is not echoed")
    func credentialsAsText() async throws {
        try await House.run { house in
            let answer = try await house.send(
                .post, "/v1.0/vims", House.registration(["auth_cred": "password=hunter-22"]))
            #expect(answer.status == 400)
            #expect(
                answer.message
                    == "Invalid input for auth_cred. Reason: '***' is not a valid dictionary "
                    + "or it is an empty dictionary.")
        }
    }

    @Test(
        "ssl_ca_cert is masked, and a wrong one refused before anybody is contacted",
        arguments: [false, true])
    func certificate(legacy: Bool) async throws {
        try await House.run(legacy: legacy, check: .deferred) { house in
            let answer = try await house.send(
                .post, "/v1.0/vims",
                House.registration([
                    "type": "kubernetes", "auth_cred": ["bearer_token": "t", "ssl_ca_cert": "nonsense"],
                ]))
            #expect(answer.status == (legacy ? 500 : 400))
            let vim = try await house.register([
                "type": "kubernetes", "auth_cred": ["bearer_token": "t", "ssl_ca_cert": "None"],
            ])
            #expect(vim["auth_cred"]?["ssl_ca_cert"] == "***")
        }
    }

    @Test("Without authentication and tenant_id the tenant is default; project_id is dropped")
    func defaultTenant() async throws {
        try await House.run { house in
            let shown1 = try await house.register(["project_id": "p"])
            #expect(shown1["tenant_id"] == "default")
        }
    }

    @Test("A deferred check contacts nobody and leaves the regions unknown")
    func deferredCheck() async throws {
        try await House.run(check: .deferred) { house in
            house.openStack.with { $0.failure = .connection("down") }
            let vim = try await house.register()
            #expect(vim["placement_attr"] == [:] && vim["status"] == "PENDING")
            let id = try #require(vim["id"]?.string)
            let put = try await house.send(
                .put, "/v1.0/vims/\(id)", ["vim": ["auth_url": "http://other:5000"]])
            #expect(put.status == 200)
            #expect(house.openStack.with { $0.contacts.isEmpty })
        }
    }

    @Test(
        "auth_url is stored as given, but an OpenStack cloud's leads to version 3",
        arguments: [
            ("openstack", "http://h", "http://h/v3"), ("openstack", "http://h/", "http://h/v3"),
            ("openstack", "http://h/v3/", "http://h/v3/"),
            ("kubernetes", "https://h:6443/", "https://h:6443/"),
        ])
    func authURL(type: String, given: String, stored: String) async throws {
        try await House.run { house in
            let vim = try await house.register(["type": .string(type), "auth_url": .string(given)])
            #expect(vim["auth_url"] == .string(stored) && vim["auth_cred"]?["auth_url"] == .string(stored))
        }
    }

    @Test(
        "is_default is taken as a boolean, a digit or their words",
        arguments: [
            (true, true), ("True", true), ("1", true), (1, true), (false, false), ("false", false),
            ("FALSE", false), (0, false), ("0", false),
        ] as [(JSONValue, Bool)])
    func isDefault(given: JSONValue, expected: Bool) async throws {
        try await House.run { house in
            let shown2 = try await house.register(["is_default": given])
            #expect(shown2["is_default"] == .bool(expected))
        }
    }

    @Test("extra may be null or empty, and comes back as it was, integers as integers")
    func extra() async throws {
        try await House.run { house in
            let shown3 = try await house.register(["extra": nil])
            #expect(shown3["extra"] == [:])
            let extra: JSONValue = [
                "big": 9_007_199_254_740_992, "half": .number(0.5), "list": [1, nil, ["a": "b"]],
                "area": ["zone": "z"],
            ]
            let shown4 = try await house.register(["name": "n2", "extra": extra])
            #expect(shown4["extra"] == extra)
        }
    }

    @Test("A deregistered VIM answers 204 once and is then missing; its name is free again")
    func delete() async throws {
        try await House.run { house in
            let id = try await house.registerID()
            let answer = try await house.send(.delete, "/v1.0/vims/\(id).json")
            #expect(answer.status == 204 && answer.text.isEmpty)
            #expect(answer.headers[.openStackRequestID] != nil)
            let answer5 = try await house.send(.get, "/v1.0/vims/\(id)")
            #expect(answer5.status == 404)
            let answer6 = try await house.send(.delete, "/v1.0/vims/\(id)")
            #expect(answer6.status == 404)
            #expect(try await house.send(.get, "/v1.0/vims").body == ["vims": []])
            try await house.register()
        }
    }

    @Test("fields works on show, and an unknown one shows nothing")
    func fieldsOnShow() async throws {
        try await House.run { house in
            let id = try await house.registerID()
            let some = try await house.send(.get, "/v1.0/vims/\(id).json?fields=id&fields=name")
            #expect(some.body == ["vim": ["id": .string(id), "name": "n1"]])
            #expect(try await house.send(.get, "/v1.0/vims/\(id)?fields=x").body == ["vim": [:]])
        }
    }

    @Test("The suffix and the case of the id do not matter")
    func paths() async throws {
        try await House.run { house in
            let id = try await house.registerID()
            for path in [id, "\(id).json", "\(id).xml", id.uppercased(), id.replacing("-", with: "")] {
                let answer7 = try await house.send(.get, "/v1.0/vims/\(path)")
                #expect(answer7.status == 200)
            }
            let answer8 = try await house.send(.get, "/v1.0/vims.xml")
            #expect(answer8.status == 200)
        }
    }

    @Test("The actor of each command carries the request's id")
    func actor() async throws {
        try await House.run { house in
            let answer = try await house.send(.post, "/v1.0/vims", House.registration())
            let actor = try #require(house.registry.with { $0.actors.last })
            #expect(actor.requestID == answer.headers[.openStackRequestID])
            #expect(actor.requestID.hasPrefix("req-") && UniqueID(actor.requestID.dropFirst(4)) != nil)
            #expect(actor.userID.isEmpty && actor.projectID.isEmpty)
        }
    }

    @Test("A caller of one project sees its own VIMs and no others")
    func ownerRule() async throws {
        try await House.run { house in
            try await house.register(["tenant_id": "p1"])
            let vim = try #require(house.registry.registeredVIMs().first)
            #expect(Caller(projectID: "p1", isAdmin: false).mayTouch(vim))
            #expect(!Caller(projectID: "p2", isAdmin: false).mayTouch(vim))
            #expect(!Caller(projectID: nil, isAdmin: false).mayTouch(vim))
            #expect(Caller(projectID: nil, isAdmin: true).mayTouch(vim))
        }
    }

    @Test("Vedette's own page shows the monitor action, the reason and the probes")
    func extended() async throws {
        try await House.run { house in
            let id = try await house.registerID()
            let probe = ProbeResult(
                time: Timestamp(microseconds: 0), kind: .http, target: "h:5000", succeeded: false,
                finding: ProbeFinding(.httpStatus, detail: 503, roundTripMicroseconds: 7),
                phases: [.init(phase: .connect, microseconds: 5)], explanation: "e")
            house.registry.with { state in
                state.record = ProbeRecord(results: [probe], failures: [probe])
                state.vims[0].watch.status = .unreachable
                state.vims[0].watch.finding = probe.finding
                state.vims[0].watch.reportedAt = Timestamp(microseconds: 1)
            }
            let vim = try await house.send(.get, "/vedette/v1/vims/\(id)").body?["vim"]
            #expect(vim?["status"] == "UNREACHABLE" && vim?["reason"] == "answered HTTP 503")
            #expect(vim?["version"] == 1 && vim?["reported_at"] == "1970-01-01 00:00:00.000001")
            #expect(MonitorActionID(vim?["action_id"]?.string ?? "") != nil)
            #expect(
                vim?["probes"]?["failures"] == [
                    [
                        "time": "1970-01-01T00:00:00.000000Z", "probe": "http", "target": "h:5000",
                        "succeeded": false, "reason": "http_status", "sentence": "answered HTTP 503",
                        "detail": 503, "round_trip_microseconds": 7,
                        "phases": [["phase": "connect", "microseconds": 5]], "explanation": "e",
                    ]
                ])
            for name in VIMRendering.fieldNames { #expect(vim?[name] != nil) }
            let answer9 = try await house.send(.get, "/vedette/v1/vims/\(ErrorRow.missing)")
            #expect(answer9.status == 404)
        }
    }
}

@Suite("extra.monitor")
struct MonitorSettingsTests {
    @Test("Settings are understood, seconds with fractions too")
    func understood() throws {
        let settings = try MonitorSettingsReading.settings(inExtra: [
            "monitor": [
                "probe": "tcp", "interval": .number(0.5), "timeout": 3, "failure_threshold": 4,
                "success_threshold": nil,
            ]
        ])
        #expect(
            settings
                == MonitorSettings(
                    probe: .tcp, intervalMilliseconds: 500, timeoutMilliseconds: 3_000, failureThreshold: 4))
    }

    @Test(
        "No settings are the server's defaults",
        arguments: [[:], ["monitor": nil], ["monitor": [:]]] as [JSONValue])
    func absent(extra: JSONValue) throws {
        #expect(try MonitorSettingsReading.settings(inExtra: extra.object ?? [:]) == MonitorSettings())
    }

    @Test(
        "A fault is a 400 that names the key",
        arguments: [
            ("probe", "ping"), ("probe", 1), ("interval", "5"), ("interval", 0), ("interval", -1),
            ("interval", 1_000_000_000_000), ("interval", .number(1e300)), ("interval", .number(0.001)),
            ("timeout", true), ("timeout", 100_000), ("failure_threshold", .number(1.5)),
            ("failure_threshold", 0), ("success_threshold", 1_000), ("intervall", 5), ("colour", nil),
        ] as [(String, JSONValue)])
    func faults(key: String, value: JSONValue) async throws {
        try await House.run { house in
            let answer = try await house.send(
                .post, "/v1.0/vims",
                House.registration(["extra": ["monitor": .object([key: value])]]))
            #expect(answer.status == 400 && answer.errorType == "HTTPBadRequest")
            #expect(answer.message?.hasPrefix("Invalid input for extra. Reason: monitor") == true)
            #expect(answer.message?.contains(key) == true)
            #expect(house.registry.registeredVIMs().isEmpty)
        }
    }

    @Test("monitor must be an object", arguments: ["tcp", 5, [1], true] as [JSONValue])
    func notAnObject(value: JSONValue) async throws {
        try await House.run { house in
            let answer = try await house.send(
                .post, "/v1.0/vims", House.registration(["extra": ["monitor": value]]))
            #expect(answer.status == 400)
        }
    }

    @Test("An update merges the settings and hands both forms on")
    func update() async throws {
        try await House.run { house in
            let id = try await house.registerID([
                "extra": ["monitor": ["interval": 5, "probe": "tcp"], "a": 1]
            ])
            let put = try await house.send(
                .put, "/v1.0/vims/\(id)", ["vim": ["extra": ["monitor": ["interval": 7, "probe": nil]]]])
            #expect(put.body?["vim"]?["extra"] == ["monitor": ["interval": 7, "probe": nil], "a": 1])
            let monitor = house.registry.registeredVIMs()[0].configuration.monitor
            #expect(monitor == MonitorSettings(intervalMilliseconds: 7_000))
            let wrong = try await house.send(
                .put, "/v1.0/vims/\(id)", ["vim": ["extra": ["monitor": ["interval": 0]]]])
            #expect(wrong.status == 400)
        }
    }
}
