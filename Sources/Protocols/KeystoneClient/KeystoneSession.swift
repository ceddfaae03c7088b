import FoundationEssentials
import NIOHTTP1

/// Who logs in to Keystone, as the OS_* variables say it.
///
/// Holds a password: never printed.
public struct KeystoneAccount: Sendable, CustomStringConvertible {
    /// Where Keystone answers, with or without `/v3`.
    public var authURL: String
    /// The user's name.
    public var userName: String
    /// Its password.
    public var password: String
    /// The domain of the user, by name.
    public var userDomainName: String
    /// The project to work in, by name.
    public var projectName: String
    /// The domain of the project, by name.
    public var projectDomainName: String

    /// All parts; domains are called `Default` where nobody says otherwise.
    public init(
        authURL: String, userName: String, password: String, userDomainName: String = "Default",
        projectName: String, projectDomainName: String = "Default"
    ) {
        self.authURL = authURL
        self.userName = userName
        self.password = password
        self.userDomainName = userDomainName
        self.projectName = projectName
        self.projectDomainName = projectDomainName
    }

    /// Everything but the password.
    public var description: String { "\(userName) in \(projectName) at \(authURL)" }
}

/// A login to Keystone v3: gives a token, kept until shortly before it expires.
public actor KeystoneSession {
    /// A token is renewed so long before it expires: longer than any call that carries it takes.
    static let marginSeconds: TimeInterval = 120

    private let account: KeystoneAccount
    private let connection: ServiceConnection
    private let now: @Sendable () -> Date
    private var current: (token: String, expires: Date)?
    /// One login for all who wait for it.
    private var login: Task<Result<(token: String, expires: Date), ServiceFault>, Never>?

    /// Nothing is asked yet; the connection is the caller's to shut down.
    public init(account: KeystoneAccount, connection: ServiceConnection) {
        self.init(account: account, connection: connection, now: { Date() })
    }

    init(account: KeystoneAccount, connection: ServiceConnection, now: @escaping @Sendable () -> Date) {
        self.account = account
        self.connection = connection
        self.now = now
    }

    /// A token that is valid now.
    ///
    /// - Throws: ``ServiceFault`` if Keystone does not answer, or refuses the account.
    public func token() async throws(ServiceFault) -> String {
        if let current, current.expires.timeIntervalSince(now()) > KeystoneSession.marginSeconds {
            return current.token
        }
        let login = login ?? Task { await self.logIn() }
        self.login = login
        let result = await login.value
        self.login = nil
        let fresh = try result.get()
        current = fresh
        return fresh.token
    }

    /// Forgets a token that a service refused; the next call logs in anew.
    public func forget(_ token: String) {
        if current?.token == token { current = nil }
    }

    private func logIn() async -> Result<(token: String, expires: Date), ServiceFault> {
        do throws(ServiceFault) { return .success(try await askForToken()) } catch { return .failure(error) }
    }

    private func askForToken() async throws(ServiceFault) -> (token: String, expires: Date) {
        var url = account.authURL
        while url.hasSuffix("/") { url.removeLast() }
        if !url.hasSuffix("/v3") { url += "/v3" }
        url += "/auth/tokens"
        let body: [UInt8]
        do { body = Array(try JSONEncoder().encode(LoginBody(account))) } catch {
            throw ServiceFault("the Keystone account cannot be written as JSON")
        }
        let answer = try await connection.send(.POST, url, body: body)
        guard (200..<300).contains(answer.status) else {
            let message = (try? JSONDecoder().decode(FaultBody.self, from: Data(answer.body)))?.error.message
            throw ServiceFault(
                "Keystone refuses \(account): HTTP \(answer.status)\(message.map { ", \($0)" } ?? "")")
        }
        guard let token = answer.headers.first(name: "X-Subject-Token"), !token.isEmpty,
            let document = try? JSONDecoder().decode(TokenBody.self, from: Data(answer.body)),
            let expires = KeystoneSession.date(document.token.expiresAt)
        else { throw ServiceFault("\(url) answered without a token: this is no Keystone") }
        return (token, expires)
    }

    /// `2026-11-25T05:00:00.000000Z`; the fraction is left out.
    static func date(_ text: String) -> Date? {
        let whole = text.prefix { $0 != "." && $0 != "Z" } + "Z"
        return try? Date(String(whole), strategy: .iso8601)
    }
}

private struct TokenBody: Decodable {
    struct Token: Decodable {
        var expiresAt: String

        enum CodingKeys: String, CodingKey {
            case expiresAt = "expires_at"
        }
    }

    var token: Token
}

private struct FaultBody: Decodable {
    struct Fault: Decodable {
        var message: String
    }

    var error: Fault
}

/// The body of `POST /v3/auth/tokens`.
private struct LoginBody: Encodable {
    struct Domain: Encodable {
        var name: String
    }

    struct User: Encodable {
        var name: String
        var domain: Domain
        var password: String
    }

    struct Project: Encodable {
        var name: String
        var domain: Domain
    }

    struct Identity: Encodable {
        var methods = ["password"]
        var password: [String: User]
    }

    struct Auth: Encodable {
        var identity: Identity
        var scope: [String: Project]
    }

    var auth: Auth

    init(_ account: KeystoneAccount) {
        let user = User(
            name: account.userName, domain: Domain(name: account.userDomainName), password: account.password)
        let project = Project(
            name: account.projectName, domain: Domain(name: account.projectDomainName))
        auth = Auth(identity: Identity(password: ["user": user]), scope: ["project": project])
    }
}
