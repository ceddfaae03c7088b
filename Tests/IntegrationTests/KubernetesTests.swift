// Starts: the server and a stand-in Kubernetes API over TLS, with certificates made by openssl.
import Foundation
import Harness
import Testing

@Suite("A Kubernetes VIM over TLS", .serialized)
struct KubernetesTests {
    @Test("With its CA and bearer token it is registered, its namespaces are its regions, and it is watched")
    func trusted() async throws {
        try await withCluster { cluster, directory in
            let authority = try String(contentsOfFile: directory + "/ca.pem", encoding: .utf8)
            try await withServer(dataDirectory: directory + "/data", arguments: quickMonitors) { server in
                // As it comes out of a YAML file that folded its lines.
                let folded = authority.replacingOccurrences(of: "\n", with: " ")
                let id = try await server.register(vim("k8s", at: cluster.url, authority: folded))
                let vim = try await server.vim(id)
                #expect(vim["placement_attr"]["regions"] == ["default", "kube-system"])
                #expect(vim["auth_cred"]["bearer_token"] == "***")
                #expect(vim["auth_cred"]["ssl_ca_cert"] == "***")
                try await server.waitForStatus("REACHABLE", of: id)
                cluster.goDown()
                try await server.waitForStatus("UNREACHABLE", of: id)
                cluster.comeUp()
                try await server.waitForStatus("REACHABLE", of: id)
            }
            let body = authority.split(separator: "\n")[1]
            #expect(
                try files(below: directory + "/data", holding: ["kubernetes-token-secret", String(body)])
                    == [])
            let log = try String(contentsOfFile: directory + "/data.log", encoding: .utf8)
            #expect(!log.contains("kubernetes-token-secret"))
        }
    }

    @Test("Without its CA it is not trusted, unless cert_verify says that nobody should look")
    func untrusted() async throws {
        try await withCluster { cluster, directory in
            try await withServer(dataDirectory: directory + "/data", arguments: quickMonitors) { server in
                let refused = try await server.request(
                    .post, "/v1.0/vims", body: ["vim": vim("k8s", at: cluster.url)])
                #expect(refused.status == 400)
                #expect(try refused.json()["TackerError"]["type"] == "VimConnectionException")
                let id = try await server.register(vim("k8s", at: cluster.url, verify: "False"))
                try await server.waitForStatus("REACHABLE", of: id)
            }
        }
    }

    @Test("A monitor whose token or trust is wrong says so in the log")
    func reasons() async throws {
        try await withCluster { cluster, directory in
            let authority = try String(contentsOfFile: directory + "/ca.pem", encoding: .utf8)
            try await withServer(
                dataDirectory: directory + "/data",
                arguments: quickMonitors + ["--registration-check", "deferred"]
            ) { server in
                let wrongToken = try await server.register(
                    vim("token", at: cluster.url, authority: authority, token: "wrong"))
                let noTrust = try await server.register(vim("trust", at: cluster.url))
                for (id, finding) in [(wrongToken, "http_status"), (noTrust, "certificate_refused")] {
                    try await server.waitForStatus("UNREACHABLE", of: id)
                    let report = try await server.auditLog("--vim", id, "--type", "vim.status_reported")
                    #expect(report.first?["finding"].string == finding)
                }
            }
        }
    }

    private func vim(
        _ name: String, at url: String, authority: String? = nil, verify: String? = nil,
        token: String = "kubernetes-token-secret"
    ) -> JSON {
        var credentials: [String: JSON] = ["bearer_token": .string(token)]
        credentials["ssl_ca_cert"] = authority.map { .string($0) }
        credentials["cert_verify"] = verify.map { .string($0) }
        return [
            "name": .string(name), "type": "kubernetes", "auth_url": .string(url),
            "vim_project": ["name": "default"], "auth_cred": .object(credentials),
        ]
    }

    private func withCluster(_ body: (RunningEndpoint, String) async throws -> Void) async throws {
        try await withTemporaryDirectory { directory in
            let script = Programs.repository + "/Tests/Fixtures/certificates/make"
            let made = try await run(script, [directory])
            guard made.exitCode == 0 else { throw HarnessError("certificates: \(made.errorOutput)") }
            let arguments = [
                "--kind", "kubernetes", "--token", "kubernetes-token-secret", "--regions", "default",
                "kube-system", "--tls-certificate", directory + "/server.pem", "--tls-key",
                directory + "/server.key",
            ]
            try await withStandInVIM(arguments, directory: directory) { try await body($0, directory) }
        }
    }
}
