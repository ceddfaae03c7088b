// Starts: RabbitMQ, a real Keystone, a real Mistral that asks it about tokens, the server, a stand-in VIM.
import Foundation
import Harness
import Testing

@Suite("A Mistral behind a Keystone", .serialized)
struct MistralKeystoneTests {
    @Test("Registered, watched and deregistered with Keystone's tokens; without one Mistral refuses")
    func authenticated() async throws {
        try await withTemporaryDirectory { directory in
            try await withKeystone(directory: directory) { keystone in
                try await withBroker(directory: directory) { broker in
                    var options = MistralOptions()
                    options.keystoneURL = keystone.url
                    try await withMistral(directory: directory, broker: broker, options) { mistral in
                        try await withStandInVIM(directory: directory) { endpoint in
                            try await follow(directory, keystone, broker, mistral, endpoint)
                        }
                    }
                }
            }
        }
    }

    private func follow(
        _ directory: String, _ keystone: RunningEndpoint, _ broker: RunningBroker,
        _ mistral: RunningMistral, _ endpoint: RunningEndpoint
    ) async throws {
        let refused = try await run(
            "/usr/bin/curl",
            [
                "--silent", "--output", "/dev/null", "--write-out", "%{http_code}",
                mistral.url + "/v2/workflows",
            ])
        #expect(refused.output == "401")

        let login = [
            "--mistral-auth-url", keystone.url, "--mistral-user-name", "admin", "--mistral-project", "admin",
        ]
        let token = try await token(of: keystone)
        try await withServer(
            dataDirectory: directory + "/data", arguments: MistralFleet.options(broker, mistral) + login,
            environment: ["VEDETTE_MISTRAL_PASSWORD": "keystone-admin-secret"]
        ) { server in
            let fleet = MistralFleet(server: server, mistral: mistral, token: token)
            let id = try await fleet.register(["behind Keystone"], at: endpoint)[0]
            try await server.waitForStatus("REACHABLE", of: id)
            try await fleet.waitUntilWhole([id])
            let actionID = try await fleet.watch(of: id).actionID
            try await fleet.deregister(id)
            try await fleet.waitForEnd(of: [actionID])
            try await fleet.waitUntilWhole([])
            #expect(!server.process.logText().contains("keystone-admin-secret"))
        }
    }

    /// The test's own look at Mistral needs one, too.
    private func token(of keystone: RunningEndpoint) async throws -> String {
        let body: JSON = [
            "auth": [
                "identity": [
                    "methods": ["password"],
                    "password": [
                        "user": [
                            "name": "admin", "domain": ["name": "Default"],
                            "password": "keystone-admin-secret",
                        ]
                    ],
                ],
                "scope": ["project": ["name": "admin", "domain": ["name": "Default"]]],
            ]
        ]
        let answer = try await run(
            "/usr/bin/curl",
            [
                "--silent", "--output", "/dev/null", "--write-out", "%header{x-subject-token}", "--header",
                "Content-Type: application/json", "--data-binary", try body.text(),
                keystone.url + "/v3/auth/tokens",
            ])
        try #require(!answer.output.isEmpty)
        return answer.output
    }
}
