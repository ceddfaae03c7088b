import KeystoneClient
import Testing

@testable import MistralClient

@Suite("Mistral's REST API")
struct MistralAPITests {
    @Test("Lists are read page by page, by marker, until Mistral names no next page")
    func pages() async throws {
        try await ScriptedService.run { call in
            guard let marker = call.line.firstRange(of: "marker=") else {
                return (200, page(ids: ["a", "b"], next: "\"http://elsewhere/\""), nil)
            }
            let isLast = call.line[marker.upperBound...].hasPrefix("d")
            return (200, page(ids: isLast ? [] : ["c", "d"], next: isLast ? "null" : "\"x\""), nil)
        } _: { service, url, connection in
            let mistral = MistralAPI(url: url + "/v2/", connection: connection, keystone: nil)
            let found = try await mistral.executions(ofWorkflowsHolding: "vim_id_")
            #expect(found.map(\.id) == ["a", "b", "c", "d"])
            #expect(found.map(\.hasEnded) == [false, true, false, true])
            #expect(found[1].stateInfo == "why")
            let fields = "fields=workflow_name,description,state,state_info&workflow_name=has:vim_id_"
            let first = "GET /v2/executions?\(fields)&sort_keys=id&limit=1000"
            #expect(service.lines == [first, first + "&marker=b", first + "&marker=d"])
        }
    }

    @Test("An execution's input is read out of the text that Mistral keeps it as; one that is gone has none")
    func input() async throws {
        try await ScriptedService.run { call in
            call.line.hasSuffix("/e")
                ? (200, #"{"id": "e", "input": "{\"action_id\": \"a\"}"}"#, nil)
                : (404, #"{"faultstring": "not found"}"#, nil)
        } _: { service, url, connection in
            let mistral = MistralAPI(url: url, connection: connection, keystone: nil)
            let there = try await mistral.input(ofExecution: "e", as: [String: String].self)
            #expect(there == ["action_id": "a"])
            let gone = try await mistral.input(ofExecution: "f", as: [String: String].self)
            #expect(gone == nil)
            #expect(service.lines == ["GET /v2/executions/e", "GET /v2/executions/f"])
        }
    }

    @Test("A workflow that is there already is replaced; what is gone already counts as removed")
    func repeats() async throws {
        try await ScriptedService.run { call in
            if call.line.hasPrefix("DELETE") { return (404, #"{"faultstring": "not found"}"#, nil) }
            return call.line.hasPrefix("PUT")
                ? (200, "{}", nil) : (409, #"{"faultstring": "Duplicate"}"#, nil)
        } _: { service, url, connection in
            let mistral = MistralAPI(url: url, connection: connection, keystone: nil)
            try await mistral.storeWorkflow(definition: "version: '2.0'")
            try await mistral.deleteWorkflow(named: "vim_id_ä&b")
            try await mistral.deleteExecution(id: "e")
            #expect(
                service.lines == [
                    "POST /v2/workflows", "PUT /v2/workflows", "DELETE /v2/workflows/vim_id_%C3%A4%26b",
                    "DELETE /v2/executions/e?force=true",
                ])
            #expect(service.seen.prefix(2).map(\.body) == ["version: '2.0'", "version: '2.0'"])
        }
    }

    @Test(
        "A refusal keeps Mistral's status and words; no answer, and one that is no Mistral's, are told apart")
    func faults() async throws {
        try await ScriptedService.run { call in
            call.line.hasPrefix("POST")
                ? (400, #"{"faultcode": "Client", "faultstring": "Invalid input", "debuginfo": null}"#, nil)
                : (200, "<html>welcome</html>", nil)
        } _: { _, url, connection in
            let mistral = MistralAPI(url: url, connection: connection, keystone: nil)
            await #expect(throws: MistralError.refused(status: 400, fault: "Invalid input")) {
                try await mistral.startExecution(id: "e", ofWorkflow: "w", description: "", input: ["a": 1])
            }
            await #expect(throws: MistralError.malformed("what answers is no Mistral: <html>welcome</html>"))
            {
                try await mistral.executions(ofWorkflows: ["w"])
            }
            let nobody = MistralAPI(url: "http://127.0.0.1:1", connection: connection, keystone: nil)
            let error = await #expect(throws: MistralError.self) {
                try await nobody.executions(ofWorkflows: ["w"])
            }
            guard case .unreachable(let sentence)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(sentence.contains("http://127.0.0.1:1/v2/executions"))
            #expect(sentence.contains("does not answer: ") && sentence.contains("refused"))
        }
    }

    @Test("With Keystone every call carries a token; after a 401 one more login and one more try, no third")
    func keystone() async throws {
        let issued = Counter()
        try await ScriptedService.run { call in
            if call.line == "POST /v3/auth/tokens" {
                return (
                    201, #"{"token": {"expires_at": "2999-01-01T00:00:00.000000Z"}}"#,
                    "token-\(issued.next())"
                )
            }
            // The first token is revoked after its second use; workflows are for no token at all.
            if call.line.contains("workflows") { return (401, "Authentication required", nil) }
            return call.token == "token-1" && issued.uses() > 2
                ? (401, "", nil) : (200, page(ids: [], next: "null"), nil)
        } _: { service, url, connection in
            let account = KeystoneAccount(
                authURL: url, userName: "vedette", password: "mistral-secret", projectName: "nfv")
            let session = KeystoneSession(account: account, connection: connection)
            let mistral = MistralAPI(url: url, connection: connection, keystone: session)
            for _ in 0..<3 { _ = try await mistral.executions(ofWorkflows: ["w"]) }
            #expect(
                service.seen.map(\.token) == [nil, "token-1", "token-1", "token-1", nil, "token-2"])
            await #expect(throws: MistralError.refused(status: 401, fault: "Authentication required")) {
                try await mistral.workflowNames(holding: "w")
            }
            #expect(service.seen.count == 6 + 3)
            #expect(service.seen[0].body.contains("mistral-secret"))
            #expect(!"\(account)".contains("mistral-secret"))
        }
    }
}

private func page(ids: [String], next: String) -> String {
    let entries = ids.enumerated().map { index, id in
        let state = index % 2 == 0 ? #""RUNNING", "state_info": null"# : #""ERROR", "state_info": "why""#
        return #"{"id": "\#(id)", "workflow_name": "w", "state": \#(state)}"#
    }
    return #"{"executions": [\#(entries.joined(separator: ","))], "next": \#(next)}"#
}
