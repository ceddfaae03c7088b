// Starts: the server and a stand-in Kubernetes API over TLS, with certificates made by openssl.
import Foundation
import Harness
import Testing

@Suite("A Kubernetes VIM over TLS", .serialized)
struct KubernetesTests {
    @Test("With its CA and bearer token it is registered, its namespaces are its regions, and it is watched")
    func trusted() async throws {
        try await withStandInCluster { cluster, directory in
            let authority = try String(contentsOfFile: directory + "/ca.pem", encoding: .utf8)
            try await withServer(dataDirectory: directory + "/data", arguments: quickMonitors) { server in
                // As it comes out of a YAML file that folded its lines.
                let folded = authority.replacingOccurrences(of: "\n", with: " ")
                let id = try await server.register(kubernetesVIM("k8s", at: cluster.url, authority: folded))
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
        try await withStandInCluster { cluster, directory in
            try await withServer(dataDirectory: directory + "/data", arguments: quickMonitors) { server in
                let refused = try await server.request(
                    .post, "/v1.0/vims", body: ["vim": kubernetesVIM("k8s", at: cluster.url)])
                #expect(refused.status == 400)
                #expect(try refused.json()["TackerError"]["type"] == "VimConnectionException")
                let id = try await server.register(kubernetesVIM("k8s", at: cluster.url, verify: "False"))
                try await server.waitForStatus("REACHABLE", of: id)
            }
        }
    }

    @Test("A monitor whose token or trust is wrong says so in the log")
    func reasons() async throws {
        try await withStandInCluster { cluster, directory in
            let authority = try String(contentsOfFile: directory + "/ca.pem", encoding: .utf8)
            try await withServer(
                dataDirectory: directory + "/data",
                arguments: quickMonitors + ["--registration-check", "deferred"]
            ) { server in
                let wrongToken = try await server.register(
                    kubernetesVIM("token", at: cluster.url, authority: authority, token: "wrong"))
                let noTrust = try await server.register(kubernetesVIM("trust", at: cluster.url))
                for (id, finding) in [(wrongToken, "http_status"), (noTrust, "certificate_refused")] {
                    try await server.waitForStatus("UNREACHABLE", of: id)
                    let report = try await server.auditLog("--vim", id, "--type", "vim.status_reported")
                    #expect(report.first?["finding"].string == finding)
                }
            }
        }
    }
}
