import FoundationEssentials
public import KeystoneClient
import NIOHTTP1

/// Mistral's REST API, version 2: workflows and their executions.
public struct MistralAPI: Sendable {
    /// So many entries a page are asked for; Mistral gives at most so many unless it was told otherwise.
    static let pageLength = 1_000

    private let base: String
    private let connection: ServiceConnection
    private let keystone: KeystoneSession?

    /// - Parameters:
    ///   - url: where Mistral answers, with or without `/v2`.
    ///   - keystone: gives the tokens; nil for a Mistral that asks for none.
    public init(url: String, connection: ServiceConnection, keystone: KeystoneSession?) {
        var base = url
        while base.hasSuffix("/") { base.removeLast() }
        if !base.hasSuffix("/v2") { base += "/v2" }
        self.base = base
        self.connection = connection
        self.keystone = keystone
    }

    /// Stores a workflow, in the place of one with the same name.
    public func storeWorkflow(definition yaml: String) async throws(MistralError) {
        do throws(MistralError) {
            try await call(.POST, "/workflows", body: Array(yaml.utf8), contentType: "text/plain")
        } catch {
            guard case .refused(status: 409, _) = error else { throw error }
            try await call(.PUT, "/workflows", body: Array(yaml.utf8), contentType: "text/plain")
        }
    }

    /// Removes a workflow; does nothing if there is none.
    ///
    /// Its executions stay.
    public func deleteWorkflow(named name: String) async throws(MistralError) {
        try await delete("/workflows/\(MistralAPI.escaped(name))")
    }

    /// Starts an execution; if there is one with this id, that one is answered and nothing is started.
    public func startExecution<Input: Encodable>(
        id: String, ofWorkflow name: String, description: String, input: Input
    ) async throws(MistralError) -> MistralExecution {
        let wish = ExecutionBody(id: id, workflowName: name, description: description, input: input)
        let body: [UInt8]
        do { body = Array(try JSONEncoder().encode(wish)) } catch {
            throw .malformed("the input of \(name) cannot be written as JSON")
        }
        return try MistralAPI.decode(try await call(.POST, "/executions", body: body))
    }

    /// What an execution was started with; nil if there is none of this id.
    public func input<Input: Decodable>(
        ofExecution id: String, as type: Input.Type
    ) async throws(MistralError) -> Input? {
        let answer: [UInt8]
        do throws(MistralError) {
            answer = try await call(.GET, "/executions/\(MistralAPI.escaped(id))")
        } catch {
            guard case .refused(status: 404, _) = error else { throw error }
            return nil
        }
        let execution: ExecutionInput = try MistralAPI.decode(answer)
        return try MistralAPI.decode(Array(execution.input.utf8))
    }

    /// Removes an execution, also a running one; does nothing if there is none.
    ///
    /// The action goes on running on its executor: only its own end ends it.
    public func deleteExecution(id: String) async throws(MistralError) {
        try await delete("/executions/\(MistralAPI.escaped(id))?force=true")
    }

    /// The executions of workflows whose names hold a text, in order of their ids.
    public func executions(ofWorkflowsHolding text: String) async throws(MistralError) -> [MistralExecution] {
        try await executions(filter: "has:\(text)")
    }

    /// The executions of some workflows, by name, in order of their ids.
    public func executions(ofWorkflows names: [String]) async throws(MistralError) -> [MistralExecution] {
        try await executions(filter: "in:\(names.joined(separator: ","))")
    }

    /// The names of workflows whose names hold a text.
    public func workflowNames(holding text: String) async throws(MistralError) -> [String] {
        let pages: [WorkflowPage] = try await pages(
            "/workflows?fields=name&name=has:\(MistralAPI.escaped(text))")
        return pages.flatMap(\.entries).map(\.name)
    }

    private func executions(filter: String) async throws(MistralError) -> [MistralExecution] {
        let pages: [ExecutionPage] = try await pages(
            "/executions?fields=workflow_name,description,state,state_info"
                + "&workflow_name=\(MistralAPI.escaped(filter))")
        return pages.flatMap(\.entries)
    }

    /// By marker, as Mistral's own `next` links do; those are not followed, for they spoil list filters.
    private func pages<OnePage: Page>(_ path: String) async throws(MistralError) -> [OnePage] {
        var pages: [OnePage] = []
        var marker = ""
        while true {
            let query = "&sort_keys=id&limit=\(MistralAPI.pageLength)\(marker)"
            let page: OnePage = try MistralAPI.decode(try await call(.GET, path + query))
            pages.append(page)
            guard page.next != nil, let last = page.entries.last else { return pages }
            marker = "&marker=\(MistralAPI.escaped(last.id))"
        }
    }

    private func delete(_ path: String) async throws(MistralError) {
        do throws(MistralError) { try await call(.DELETE, path) } catch {
            guard case .refused(status: 404, _) = error else { throw error }
        }
    }

    /// One call, answered with success.
    @discardableResult
    private func call(
        _ method: HTTPMethod, _ path: String, body: [UInt8]? = nil, contentType: String = "application/json"
    ) async throws(MistralError) -> [UInt8] {
        let answer: ServiceConnection.Answer
        do throws(ServiceFault) { answer = try await self.answer(method, path, body, contentType) } catch {
            throw .unreachable(error.description)
        }
        guard (200..<300).contains(answer.status) else {
            throw .refused(status: answer.status, fault: MistralAPI.fault(in: answer.body))
        }
        return answer.body
    }

    /// One call; after a 401 once more with a fresh token.
    private func answer(
        _ method: HTTPMethod, _ path: String, _ body: [UInt8]?, _ contentType: String
    ) async throws(ServiceFault) -> ServiceConnection.Answer {
        guard let keystone else { return try await ask(method, path, body, contentType, token: nil) }
        let kept = try await keystone.token()
        let first = try await ask(method, path, body, contentType, token: kept)
        guard first.status == 401 else { return first }
        await keystone.forget(kept)
        let fresh = try await keystone.token()
        let second = try await ask(method, path, body, contentType, token: fresh)
        if second.status == 401 { await keystone.forget(fresh) }
        return second
    }

    private func ask(
        _ method: HTTPMethod, _ path: String, _ body: [UInt8]?, _ contentType: String, token: String?
    ) async throws(ServiceFault) -> ServiceConnection.Answer {
        var headers = HTTPHeaders()
        if let token { headers.add(name: "X-Auth-Token", value: token) }
        return try await connection.send(
            method, base + path, headers: headers, body: body, contentType: contentType)
    }

    private static func decode<Value: Decodable>(_ body: [UInt8]) throws(MistralError) -> Value {
        do { return try JSONDecoder().decode(Value.self, from: Data(body)) } catch {
            throw .malformed(
                "what answers is no Mistral: \(String(decoding: body.prefix(120), as: UTF8.self))")
        }
    }

    /// Mistral's own words; without any, the answer's beginning.
    private static func fault(in body: [UInt8]) -> String {
        let own = (try? JSONDecoder().decode(FaultBody.self, from: Data(body)))?.faultstring
        return own ?? String(decoding: body.prefix(200), as: UTF8.self)
    }

    /// Everything but RFC 3986's unreserved characters, and the two that filters are made of.
    private static func escaped(_ text: String) -> String {
        text.utf8.map { byte -> String in
            let character = Character(UnicodeScalar(byte))
            if character.isASCII, character.isLetter || character.isNumber || "-._~:,".contains(character) {
                return String(character)
            }
            let digits = String(byte, radix: 16, uppercase: true)
            return "%" + (digits.count == 1 ? "0" : "") + digits
        }.joined()
    }
}

/// An execution as lists show it.
public struct MistralExecution: Decodable, Hashable, Sendable {
    /// Its UUID.
    public var id: String
    /// The workflow it executes.
    public var workflowName: String
    /// What whoever started it wrote beside it.
    public var description: String?
    /// `RUNNING`, `SUCCESS`, `ERROR`, `CANCELLED`, `PAUSED`, `IDLE`.
    public var state: String
    /// Why it is so, in Mistral's words; often nil.
    public var stateInfo: String?

    /// All parts at once.
    public init(
        id: String, workflowName: String, description: String? = nil, state: String, stateInfo: String? = nil
    ) {
        self.id = id
        self.workflowName = workflowName
        self.description = description
        self.state = state
        self.stateInfo = stateInfo
    }

    /// Whether it will not run again by itself.
    public var hasEnded: Bool { ["SUCCESS", "ERROR", "CANCELLED"].contains(state) }

    enum CodingKeys: String, CodingKey {
        case id, description, state
        case workflowName = "workflow_name"
        case stateInfo = "state_info"
    }
}

/// Why Mistral did not do what was asked.
public enum MistralError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Mistral, or its Keystone, gave no answer; one sentence.
    case unreachable(String)
    /// Mistral said no: the HTTP status, and its `faultstring`.
    case refused(status: Int, fault: String)
    /// The answer cannot be understood; one sentence.
    case malformed(String)

    /// One sentence.
    public var description: String {
        switch self {
        case .unreachable(let sentence), .malformed(let sentence): sentence
        case .refused(let status, let fault): "Mistral answered HTTP \(status): \(fault)"
        }
    }
}

private protocol Page: Decodable {
    associatedtype Entry: Identified
    var entries: [Entry] { get }
    var next: String? { get }
}

private protocol Identified {
    var id: String { get }
}

extension MistralExecution: Identified {}

private struct ExecutionPage: Page {
    var entries: [MistralExecution]
    var next: String?

    enum CodingKeys: String, CodingKey {
        case entries = "executions"
        case next
    }
}

private struct WorkflowPage: Page {
    struct Entry: Decodable, Identified {
        var id: String
        var name: String
    }

    var entries: [Entry]
    var next: String?

    enum CodingKeys: String, CodingKey {
        case entries = "workflows"
        case next
    }
}

private struct ExecutionBody<Input: Encodable>: Encodable {
    var id: String
    var workflowName: String
    var description: String
    var input: Input

    enum CodingKeys: String, CodingKey {
        case id, description, input
        case workflowName = "workflow_name"
    }
}

private struct ExecutionInput: Decodable {
    /// A JSON text.
    var input: String
}

private struct FaultBody: Decodable {
    var faultstring: String
}
