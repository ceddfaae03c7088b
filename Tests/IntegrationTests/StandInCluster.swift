import Harness

/// A stand-in Kubernetes API over TLS, whose `ca.pem` is in the directory that the body gets.
func withStandInCluster(_ body: (RunningEndpoint, String) async throws -> Void) async throws {
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

/// What to register for it.
func kubernetesVIM(
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
