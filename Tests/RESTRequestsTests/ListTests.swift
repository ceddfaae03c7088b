import Encodings
import HTTPTypes
import Hummingbird
import Projections
import Registry
import Testing
import VIMDrivers

@testable import RESTRequests

@Suite("Lists")
struct ListTests {
    /// Four VIMs of two tenants, in order of registration.
    private func fill(_ house: House) async throws -> [String] {
        var ids: [String] = []
        for (name, tenant, type, isDefault) in [
            ("c", "t1", "openstack", true), ("a", "t1", "kubernetes", false), ("d", "t2", "openstack", false),
            ("b ü&", "t2", "openstack", false),
        ] {
            ids.append(
                try await house.registerID([
                    "name": .string(name), "tenant_id": .string(tenant), "type": .string(type),
                    "is_default": .bool(isDefault), "description": "same",
                ]))
        }
        return ids
    }

    private func names(_ house: House, _ query: String) async throws -> [String] {
        let answer = try await house.send(.get, "/v1.0/vims.json\(query)")
        #expect(answer.status == 200)
        return answer.body?["vims"]?.array?.compactMap { $0["name"]?.string } ?? []
    }

    @Test("A marker without a limit gives all that follows it")
    func markerAlone() async throws {
        try await House.run { house in
            let ids = try await fill(house)
            #expect(try await names(house, "?marker=\(ids[1])") == ["d", "b ü&"])
            #expect(try await names(house, "?marker=\(ids[1])&page_reverse=true") == ["c"])
            let absent = "11111111-2222-4333-8444-555555555555"
            #expect(try await house.send(.get, "/v1.0/vims?marker=\(absent)").status == 400)
        }
    }

    @Test("All VIMs come in order of registration")
    func all() async throws {
        try await House.run { house in
            #expect(try await names(house, "") == [])
            _ = try await fill(house)
            #expect(try await names(house, "") == ["c", "a", "d", "b ü&"])
        }
    }

    @Test(
        "Filters compare exactly; repeated keys are or, different keys are and",
        arguments: [
            ("?name=a", ["a"]), ("?name=A", []), ("?name=a&name=d", ["a", "d"]),
            ("?name=b%20%C3%BC%26", ["b ü&"]),
            ("?name=b+%C3%BC%26", ["b ü&"]), ("?tenant_id=t1&type=openstack", ["c"]),
            ("?tenant_id=t1&tenant_id=t2&type=kubernetes", ["a"]), ("?status=PENDING&name=d", ["d"]),
            ("?status=REACHABLE", []), ("?is_default=True", ["c"]), ("?is_default=1", ["c"]),
            ("?is_default=false", ["a", "d", "b ü&"]), ("?is_default=maybe", []),
            ("?description=same&name=a", ["a"]),
            ("?unknown=x&name=a", ["a"]), ("?name=", ["c", "a", "d", "b ü&"]),
            ("?name", ["c", "a", "d", "b ü&"]),
            ("?auth_url=x&name=a", ["a"]), ("?name=%ff%", []), ("?updated_at=x", []),
        ])
    func filters(query: String, expected: [String]) async throws {
        try await House.run { house in
            _ = try await fill(house)
            #expect(try await names(house, query) == expected)
        }
    }

    @Test("A list can be narrowed by id and by times")
    func byIdentifier() async throws {
        try await House.run { house in
            let ids = try await fill(house)
            #expect(try await names(house, "?id=\(ids[1])&fields=name") == ["a"])
            #expect(try await names(house, "?id=\(ids[1])&id=\(ids[3])") == ["a", "b ü&"])
            #expect(try await names(house, "?id=\(ErrorRow.missing)") == [])
            let created = house.registry.registeredVIMs()[2].createdAt.spaced
            #expect(try await names(house, "?created_at=\(PercentCoding.encoded(created))") == ["d"])
        }
    }

    @Test("fields chooses attributes; unknown ones give empty objects")
    func fields() async throws {
        try await House.run { house in
            let ids = try await fill(house)
            let one = try await house.send(.get, "/v1.0/vims.json?name=a&fields=id")
            #expect(one.body == ["vims": [["id": .string(ids[1])]]])
            let none = try await house.send(.get, "/v1.0/vims.json?name=a&fields=x&fields=")
            #expect(none.body == ["vims": [[:]]])
        }
    }

    @Test(
        "Sorting goes by one key after another, and what is equal keeps its order",
        arguments: [
            ("?sort_key=name", ["a", "b ü&", "c", "d"]),
            ("?sort_key=name&sort_dir=desc", ["d", "c", "b ü&", "a"]),
            ("?sort_key=description&sort_dir=desc", ["c", "a", "d", "b ü&"]),
            ("?sort_key=tenant_id&sort_dir=desc&sort_key=name&sort_dir=asc", ["b ü&", "d", "a", "c"]),
            ("?sort_key=is_default&sort_key=name", ["a", "b ü&", "d", "c"]),
            ("?sort_key=updated_at&sort_key=created_at&sort_dir=asc&sort_dir=desc", ["b ü&", "d", "a", "c"]),
        ])
    func sorting(query: String, expected: [String]) async throws {
        try await House.run { house in
            _ = try await fill(house)
            #expect(try await names(house, query) == expected)
        }
    }

    @Test(
        "What cannot be sorted or paged by is a 400 that says so",
        arguments: [
            ("sort_key=x", "HTTPBadRequest", "['x'] is invalid attribute for sort_keys"),
            ("sort_key=extra", "HTTPBadRequest", "['extra'] is invalid attribute for sort_keys"),
            (
                "sort_key=name&sort_dir=up", "HTTPBadRequest",
                "['up'] is invalid value for sort_dirs, valid value is 'asc' and 'desc'"
            ),
            ("sort_dir=asc", "HTTPBadRequest", "The number of sort_keys and sort_dirs must be same"),
            ("limit=x", "BadRequest", "Bad limit request: Limit must be an integer 0 or greater and not 'x'"),
            (
                "limit=-1", "BadRequest",
                "Bad limit request: Limit must be an integer 0 or greater and not '-1'"
            ),
            (
                "limit=99999999999999999999", "BadRequest",
                "Bad limit request: Limit must be an integer 0 or greater and not '99999999999999999999'"
            ),
            (
                "limit=1&marker=x", "HTTPBadRequest",
                "Invalid input for marker. Reason: 'x' names none of the rows."
            ),
        ])
    func wrongQueries(query: String, type: String, message: String) async throws {
        try await House.run { house in
            _ = try await fill(house)
            let answer = try await house.send(.get, "/v1.0/vims?\(query)")
            #expect(answer.status == 400 && answer.errorType == type && answer.message == message)
        }
    }

    private func link(_ answer: Answer, _ rel: String) -> String? {
        answer.body?["vims_links"]?.array?.first { $0["rel"] == .string(rel) }?["href"]?.string
    }

    @Test("Following next visits every VIM once, as the client does it", arguments: 1...5)
    func nextLinks(limit: Int) async throws {
        try await House.run { house in
            _ = try await fill(house)
            var seen: [String] = []
            var path: String? = "/v1.0/vims.json?sort_key=name&limit=\(limit)&fields=name"
            while let next = path {
                let answer = try await house.send(.get, next)
                let page = answer.body?["vims"]?.array ?? []
                #expect(!page.isEmpty && page.count <= limit)
                seen += page.compactMap { $0["name"]?.string }
                path = link(answer, "next").map { href in
                    #expect(href.hasPrefix("http://localhost/v1.0/vims.json?"))
                    return String(href.dropFirst("http://localhost".count))
                }
                try #require(seen.count <= 4)
            }
            #expect(seen == ["a", "b ü&", "c", "d"])
        }
    }

    @Test("Pages go backwards too, each in the list's own order")
    func previousLinks() async throws {
        try await House.run { house in
            _ = try await fill(house)
            let last = try await house.send(.get, "/v1.0/vims?sort_key=name&limit=3&page_reverse=True")
            #expect(last.body?["vims"]?.array?.compactMap { $0["name"]?.string } == ["b ü&", "c", "d"])
            #expect(link(last, "next") == nil)
            let href = try #require(link(last, "previous"))
            let first = try await house.send(.get, String(href.dropFirst("http://localhost".count)))
            #expect(first.body?["vims"]?.array?.compactMap { $0["name"]?.string } == ["a"])
            #expect(link(first, "previous") == nil && link(first, "next") != nil)
        }
    }

    @Test("limit=0 and an empty page carry no links")
    func noLinks() async throws {
        try await House.run { house in
            let ids = try await fill(house)
            #expect(try await names(house, "?limit=0&marker=x").count == 4)
            let answer = try await house.send(.get, "/v1.0/vims?limit=2&marker=\(ids[3])")
            #expect(answer.body == ["vims": []])
            let all = try await house.send(.get, "/v1.0/vims?limit=4")
            #expect(all.body?["vims_links"] == nil)
        }
    }
}

@Suite("Events")
struct EventTests {
    @Test("Registration, update, status change and deregistration are events, and survive the VIM")
    func story() async throws {
        try await House.run { house in
            let id = try await house.registerID()
            _ = try await house.send(.put, "/v1.0/vims/\(id)", ["vim": ["name": "n2"]])
            house.registry.with { state in
                state.history.append(
                    .init(
                        position: 50, time: Timestamp(microseconds: 0), vimID: state.vims[0].id,
                        kind: .monitor,
                        status: .unreachable, finding: ProbeFinding(.connectionRefused)))
            }
            _ = try await house.send(.delete, "/v1.0/vims/\(id)")
            let events = try await house.send(.get, "/v1.0/events.json").body?["events"]?.array ?? []
            #expect(events.map { $0["event_type"] } == ["CREATE", "UPDATE", "MONITOR", "DELETE"])
            #expect(events.allSatisfy { $0["resource_id"] == .string(id) && $0["resource_type"] == "vim" })
            #expect(
                events[2] == [
                    "id": 50, "resource_id": .string(id), "resource_type": "vim",
                    "resource_state": "UNREACHABLE", "timestamp": "1970-01-01 00:00:00.000000",
                    "event_type": "MONITOR", "event_details": "connection refused",
                ])
            #expect(events[0]["event_details"] == "" && events[0]["resource_state"] == "PENDING")
            let one = try await house.send(.get, "/v1.0/events/50.json")
            #expect(one.status == 200 && one.body == ["event": events[2]])
            let fields = try await house.send(.get, "/v1.0/events/50?fields=id")
            #expect(fields.body == ["event": ["id": 50]])
        }
    }

    @Test("Where the beginning of history was dropped, an event of its own stands first and says so")
    func droppedEvents() async throws {
        try await House.run { house in
            let gone = try await house.registerID()
            let kept = try await house.registerID(["name": "n2"])
            let now = Timestamp(microseconds: 0)
            house.registry.with { state in
                state.history.removeFirst()
                state.dropped = DroppedHistory(lastPosition: 3, time: now)
            }
            func events(_ query: String) async throws -> [JSONValue] {
                try await house.send(.get, "/v1.0/events?\(query)").body?["events"]?.array ?? []
            }
            let all = try await events("")
            #expect(all.map { $0["id"] } == [3, 4])
            #expect(all.map { $0["event_type"] } == ["DROP", "CREATE"])
            let first = try #require(all.first)
            #expect(first["resource_type"] == "vim" && first["resource_id"] == "")
            #expect(first["timestamp"] == "1970-01-01 00:00:00.000000" && first["resource_state"] == "")
            #expect(first["event_details"]?.string?.contains("up to position 3 was dropped") == true)
            #expect(try await house.send(.get, "/v1.0/events/3.json").body == ["event": first])
            // A VIM that has lost something says so, even if nothing is left; one that has not does not.
            let left = try await events("resource_type=vim&resource_id=\(gone)")
            #expect(left.map { $0["event_type"] } == ["DROP"] && left[0]["resource_id"] == .string(gone))
            #expect(try await events("resource_id=\(kept)").map { $0["event_type"] } == ["CREATE"])
            #expect(try await events("resource_id=11111111-2222-4333-8444-555555555555") == [])
            // Filters hold for it as for all.
            #expect(try await events("event_type=CREATE").map { $0["id"] } == [4])
        }
    }

    @Test("Events are narrowed by every attribute, sorted and paged")
    func queries() async throws {
        try await House.run { house in
            let first = try await house.registerID()
            let second = try await house.registerID(["name": "n2"])
            func ids(_ query: String) async throws -> [JSONValue] {
                try await house.send(.get, "/v1.0/events?\(query)").body?["events"]?.array?
                    .compactMap { $0["id"] } ?? []
            }
            #expect(try await ids("resource_id=\(first)") == [1])
            #expect(try await ids("resource_id=\(first)&resource_id=\(second)") == [1, 4])
            #expect(try await ids("resource_id=nope") == [])
            #expect(try await ids("event_type=CREATE&resource_type=vim&id=4") == [4])
            #expect(try await ids("resource_type=vnf") == [])
            #expect(try await ids("sort_key=id&sort_dir=desc") == [4, 1])
            let page = try await house.send(.get, "/v1.0/events?limit=1&fields=id")
            #expect(page.body?["events_links"]?.array?.first?["rel"] == "next")
        }
    }
}

@Suite("Discovery")
struct DiscoveryTests {
    @Test("The versions document needs no request id")
    func versions() async throws {
        try await House.run { house in
            let answer = try await house.send(.get, "/")
            #expect(answer.status == 200 && answer.headers[.openStackRequestID] == nil)
            #expect(
                answer.body == [
                    "versions": [
                        [
                            "id": "v1.0", "status": "CURRENT",
                            "links": [["rel": "self", "href": "http://localhost/v1.0"]],
                        ]
                    ]
                ])
        }
    }

    @Test("Extensions are listed and shown by alias")
    func extensions() async throws {
        try await House.run { house in
            for path in ["/v1.0/extensions", "/v1.0/extensions.json"] {
                let list = try await house.send(.get, path).body?["extensions"]?.array ?? []
                #expect(list.map { $0["alias"] } == ["Commonservices", "NFVO", "VNFM"])
                for entry in list {
                    #expect(
                        entry.object?.keys.sorted() == [
                            "alias", "description", "links", "name", "namespace", "updated",
                        ])
                }
            }
            let one = try await house.send(.get, "/v1.0/extensions/NFVO.json")
            #expect(one.body?["extension"]?["updated"] == "2015-12-21T10:00:00-00:00")
            #expect(try await house.send(.get, "/v1.0/extensions/x").status == 404)
        }
    }

    @Test("The health page names the version")
    func live() async throws {
        try await House.run { house in
            let answer = try await house.send(.get, "/healthz/live")
            #expect(answer.status == 200 && answer.body == ["status": "live", "version": "1.2.3"])
        }
    }
}
