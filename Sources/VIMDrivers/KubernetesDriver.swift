import AsyncHTTPClient
public import Encodings
import Foundation
import NIOCore
import NIOHTTP1
import NIOSSL

/// Talks to a Kubernetes cluster's API server.
public struct KubernetesDriver: VIMDriver {
    private let client: VIMHTTPClient

    /// A driver on a client that the caller keeps and shuts down.
    public init(client: VIMHTTPClient) { self.client = client }

    /// Fetches the API versions and lists the namespaces: `{"regions": [...]}`, as Tacker names them.
    public func placement(of contact: VIMContact) async throws(VIMDriverError) -> JSONValue {
        let session = KubernetesSession(
            client: client, contact: contact,
            tls: try TLSSettings.configuration(from: contact.credentials))
        return try await client.contact(contact.authURL) { () async throws(VIMDriverError) in
            let authorization = try await session.authorization()
            _ = try await session.get("/api/", authorization: authorization)
            let answer = try await session.get("/api/v1/namespaces", authorization: authorization)
            return ["regions": .array(try session.namespaces(in: answer))]
        }
    }
}

/// One contact with one API server.
private struct KubernetesSession: Sendable {
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

    /// The value of the `Authorization` header.
    ///
    /// An OIDC token is fetched once and serves all calls.
    func authorization() async throws(VIMDriverError) -> String {
        if given("oidc_token_url") != nil { return "Bearer \(try await openIDToken())" }
        if let token = given("bearer_token") { return "Bearer \(token)" }
        guard let user = given("username"), let password = given("password") else {
            throw .badCredentials(
                "auth_cred needs bearer_token, username and password, or oidc_token_url with its keys")
        }
        return "Basic \(Data("\(user):\(password)".utf8).base64EncodedString())"
    }

    func get(_ path: String, authorization: String) async throws(VIMDriverError) -> VIMHTTPClient.Answer {
        var request = newRequest(base + path)
        request.headers.add(name: "Authorization", value: authorization)
        let answer = try await client.send(request)
        switch answer.status.code {
        case 200..<300: return answer
        case 401, 403: throw .unauthorized(text(of: answer))
        default: throw .connection(text(of: answer))
        }
    }

    func namespaces(in answer: VIMHTTPClient.Answer) throws(VIMDriverError) -> [JSONValue] {
        guard let document = try? JSONValue(json: answer.body), let items = document["items"]?.array else {
            throw .connection("\(base)/api/v1/namespaces answered no list of namespaces")
        }
        return items.compactMap { $0["metadata"]?["name"]?.string }.map { .string($0) }
    }

    private func openIDToken() async throws(VIMDriverError) -> String {
        guard let url = given("oidc_token_url"), VIMURL.isUsable(url) else {
            throw .badCredentials("oidc_token_url must be an http or https URL without user information")
        }
        var form = [("grant_type", "password"), ("scope", "openid")]
        for key in ["client_id", "client_secret", "username", "password"] {
            if let value = given(key) { form.append((key, value)) }
        }
        var request = newRequest(url)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/x-www-form-urlencoded")
        let body = form.map { "\($0)=\(PercentCoding.encoded($1))" }.joined(separator: "&")
        request.body = .bytes(ByteBuffer(string: body))
        let answer = try await client.send(request)
        let media = answer.headers.first(name: "Content-Type")?.prefix { $0 != ";" }
        guard answer.status.code == 200, media?.lowercased() == "application/json",
            let token = (try? JSONValue(json: answer.body))?["id_token"]?.string, !token.isEmpty
        else {
            throw .unauthorized(
                "OIDC authentication and authorization failed. Detail: response code: "
                    + "\(answer.status.code), body: \(bodyText(of: answer))")
        }
        return token
    }

    private func newRequest(_ url: String) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: url)
        request.tlsConfiguration = tls
        request.headers.add(name: "Accept", value: "application/json")
        request.headers.add(name: "User-Agent", value: "vedette")
        return request
    }

    private func given(_ key: String) -> String? {
        guard let text = contact.credentials[key]?.string, !text.isEmpty else { return nil }
        return text
    }

    private func bodyText(of answer: VIMHTTPClient.Answer) -> String {
        // A refusal may still hold tokens that are not ours to show; an answer of 200 surely does.
        guard answer.status.code != 200 else { return "no id_token" }
        return Texts.safe(
            String(decoding: answer.body.prefix(2_048), as: UTF8.self), hiding: contact.credentials)
    }

    /// As the Kubernetes client for Python words it.
    private func text(of answer: VIMHTTPClient.Answer) -> String {
        let type = answer.headers.first(name: "Content-Type") ?? ""
        return "(\(answer.status.code))\nReason: \(answer.status.reasonPhrase)\n"
            + "HTTP response headers: HTTPHeaderDict({'Content-Type': "
            + "'\(Texts.safe(type, hiding: contact.credentials))'})\n"
            + "HTTP response body: \(bodyText(of: answer))\n"
    }
}
