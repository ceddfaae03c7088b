import Encodings
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import NIOPosix
import Registry
import Samples
import ServiceLifecycle
import Testing
import VIMDrivers

@testable import RESTRequests

@Suite("Bad input")
struct BadInputTests {
    private static let mebibyte = 1 << 20

    @Test(
        "Bodies made to hurt are refused at once",
        arguments: [
            String(repeating: "[", count: mebibyte), String(repeating: "{\"a\":", count: mebibyte / 5),
            "[" + String(repeating: "1,", count: mebibyte / 2 - 2) + "1]",
            "{\"vim\": " + String(repeating: "[", count: 300) + String(repeating: "]", count: 300) + "}",
            "\"" + String(repeating: "\\u0000", count: mebibyte / 6 - 1) + "\"",
            "{\"vim\": {\"name\": \"\\ud800\"}}", "{\"vim\": {\"name\": \"x\"",
            String(repeating: " ", count: 100),
            String(repeating: "9", count: mebibyte), "{\"vim\":{}}{",
        ])
    func hurtful(body: String) async throws {
        try await House.run { house in
            let answer = try await house.send(.post, "/v1.0/vims", raw: body)
            #expect(answer.status == 400)
            #expect(answer.errorType == "MalformedRequestBody" || answer.errorType == "HTTPBadRequest")
        }
    }

    @Test(
        "A body of just 1 MiB is read, one byte more is a 413 with Tacker's kind of body",
        arguments: [false, true])
    func bodyLimit(live: Bool) async throws {
        try await House.run(live: live) { house in
            func body(_ byteCount: Int) -> String {
                let text = House.registration(["description": ""]).text.description
                let filler = String(repeating: "x", count: byteCount - text.utf8.count)
                return text.replacing("\"description\":\"\"", with: "\"description\":\"\(filler)\"")
            }
            let fits = try await house.send(.post, "/v1.0/vims", raw: body(Self.mebibyte))
            #expect(fits.status == 201)
            let tooLong = try await house.send(.post, "/v1.0/vims", raw: body(Self.mebibyte + 1))
            #expect(tooLong.status == 413 && tooLong.errorType == "HTTPRequestEntityTooLarge")
            #expect(tooLong.message == "The request body is longer than 1048576 bytes")
        }
    }

    @Test(
        "Names of any characters are taken up to 255 of them and come back as they were",
        arguments: [
            "", "🛰️ vim", "שלום", "a\u{0}b", "\u{202E}gnp", "e\u{301}", String(repeating: "🛰", count: 255),
            "\u{7F}\n",
            "'; DROP TABLE vims; --", "../../etc/passwd", "%00", "a,b\"c\\",
        ])
    func names(name: String) async throws {
        try await House.run { house in
            let vim = try await house.register(["name": .string(name)])
            #expect(vim["name"]?.string.map { Array($0.utf8) } == Array(name.utf8))
            guard !name.isEmpty else { return }
            let found = try await house.send(.get, "/v1.0/vims?name=\(PercentCoding.encoded(name))&fields=id")
            #expect(found.body?["vims"]?.array?.count == 1)
        }
    }

    @Test("256 characters are too many, also where they are few to the eye")
    func longNames() async throws {
        try await House.run { house in
            for name in [String(repeating: "🛰", count: 256), String(repeating: "e\u{301}", count: 128)] {
                let answer = try await house.send(
                    .post, "/v1.0/vims", House.registration(["name": .string(name)]))
                #expect(answer.status == 400)
                #expect(
                    answer.message
                        == "Invalid input for name. Reason: '\(name)' exceeds maximum length of 255.")
            }
        }
    }

    @Test("A target over 8192 bytes is a 414 without body")
    func longTarget() async throws {
        try await House.run(live: true) { house in
            let answer = try await house.send(.get, "/v1.0/vims?name=" + String(repeating: "x", count: 9_000))
            #expect(answer.status == 414 && answer.text.isEmpty)
            #expect(try await house.send(.get, "/v1.0/vims?name=x").status == 200)
        }
    }

    @Test("A header line over 16384 bytes is a 400 without body")
    func longHeader() async throws {
        try await House.run(live: true) { house in
            let name = try #require(HTTPField.Name("X-Auth-Token"))
            let response = try await house.client.executeRequest(
                uri: "/v1.0/vims", method: .get, headers: [name: String(repeating: "x", count: 20_000)],
                body: nil)
            #expect(response.status == .badRequest && response.body.readableBytes == 0)
        }
    }

    @Test("What is no HTTP is a 400, and the server goes on")
    func noHTTP() async throws {
        try await House.run(live: true) { house in
            let port = try #require(house.client.port)
            let text = try await RawConnection.exchange(port: port, sending: "\u{1}\u{2} nonsense\r\n\r\n")
            #expect(text.hasPrefix("HTTP/1.1 400 "))
            #expect(try await house.send(.get, "/v1.0/vims").status == 200)
        }
    }

    @Test("A body that does not come is given up", .timeLimit(.minutes(10)))
    func slowBody() async throws {
        try await House.run(live: true, bodyTimeout: .milliseconds(200)) { house in
            let port = try #require(house.client.port)
            let text = try await RawConnection.exchange(
                port: port,
                sending: "POST /v1.0/vims HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n{\"vim")
            #expect(text.hasPrefix("HTTP/1.1 408 "))
        }
    }

    @Test("Over a real socket the caller's address is in the actor and the Host header in links")
    func remoteAddress() async throws {
        try await House.run(live: true) { house in
            try await house.register()
            #expect(house.registry.with { $0.actors.last?.remoteAddress } == "127.0.0.1")
            let href = try await house.send(.get, "/").body?["versions"]?.array?.first?["links"]?.array?
                .first?["href"]
            #expect(href?.string?.hasPrefix("http://") == true && href?.string?.hasSuffix("/v1.0") == true)
        }
    }

    @Test("The access log tells the path and not the query")
    func accessLog() async throws {
        try await House.run { house in
            _ = try await house.send(.get, "/v1.0/vims?name=hunter-22")
            let lines = house.log.all.filter { $0.hasPrefix("request ") }
            #expect(lines.count == 1)
            #expect(lines[0].contains("/v1.0/vims") && !lines[0].contains("hunter-22"))
        }
    }
}

/// A connection for what no HTTP client would send.
enum RawConnection {
    /// Sends a text and returns the first bytes that come back.
    static func exchange(port: Int, sending text: String) async throws -> String {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: text))
            for try await buffer in inbound { return String(buffer: buffer) }
            return ""
        }
    }
}

@Suite("The service")
struct ServiceTests {
    @Test("The bound port is told, and the service stops with its group", .timeLimit(.minutes(10)))
    func boundPort() async throws {
        let registry = FakeRegistry()
        let door = RESTDoor(
            registrar: registry, reader: registry, drivers: [:], probes: nil,
            configuration: RESTConfiguration(serverVersion: "0"), logger: .init(label: "test"))
        let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
        let service = door.service(host: "127.0.0.1", port: 0) { continuation.yield($0) }
        let group = ServiceGroup(
            configuration: .init(services: [.init(service: service)], logger: .init(label: "test")))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let port = try #require(await ports.first { _ in true })
            #expect(port > 0)
            let text = try await RawConnection.exchange(
                port: port, sending: "GET /healthz/live HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            #expect(text.hasPrefix("HTTP/1.1 200 OK"))
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    @Test("Without a driver for its kind a VIM cannot be registered")
    func noDriver() async throws {
        let resource = VIMResource(
            registrar: FakeRegistry(), reader: FakeRegistry(), drivers: [:], probes: nil,
            configuration: RESTConfiguration(serverVersion: "0"))
        await #expect(throws: APIError.internalError) {
            try await resource.create(
                House.registration().encoded,
                scope: RequestScope(caller: .unauthenticated, actor: .conductor))
        }
    }
}
