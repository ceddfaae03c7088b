// Starts: the server, in ways it must refuse or survive.
import Foundation
import Harness
import Testing

@Suite("Starting and stopping the server", .serialized)
struct ServeTests {
    @Test("A data directory that cannot be made or written is refused with its path and the reason")
    func unwritable() async throws {
        try await withTemporaryDirectory { directory in
            try write("not a directory", to: directory + "/file")
            for path in [directory + "/file", directory + "/file/data", "/proc/vedette"] {
                let refused = try await serve(path)
                #expect(refused.exitCode == 1, "\(path): \(refused.errorOutput)")
                #expect(refused.errorOutput.contains(path), "\(refused.errorOutput)")
            }
        }
    }

    @Test("A data directory that another server uses is refused with that server's process id")
    func inUse() async throws {
        try await withTemporaryDirectory { directory in
            try await withServer(dataDirectory: directory + "/data") { server in
                let refused = try await serve(server.dataDirectory)
                #expect(refused.exitCode == 1)
                #expect(refused.errorOutput.contains("\(server.process.id)"), "\(refused.errorOutput)")
                #expect(try await server.request(.get, "/").status == 200)
                // The refused one must not have taken the other's place in server.json.
                let file = try String(contentsOfFile: server.dataDirectory + "/server.json", encoding: .utf8)
                #expect(try JSON(text: file)["address"].string == server.address)
            }
        }
    }

    @Test("A port that is taken is refused with the address")
    func portTaken() async throws {
        try await withTemporaryDirectory { directory in
            try await withServer(dataDirectory: directory + "/data") { server in
                let refused = try await serve(directory + "/other", "--listen", server.address)
                #expect(refused.exitCode == 1)
                #expect(refused.errorOutput.contains(server.address), "\(refused.errorOutput)")
            }
        }
    }

    @Test("A log of a newer format is refused, and every byte of it stays as it is")
    func newerFormat() async throws {
        try await withTemporaryDirectory { directory in
            let dataDirectory = directory + "/data"
            try await withServer(dataDirectory: dataDirectory) { _ in }
            let script = Programs.repository + "/Tests/Fixtures/logs/make_newer"
            let made = try await run(script, [dataDirectory])
            #expect(made.exitCode == 0, "\(made.errorOutput)")
            let before = try Data(contentsOf: URL(fileURLWithPath: dataDirectory + "/events.lmdb"))
            let refusals = [
                try await serve(dataDirectory), try await vedette(dataDirectory, "vim", "list"),
                try await vedette(dataDirectory, "rebuild"),
            ]
            for refused in refusals {
                #expect(refused.exitCode == 1, "\(refused.output)")
                #expect(refused.errorOutput.contains("format"), "\(refused.errorOutput)")
            }
            #expect(try Data(contentsOf: URL(fileURLWithPath: dataDirectory + "/events.lmdb")) == before)
        }
    }

    @Test("A log whose events were altered is refused by replay, with the position")
    func altered() async throws {
        try await withTemporaryDirectory { directory in
            let dataDirectory = directory + "/data"
            try await withServer(
                dataDirectory: dataDirectory, arguments: ["--registration-check", "deferred"]
            ) { server in
                var vim = standInVIM("altered", at: "http://127.0.0.1:1").object
                vim["description"] = "the word of an honest man"
                _ = try await server.register(.object(vim))
            }
            let file = URL(fileURLWithPath: dataDirectory + "/events.lmdb")
            var bytes = try Data(contentsOf: file)
            var altered = 0
            while let range = bytes.firstRange(of: Data("honest".utf8)) {
                bytes.replaceSubrange(range, with: Data("bought".utf8))
                altered += 1
            }
            #expect(altered > 0)
            try bytes.write(to: file)
            let refused = try await vedette(dataDirectory, "rebuild")
            #expect(refused.exitCode == 1, "\(refused.output)")
            #expect(refused.errorOutput.contains("position"), "\(refused.errorOutput)")
            #expect(refused.errorOutput.contains(dataDirectory), "\(refused.errorOutput)")
        }
    }

    @Test("A file that was cut short is refused in words, not with a crash")
    func cutShort() async throws {
        try await withTemporaryDirectory { directory in
            let dataDirectory = directory + "/data"
            try await withServer(dataDirectory: dataDirectory) { _ in }
            let file = URL(fileURLWithPath: dataDirectory + "/events.lmdb")
            try Data(try Data(contentsOf: file).prefix(8_192)).write(to: file)
            let refusals = [
                try await serve(dataDirectory), try await vedette(dataDirectory, "vim", "list"),
                try await vedette(dataDirectory, "rebuild"),
            ]
            for refused in refusals {
                #expect(refused.exitCode == 1, "\(refused.output)")
                #expect(refused.errorOutput.contains(dataDirectory), "\(refused.errorOutput.prefix(400))")
            }
        }
    }

    @Test("A file whose inner pages were overwritten is refused in words, not with a crash")
    func overwritten() async throws {
        try await withTemporaryDirectory { directory in
            let dataDirectory = directory + "/data"
            try await withServer(dataDirectory: dataDirectory) { _ in }
            let file = URL(fileURLWithPath: dataDirectory + "/events.lmdb")
            var bytes = try Data(contentsOf: file)
            // The two pages that describe the file stay; all the others are overwritten.
            bytes.replaceSubrange(8_192..., with: repeatElement(0xA5, count: bytes.count - 8_192))
            try bytes.write(to: file)
            let refusals = [try await serve(dataDirectory), try await vedette(dataDirectory, "vim", "list")]
            for refused in refusals {
                #expect(refused.exitCode == 1)
                #expect(refused.errorOutput.contains(dataDirectory))
                #expect(!refused.errorOutput.contains("crashed"))
            }
        }
    }

    @Test("Without authentication it listens on loopback only, unless told --insecure")
    func insecure() async throws {
        try await withTemporaryDirectory { directory in
            let refused = try await serve(directory + "/data", "--listen", "0.0.0.0:0")
            #expect(refused.exitCode == 1 || refused.exitCode == 2)
            #expect(refused.errorOutput.contains("--insecure"), "\(refused.errorOutput)")
            try await withServer(
                dataDirectory: directory + "/data", arguments: ["--listen", "0.0.0.0:0", "--insecure"]
            ) { server in
                #expect(server.address.hasPrefix("0.0.0.0:"))
            }
        }
    }

    @Test(
        "A flag that makes no sense is exit code 2 and a sentence that names it",
        arguments: [
            ["--listen", "nonsense"], ["--listen", "127.0.0.1:70000"], ["--auth", "keystone"],
            ["--monitor-interval", "-1"], ["--monitor-interval", "often"], ["--monitor-timeout", "0"],
            ["--monitor-failure-threshold", "0"], ["--monitor-probe", "pigeon"],
            ["--registration-check", "perhaps"], ["--log-level", "loud"], ["--bogus", "1"],
        ])
    func badFlags(words: [String]) async throws {
        try await withTemporaryDirectory { directory in
            let arguments = ["serve", "--data-directory", directory + "/data", "--listen", "127.0.0.1:0"]
            let refused = try await runVedette(arguments + words, limit: .seconds(60))
            #expect(refused.exitCode == 2, "\(refused.errorOutput)")
            // As the flag or as the setting of a VIM that it is the default of.
            let names = [words[0].dropFirst(2), words[0].dropFirst("--monitor-".count)].map(String.init)
            let sentence = refused.errorOutput.replacing("_", with: "-")
            #expect(names.contains { sentence.contains($0) }, "\(refused.errorOutput)")
        }
    }

    @Test("Every flag has an environment variable and a key in the configuration file; a flag wins")
    func configuration() async throws {
        try await withTemporaryDirectory { directory in
            let file = directory + "/vedette.yaml"
            try write("registration-check: deferred\nmonitor-interval: 1\n", to: file)
            let unreachable = standInVIM("down", at: "http://127.0.0.1:1")
            try await withServer(
                dataDirectory: directory + "/file", arguments: ["--configuration-file", file]
            ) { server in
                let reply = try await server.request(.post, "/v1.0/vims", body: ["vim": unreachable])
                #expect(reply.status == 201, "\(reply.text)")
            }
            let environment = ["VEDETTE_REGISTRATION_CHECK": "deferred"]
            try await withServer(dataDirectory: directory + "/environment", environment: environment) {
                server in
                let reply = try await server.request(.post, "/v1.0/vims", body: ["vim": unreachable])
                #expect(reply.status == 201, "\(reply.text)")
            }
            try await withServer(
                dataDirectory: directory + "/flag", arguments: ["--registration-check", "required"],
                environment: environment
            ) { server in
                let reply = try await server.request(.post, "/v1.0/vims", body: ["vim": unreachable])
                #expect(reply.status == 400, "\(reply.text)")
            }
        }
    }

    @Test(
        "A configuration file that makes no sense is exit code 2 and a sentence that names what is wrong",
        arguments: [
            ("monitor-intervall: 3\n", "monitor-intervall"), ("monitor:\n  interval: 3\n", "monitor"),
            ("monitor-interval: often\n", "monitor-interval"), ("- a list\n", "no option"),
            ("a: [unfinished\n", "YAML"),
        ])
    func badFile(text: String, name: String) async throws {
        try await withTemporaryDirectory { directory in
            let file = directory + "/vedette.yaml"
            try write(text, to: file)
            let refused = try await serve(directory + "/data", "--configuration-file", file)
            #expect(refused.exitCode == 2, "\(refused.errorOutput)")
            #expect(refused.errorOutput.contains(name), "\(refused.errorOutput)")
        }
    }

    @Test("The master key is made once, readable by its owner alone, and a broken one is refused")
    func masterKey() async throws {
        try await withTemporaryDirectory { directory in
            let key = directory + "/master.key"
            let arguments = ["--master-key-file", key]
            try await withServer(dataDirectory: directory + "/data", arguments: arguments) { _ in }
            let made = try Data(contentsOf: URL(fileURLWithPath: key))
            let attributes = try FileManager.default.attributesOfItem(atPath: key)
            #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
            try await withServer(dataDirectory: directory + "/data", arguments: arguments) { _ in }
            #expect(try Data(contentsOf: URL(fileURLWithPath: key)) == made)
            try write("too short", to: key)
            let refused = try await serve(directory + "/data", "--master-key-file", key)
            #expect(refused.exitCode == 1)
            #expect(refused.errorOutput.contains(key), "\(refused.errorOutput)")
        }
    }

    @Test("SIGTERM under load: what was acknowledged is kept, and it exits 0")
    func terminateUnderLoad() async throws {
        try await withTemporaryDirectory { directory in
            let dataDirectory = directory + "/data"
            let arguments = ["--registration-check", "deferred"]
            let clock = ContinuousClock()
            let (loaded, exitCode) = try await withServer(dataDirectory: dataDirectory, arguments: arguments)
            {
                server in
                let acknowledged = try await withThrowingTaskGroup(of: [String].self) { group in
                    for caller in 0..<16 {
                        group.addTask { await registerUntilRefused(server, caller: caller) }
                    }
                    try await eventually("the load flows") {
                        try await server.request(.get, "/v1.0/vims").json()["vims"].array.count > 32
                    }
                    server.process.signal(SIGTERM)
                    let start = clock.now
                    try await eventually("the server ends") { isZombie(server.process.id) }
                    print("ServeTests: it ended \(clock.now - start) after SIGTERM under load")
                    return try await group.reduce(into: []) { $0 += $1 }
                }
                return acknowledged
            }
            #expect(exitCode == 0)
            #expect(loaded.count > 32)
            let list = try await runVedette(["vim", "list", "--json", "--data-directory", dataDirectory])
            let kept = Set(try JSON(text: list.output)["vims"].array.compactMap { $0["id"].string })
            #expect(Set(loaded).subtracting(kept) == [])
        }
    }

    private func registerUntilRefused(_ server: RunningServer, caller: Int) async -> [String] {
        var ids: [String] = []
        for number in 0..<10_000 {
            let vim = standInVIM("load-\(caller)-\(number)", at: "http://127.0.0.1:1")
            guard let id = try? await server.register(vim) else { break }
            ids.append(id)
        }
        return ids
    }

    private func vedette(_ dataDirectory: String, _ words: String...) async throws -> FinishedProcess {
        try await runVedette(words + ["--data-directory", dataDirectory])
    }

    private func serve(_ dataDirectory: String, _ words: String...) async throws -> FinishedProcess {
        let arguments = ["serve", "--data-directory", dataDirectory, "--auth", "none"]
        let listen = words.contains("--listen") ? [] : ["--listen", "127.0.0.1:0"]
        return try await runVedette(arguments + listen + words, limit: .seconds(60))
    }
}
