import Foundation

/// An endpoint that stands for a VIM, or a real Keystone, beside the test.
package struct RunningEndpoint: Sendable {
    /// The process.
    package let process: RunningProcess
    /// Its port on 127.0.0.1.
    package let port: Int
    /// `http` or `https`.
    package let scheme: String

    /// What to register as `auth_url`.
    package var url: String { "\(scheme)://127.0.0.1:\(port)" }

    /// Makes a stand-in refuse connections.
    package func goDown() { process.signal(SIGUSR1) }
    /// Makes a stand-in answer again.
    package func comeUp() { process.signal(SIGUSR2) }
}

/// Runs tools/demo/stand_in_vim.py beside `body`.
@discardableResult
package func withStandInVIM<Result: Sendable>(
    _ arguments: [String] = [], directory: String, _ body: (RunningEndpoint) async throws -> Result
) async throws -> Result {
    let scheme = arguments.contains("--tls-certificate") ? "https" : "http"
    return try await withEndpoint(
        "/usr/bin/python3", [Programs.standInVIM] + arguments, scheme: scheme, directory: directory, body)
}

/// Runs a real Keystone beside `body`; `directory` keeps its database, so that the next call finds it again.
///
/// Port 0 takes any free one. The administrator is `admin` with the password `keystone-admin-secret`, in the
/// project `admin`.
@discardableResult
package func withKeystone<Result: Sendable>(
    directory: String, port: Int = 0, _ body: (RunningEndpoint) async throws -> Result
) async throws -> Result {
    try await withEndpoint(
        Programs.keystonePython, [Programs.keystone, directory, "--port", "\(port)"], scheme: "http",
        directory: directory, body)
}

private func withEndpoint<Result: Sendable>(
    _ program: String, _ arguments: [String], scheme: String, directory: String,
    _ body: (RunningEndpoint) async throws -> Result
) async throws -> Result {
    let portFile = directory + "/port-\(UUID().uuidString)"
    return try await withProcess(
        program, arguments + ["--port-file", portFile], log: directory + "/endpoint.log"
    ) { process in
        let port = try await eventually("the endpoint listens", limit: startLimit) {
            guard !isZombie(process.id) else {
                throw HarnessError("the endpoint ended: \(process.logText().suffix(2_000))")
            }
            return (try? String(contentsOfFile: portFile, encoding: .utf8))
                .flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
        }
        return try await body(RunningEndpoint(process: process, port: port, scheme: scheme))
    }.result
}

/// What to register for a stand-in Keystone of the default account.
package func standInVIM(_ name: String, at url: String, password: String = "demo-password") -> JSON {
    [
        "name": .string(name), "type": "openstack", "auth_url": .string(url),
        "vim_project": ["name": "demo", "project_domain_name": "Default"],
        "auth_cred": [
            "username": "demo", "password": .string(password), "user_domain_name": "Default",
            "cert_verify": "True",
        ],
    ]
}
