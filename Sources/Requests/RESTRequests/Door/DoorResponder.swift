import Encodings
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1
import Registry
import VIMDrivers

/// Finds out what a request wants, has it done, and words the answer in HTTP.
struct DoorResponder: HTTPResponder {
    typealias Context = DoorContext

    let vims: VIMResource
    let events: EventResource
    let authentication = Authentication.none
    let configuration: RESTConfiguration
    let logger: Logger

    func respond(to request: Request, context: DoorContext) async throws -> Response {
        let start = ContinuousClock.now
        var random = SystemRandomNumberGenerator()
        let requestID = "req-\(UniqueID(using: &random))"
        let route = Route(path: request.uri.path)
        var response: Response
        if request.head.path?.utf8.count ?? 0 > configuration.targetByteMax {
            response = Response(status: .uriTooLong)
        } else if let role = configuration.role, route?.isOfTheRegistry ?? false {
            response = try await pairedResponse(to: request, route, requestID: requestID, context, role)
        } else {
            let reply = try await reply(to: request, route, requestID: requestID, context)
            response = DoorResponder.response(reply, isHead: request.method == .head)
        }
        if route?.isIdentified ?? request.uri.path.hasPrefix("/v1.0") {
            response.headers[.openStackRequestID] = requestID
        }
        // The path alone: a query string may hold anything, and a body does hold secrets.
        logger.info(
            "request",
            metadata: [
                "method": "\(request.method)", "path": "\(request.uri.path.prefix(256))",
                "status": "\(response.status.code)", "request_id": "\(requestID)",
                "remote": "\(context.remoteAddress)", "duration": "\(ContinuousClock.now - start)",
            ])
        return response
    }

    /// The one place where faults become replies.
    func reply(
        to request: Request, _ route: Route?, requestID: String, _ context: DoorContext
    ) async throws -> Reply {
        do {
            guard let route else { return .unknownPath }
            let caller = try await authentication.caller(headers: request.headers)
            let scope = RequestScope(
                caller: caller,
                actor: caller.actor(requestID: requestID, remoteAddress: context.remoteAddress))
            return try await dispatch(request, route, scope)
        } catch let error as HTTPParserError {
            // What comes is not HTTP: only the server below can answer that.
            throw error
        } catch {
            guard let known = error as? APIError else {
                // Errors of libraries may quote what they were given: the type must do.
                logger.error(
                    "request failed", metadata: ["error": "\(type(of: error))", "request_id": "\(requestID)"])
                let (status, body) = APIError.internalError.reply(legacyStatusCodes: false)
                return Reply(status, body)
            }
            let (status, body) = known.reply(legacyStatusCodes: configuration.legacyStatusCodes)
            var reply = Reply(status, body)
            reply.isElsewhere = known == .elsewhere
            return reply
        }
    }

    private func dispatch(_ request: Request, _ route: Route, _ scope: RequestScope) async throws -> Reply {
        let parameters = QueryParameters(request.uri.query)
        switch (request.method, route) {
        case (.get, .versions):
            return Reply(200, Discovery.versions(host: DoorResponder.host(of: request)))
        case (.get, .live):
            return Reply(200, ["status": "live", "version": .string(configuration.serverVersion)])
        case (.get, .leader): return leaderReply()
        case (.get, .ready): return readyReply()
        case (.get, .head):
            guard let note = configuration.publishedHead() else {
                return Reply(404, text: "No head is signed: start the server with --head-key.\n")
            }
            return Reply(200, text: note)
        case (.get, .extensions):
            return Reply(200, ["extensions": .array(Discovery.extensions)])
        case (.get, .extension(let alias)):
            guard let entry = Discovery.extension(alias) else { throw APIError.noExtension(alias) }
            return Reply(200, ["extension": entry])
        case (.get, .vims):
            let (result, query) = try vims.list(parameters, scope: scope)
            return listReply("vims", VIMRendering.table, result, query, request, parameters)
        case (.get, .vim(let id)):
            return try vims.show(id, fields: parameters.values("fields"), scope: scope)
        case (.get, .vedetteVIM(let id)):
            return try await vims.showExtended(id, scope: scope)
        case (.post, .vims):
            return try await vims.create(try await body(of: request), scope: scope)
        case (.put, .vim(let id)):
            return try await vims.update(id, body: try await body(of: request), scope: scope)
        case (.delete, .vim(let id)):
            return try await vims.delete(id, scope: scope)
        case (.get, .events):
            let (result, query) = try events.list(parameters, scope: scope)
            return listReply("events", EventRendering.table, result, query, request, parameters)
        case (.get, .event(let id)):
            return try events.show(id, fields: parameters.values("fields"), scope: scope)
        case (.post, .events), (.put, .event), (.delete, .event):
            return try events.refuseWrite(request.method, legacyStatusCodes: configuration.legacyStatusCodes)
        default:
            return .unknownPath
        }
    }

    private func body(of request: Request) async throws -> [UInt8] {
        try await BodyCollection.collect(request, configuration: configuration)
    }

    private func listReply<Row>(
        _ collection: String, _ table: Table<Row>, _ result: ListResult<Row>, _ query: ListQuery,
        _ request: Request, _ parameters: QueryParameters
    ) -> Reply {
        var body: [String: JSONValue] = [:]
        body[collection] = .array(result.rows.map { table.shown($0, fields: query.fields) })
        var links: [JSONValue] = []
        let base = "http://\(DoorResponder.host(of: request))\(request.uri.path)?"
        if let marker = result.next {
            let text = parameters.text(replacing: [("marker", marker), ("page_reverse", nil)])
            links.append(["rel": "next", "href": .string(base + text)])
        }
        if let marker = result.previous {
            let text = parameters.text(replacing: [("marker", marker), ("page_reverse", "True")])
            links.append(["rel": "previous", "href": .string(base + text)])
        }
        if !links.isEmpty { body["\(collection)_links"] = .array(links) }
        return Reply(200, .object(body))
    }

    private static func host(of request: Request) -> String {
        request.head.authority ?? "localhost"
    }

    static func response(_ reply: Reply, isHead: Bool) -> Response {
        let status = HTTPResponse.Status(code: reply.status)
        var headers = HTTPFields()
        let bytes: [UInt8]
        switch reply.body {
        case .none: return Response(status: status)
        case .json(let value):
            bytes = value.encoded
            headers[.contentType] = "application/json"
        case .text(let text):
            bytes = Array(text.utf8)
            headers[.contentType] = "text/plain; charset=utf-8"
        }
        headers[.contentLength] = String(bytes.count)
        return Response(
            status: status, headers: headers,
            body: isHead ? ResponseBody() : ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}

extension HTTPField.Name {
    /// The header `X-Openstack-Request-Id`.
    static let openStackRequestID: HTTPField.Name = {
        guard let name = HTTPField.Name("X-Openstack-Request-Id") else {
            preconditionFailure("a header name of letters and hyphens is a header name")
        }
        return name
    }()
}
