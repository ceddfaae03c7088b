// Starts: RabbitMQ with TLS and a user of its own, the server, an unmodified oslo.messaging client.
import Foundation
import Harness
import Testing

@Suite("RPC over TLS")
struct RPCTLSTests {
    @Test("The broker's certificate is verified, ours is shown, and no password is told to anybody")
    func encrypted() async throws {
        try await withTemporaryDirectory { directory in
            try await makeCertificates(in: directory)
            let port = try freePorts(count: 1)[0]
            let settings = [
                "listeners.ssl.1 = 127.0.0.1:\(port)",
                "ssl_options.cacertfile = \(directory)/ca.pem",
                "ssl_options.certfile = \(directory)/broker.pem",
                "ssl_options.keyfile = \(directory)/broker.key",
                "ssl_options.verify = verify_peer",
                "ssl_options.fail_if_no_peer_cert = true",
                "default_user = vim", "default_pass = s3cret-word",
            ]
            try await withBroker(directory: directory, settings: settings) { _ in
                let url = "amqps://vim:s3cret-word@localhost:\(port)/"
                let files = [
                    "--amqp-ca-file", directory + "/ca.pem", "--amqp-certificate-file",
                    directory + "/client.pem",
                    "--amqp-key-file", directory + "/client.key",
                ]
                try await withServer(
                    dataDirectory: directory + "/data", arguments: rpcOptions(url) + files
                ) { server in
                    try await server.waitForBroker()
                    let vim = try await server.registerWatched()
                    let answers = try await Oslo.generation18.calls(
                        [vim.report("report")],
                        at: url.replacingOccurrences(of: "amqps", with: "rabbit"),
                        configuration: """
                            [oslo_messaging_rabbit]
                            ssl = true
                            ssl_ca_file = \(directory)/ca.pem
                            ssl_cert_file = \(directory)/client.pem
                            ssl_key_file = \(directory)/client.key
                            """, in: directory)
                    #expect(answers["report"]["result"].string == "REACHABLE", "\(answers)")
                    #expect(!server.process.logText().contains("s3cret"))
                }
                try await refused(rpcOptions(url), in: directory)
                try await refused(
                    rpcOptions(url.replacingOccurrences(of: "s3cret", with: "an0ther")) + files,
                    in: directory,
                    words: "refuses access")
                // The certificate names localhost alone.
                try await refused(
                    rpcOptions(url.replacingOccurrences(of: "localhost", with: "127.0.0.1")) + files,
                    in: directory)
            }
        }
    }

    private func refused(
        _ arguments: [String], in directory: String, words: String = "no connection to the broker"
    ) async throws {
        try await withServer(
            dataDirectory: directory + "/refused-\(UUID().uuidString)", arguments: arguments
        ) { server in
            try await eventually("the server says: \(words)") {
                server.process.logText().contains("no connection to the broker")
            }
            let log = server.process.logText()
            #expect(log.contains(words), "\(log)")
            #expect(!log.contains("connected to the broker"))
            #expect(!log.contains("s3cret") && !log.contains("an0ther"))
        }
    }

    /// An authority, and certificates of it for the broker and a client.
    private func makeCertificates(in directory: String) async throws {
        func openssl(_ arguments: String) async throws {
            let words = arguments.split(separator: " ").map(String.init)
            let finished = try await run("/usr/bin/openssl", words)
            guard finished.exitCode == 0 else { throw HarnessError("openssl: \(finished.errorOutput)") }
        }
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        try await openssl(
            "req -x509 \(key) -keyout \(directory)/ca.key -out \(directory)/ca.pem -subj /CN=test-authority")
        for (name, subject) in [("broker", "localhost"), ("client", "vedette")] {
            try await openssl(
                "req -x509 \(key) -keyout \(directory)/\(name).key -out \(directory)/\(name).pem "
                    + "-CA \(directory)/ca.pem -CAkey \(directory)/ca.key -subj /CN=\(subject) "
                    + "-addext subjectAltName=DNS:\(subject) -addext basicConstraints=critical,CA:FALSE")
        }
    }
}
