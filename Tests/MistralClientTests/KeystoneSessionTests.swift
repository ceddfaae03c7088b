import FoundationEssentials
import Synchronization
import Testing

@testable import KeystoneClient

@Suite("A Keystone login")
struct KeystoneSessionTests {
    @Test("A token is kept until shortly before it expires, and many who wait share one login")
    func caching() async throws {
        let logins = Counter()
        let now = Clock(try #require(KeystoneSession.date("2026-01-01T00:00:00.000000Z")))
        try await ScriptedService.run { _ in
            (201, #"{"token": {"expires_at": "2026-01-01T01:00:00.000000Z"}}"#, "token-\(logins.next())")
        } _: { service, url, connection in
            let account = KeystoneAccount(
                authURL: url + "/v3/", userName: "u", password: "p", projectName: "q")
            let session = KeystoneSession(account: account, connection: connection, now: { now.time })
            let tokens = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<10 { group.addTask { try await session.token() } }
                return try await group.reduce(into: Set<String>()) { $0.insert($1) }
            }
            #expect(tokens == ["token-1"])
            now.advance(3_600 - 121)
            #expect(try await session.token() == "token-1")
            now.advance(2)
            #expect(try await session.token() == "token-2")
            #expect(service.lines == ["POST /v3/auth/tokens", "POST /v3/auth/tokens"])
            #expect(
                service.seen[0].body.contains(#""scope":{"project":{"#)
                    && service.seen[0].body.contains(#""methods":["password"]"#))
        }
    }

    @Test("A forgotten token is renewed; forgetting an older one changes nothing")
    func forgetting() async throws {
        let logins = Counter()
        try await ScriptedService.run { _ in
            (201, #"{"token": {"expires_at": "2999-01-01T01:00:00.000000Z"}}"#, "token-\(logins.next())")
        } _: { _, url, connection in
            let account = KeystoneAccount(authURL: url, userName: "u", password: "p", projectName: "q")
            let session = KeystoneSession(account: account, connection: connection)
            await expectToken("token-1", of: session)
            await session.forget("token-1")
            await expectToken("token-2", of: session)
            await session.forget("token-1")
            await expectToken("token-2", of: session)
        }
    }

    private func expectToken(_ token: String, of session: KeystoneSession) async {
        let given = try? await session.token()
        #expect(given == token)
    }

    @Test("A refusal says who was refused and why, never the password; what is no Keystone is said, too")
    func refusals() async throws {
        try await ScriptedService.run { call in
            call.body.contains("wrong")
                ? (401, #"{"error": {"message": "The request you have made requires authentication."}}"#, nil)
                : (200, "hello", nil)
        } _: { _, url, connection in
            func fault(password: String) async -> ServiceFault? {
                let account = KeystoneAccount(
                    authURL: url, userName: "u", password: password, projectName: "q")
                let session = KeystoneSession(account: account, connection: connection)
                return await #expect(throws: ServiceFault.self) { try await session.token() }
            }
            #expect(
                await fault(password: "wrong-secret")?.description
                    == "Keystone refuses u in q at \(url): HTTP 401, The request you have made requires "
                    + "authentication.")
            #expect(
                await fault(password: "p")?.description
                    == "\(url)/v3/auth/tokens answered without a token: this is no Keystone")
        }
    }

    @Test("A file that holds no certificate is refused in words")
    func authorities() {
        #expect(throws: ServiceFault("/dev/null is no file of PEM certificates")) {
            try ServiceConnection(authorities: "/dev/null")
        }
    }
}

/// Counts, and remembers how often it was looked at.
final class Counter: Sendable {
    private let count = Mutex(0)
    private let looks = Mutex(0)

    func next() -> Int {
        count.withLock { count in
            count += 1
            return count
        }
    }

    func uses() -> Int {
        looks.withLock { looks in
            looks += 1
            return looks
        }
    }
}

private final class Clock: Sendable {
    private let date: Mutex<Date>

    init(_ date: Date) { self.date = Mutex(date) }

    var time: Date { date.withLock { $0 } }
    func advance(_ seconds: TimeInterval) { date.withLock { $0 += seconds } }
}
