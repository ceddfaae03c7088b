// Starts openssl, which makes certificates; links speak over real sockets on loopback.
import Foundation
import Harness
import NIOCore
import PairProtocol
import Samples
import Testing

@testable import PairWire

private let session = Session(epoch: 1, number: 1)

/// An authority of its own, and a certificate that it signed.
private func makeFiles(in directory: String, _ name: String) async throws -> PairTLSFiles {
    let path = "\(directory)/\(name)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    let made = try await run(Programs.repository + "/Tests/Fixtures/certificates/make", [path])
    guard made.exitCode == 0 else { throw HarnessError("openssl: \(made.errorOutput)") }
    return PairTLSFiles(
        certificate: path + "/server.pem", key: path + "/server.key", authority: path + "/ca.pem")
}

@Suite("A link over TLS")
struct TLSTests {
    @Test("Nodes whose certificates one authority signed speak, also batches, and find each other again")
    func speaks() async throws {
        try await withTemporaryDirectory { directory in
            let files = try await makeFiles(in: directory, "pair")
            var random = SeededGenerator(seed: runSeed)
            let bytes = random.bytes(20 << 20)
            let message = PairMessage.batch(session, ShippedBatch(before: 0, end: .none, bytes: bytes))
            try await withPair(security: .tls(files)) { first, second in
                first.send(message)
                for number in 1...2_000 {
                    first.send(.ping(session, sent: .seconds(number), promise: nil, acknowledged: nil))
                }
                try await second.waitFor(
                    .received(.ping(session, sent: .seconds(2_000), promise: nil, acknowledged: nil)))
                #expect(second.received.first == message)
                #expect(
                    second.received.dropFirst()
                        == (1...2_000).map {
                            .ping(session, sent: .seconds($0), promise: nil, acknowledged: nil)
                        }[...]
                )
                try first.link().disconnect()
                for node in [first, second] { try await node.waitFor(.connected, count: 2) }
                second.send(.hello(session))
                try await first.waitFor(.received(.hello(session)))
            }
        }
    }

    @Test("A certificate of a foreign authority is refused on both sides")
    func foreign() async throws {
        try await withTemporaryDirectory { directory in
            let files = try await makeFiles(in: directory, "pair")
            let others = try await makeFiles(in: directory, "others")
            let ports = try freePorts(count: 2)
            let first = try Node(greeting("a", 1), listen: ports[0], peer: ports[1], security: .tls(files))
            let second = try Node(greeting("b", 2), listen: ports[1], peer: ports[0], security: .tls(others))
            try await withRunning(first, second) {
                for node in [first, second] {
                    // Each does not believe whom it dials.
                    try await node.waitForLog("its certificate is not signed by the pair's authority")
                }
            }
            #expect(first.delivered == [] && second.delivered == [])

            // One believes the other's authority: it is the other that refuses its certificate.
            let trusting = PairTLSFiles(
                certificate: others.certificate, key: others.key, authority: files.authority)
            let third = try Node(greeting("c", 3), listen: ports[1], peer: ports[0], security: .tls(trusting))
            try await withRunning(first, third) {
                try await third.waitForLog("it does not accept this node's certificate")
                try await first.waitForLog("a connection to the pair's port was closed: its certificate")
            }
            #expect(first.delivered == [] && third.delivered == [])
        }
    }

    @Test("Whoever shows no certificate, or speaks clear text, is refused before a word is read")
    func strangers() async throws {
        try await withTemporaryDirectory { directory in
            let files = try await makeFiles(in: directory, "pair")
            let ports = try freePorts(count: 2)
            let node = try Node(greeting("a", 1), listen: ports[0], peer: ports[1], security: .tls(files))
            let clear = try Node(greeting("b", 2), listen: ports[1], peer: ports[0])
            try await withRunning(node, clear) {
                try await node.waitForLog("it does not speak TLS")
                let arguments = "s_client -connect 127.0.0.1:\(ports[0]) -CAfile \(files.authority) -ign_eof"
                let client = try await run(
                    "/usr/bin/openssl", arguments.split(separator: " ").map(String.init), input: "hello")
                #expect((client.output + client.errorOutput).contains("certificate required"))
                try await node.waitForLog("it shows no certificate")
                let old = try await run(
                    "/usr/bin/openssl", (arguments + " -tls1_2").split(separator: " ").map(String.init))
                #expect((old.output + old.errorOutput).contains("protocol version"))
            }
            #expect(node.delivered == [] && clear.delivered == [])
        }
    }

    @Test("Files that are missing, garbage or do not belong together are named")
    func files() async throws {
        try await withTemporaryDirectory { directory in
            let files = try await makeFiles(in: directory, "pair")
            let others = try await makeFiles(in: directory, "others")
            let garbage = directory + "/garbage"
            try Data("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n".utf8)
                .write(to: URL(fileURLWithPath: garbage))
            func error(_ change: (inout PairTLSFiles) -> Void) -> String {
                var changed = files
                change(&changed)
                let configuration = PairConfiguration(
                    listen: address(1), peer: address(2), security: .tls(changed))
                do {
                    _ = try PairLink(
                        configuration, greeting: greeting("a", 1), logger: LogLines().logger
                    ) { _ in }
                    return "none"
                } catch { return error.description }
            }
            #expect(error { _ in } == "none")
            for path in [directory + "/missing", garbage, directory] {
                for part in [\PairTLSFiles.certificate, \.key, \.authority] {
                    #expect(error { $0[keyPath: part] = path }.hasPrefix("\(path) "), "\(path)")
                }
            }
            #expect(error { $0.certificate = files.key }.hasPrefix(files.key))
            #expect(error { $0.key = others.key }.contains("\(others.key) is not the key of"))
        }
    }
}
