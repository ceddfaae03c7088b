import AsyncHTTPClient
public import Encodings
import NIOCore
import NIOHTTP1
import NIOSSL

/// Talks to an OpenStack cloud's Keystone (version 3).
public struct OpenStackDriver: VIMDriver {
    private let client: VIMHTTPClient

    /// A driver on a client that the caller keeps and shuts down.
    public init(client: VIMHTTPClient) { self.client = client }

    /// Fetches the version document, logs in to the project, and lists the regions:
    /// `{"regions": [...]}`.
    public func placement(of contact: VIMContact) async throws(VIMDriverError) -> JSONValue {
        let session = KeystoneSession(
            client: client, contact: contact,
            tls: try TLSSettings.configuration(from: contact.credentials))
        return try await client.contact(contact.authURL) { () async throws(VIMDriverError) in
            try await session.fetchVersion()
            let token = try await session.logIn()
            return ["regions": .array(try await session.regions(token: token))]
        }
    }
}

/// One contact with one Keystone.
private struct KeystoneSession: Sendable {
    let client: VIMHTTPClient
    let contact: VIMContact
    let tls: TLSConfiguration
    let base: String

    init(client: VIMHTTPClient, contact: VIMContact, tls: TLSConfiguration) {
        self.client = client
        self.contact = contact
        self.tls = tls
        var base = contact.authURL
        while base.hasSuffix("/") { base.removeLast() }
        self.base = base
    }

    func fetchVersion() async throws(VIMDriverError) {
        let answer = try await client.send(request(""))
        guard (200..<300).contains(answer.status.code) else { throw .connection(text(of: answer)) }
    }

    func logIn() async throws(VIMDriverError) -> String {
        var login = request("/auth/tokens")
        login.method = .POST
        login.headers.add(name: "Content-Type", value: "application/json")
        login.body = .bytes(ByteBuffer(bytes: loginBody.encoded))
        let answer = try await client.send(login)
        switch answer.status.code {
        case 200..<300:
            guard let token = answer.headers.first(name: "X-Subject-Token"), !token.isEmpty else {
                throw .connection("\(base)/auth/tokens answered without a token: this is no Keystone")
            }
            return token
        case 400..<404: throw .unauthorized(text(of: answer))
        default: throw .connection(text(of: answer))
        }
    }

    func regions(token: String) async throws(VIMDriverError) -> [JSONValue] {
        var query = request("/regions")
        query.headers.add(name: "X-Auth-Token", value: token)
        let answer = try await client.send(query)
        switch answer.status.code {
        case 200..<300: break
        case 401, 403: throw .unauthorized(text(of: answer))
        default: throw .connection(text(of: answer))
        }
        guard let document = try? JSONValue(json: answer.body), let list = document["regions"]?.array else {
            throw .connection("\(base)/regions answered no list of regions")
        }
        return list.compactMap { $0["id"]?.string }.map { .string($0) }
    }

    private func request(_ path: String) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: base + path)
        request.tlsConfiguration = tls
        request.headers.add(name: "Accept", value: "application/json")
        request.headers.add(name: "User-Agent", value: "vedette")
        return request
    }

    private var loginBody: JSONValue {
        let given = contact.credentials
        var user: [String: JSONValue] = [:]
        user["password"] = given["password"]
        if let id = named(given["user_id"]), named(given["username"]) == nil {
            user["id"] = id
        } else {
            user["name"] = given["username"]
            user["domain"] = domain(name: given["user_domain_name"], id: given["user_domain_id"])
        }
        let identity: JSONValue = ["methods": ["password"], "password": ["user": .object(user)]]
        var auth: [String: JSONValue] = ["identity": identity]
        if let project = projectScope { auth["scope"] = ["project": .object(project)] }
        return ["auth": .object(auth)]
    }

    /// With a name given the name is used, else the id.
    private var projectScope: [String: JSONValue]? {
        let given = contact.project
        guard let name = named(given["name"]) else {
            return named(given["id"]).map { ["id": $0] }
        }
        var project = ["name": name]
        project["domain"] = domain(name: given["project_domain_name"], id: given["project_domain_id"])
        return project
    }

    private func domain(name: JSONValue?, id: JSONValue?) -> JSONValue? {
        if let name = named(name) { return ["name": name] }
        return named(id).map { ["id": $0] }
    }

    private func named(_ value: JSONValue?) -> JSONValue? {
        guard let value, !value.isEmpty else { return nil }
        return value
    }

    /// As keystoneauth words it: Keystone's own message if there is one, the status, the request id.
    private func text(of answer: VIMHTTPClient.Answer) -> String {
        let own = (try? JSONValue(json: answer.body))?["error"]?["message"]?.string
        let message = Texts.safe(own ?? answer.status.reasonPhrase, hiding: contact.credentials)
        let id = answer.headers.first(name: "x-openstack-request-id").map {
            " (Request-ID: \(Texts.safe($0, hiding: contact.credentials)))"
        }
        return "\(message) (HTTP \(answer.status.code))\(id ?? "")"
    }
}
