// Starts: the server, on limits of the system that it runs into.
import Foundation
import Harness
import Testing

@Suite("A limit of the system", .serialized)
struct LimitTests {
    @Test("A file that may not grow any more is told; reads go on, and service resumes with a higher limit")
    func fileSize() async throws {
        try await withTemporaryDirectory { directory in
            let data = directory + "/data"
            let (count, exitCode) = try await withServer(dataDirectory: data, arguments: options) { server in
                _ = try await server.register(vim(0))
                let size = try #require(
                    FileManager.default.attributesOfItem(atPath: data + "/events.lmdb")[.size] as? Int)
                try await limit(server, "fsize", "\(size + 200_000):")
                let (taken, refusal) = try await registerUntilRefused(server)
                #expect(refusal.status == 503)
                #expect(
                    refusal.text.contains("may not grow") && refusal.text.contains(data), "\(refusal.text)")
                #expect(try await server.request(.get, "/v1.0/vims").status == 200)
                try await limit(server, "fsize", "unlimited:")
                try await eventually("service resumes with a higher limit") {
                    try await server.request(.post, "/v1.0/vims", body: ["vim": vim(9_999)]).status == 201
                }
                return taken + 2
            }
            #expect(exitCode == 0)
            try await verify(data, vims: count)
        }
    }

    @Test("Callers that hold more connections than there are file descriptors do not take the last ones")
    func openFiles() async throws {
        try await withTemporaryDirectory { directory in
            let data = directory + "/data"
            let few = ["/usr/bin/prlimit", "--nofile=256:256"]
            let (_, exitCode) = try await withServer(
                dataDirectory: data, arguments: options, under: few
            ) { server in
                _ = try await server.register(vim(0))
                try await holdingConnections(280, to: server, log: directory + "/holder.log") {
                    // The connection there is goes on; no new one is taken.
                    #expect(try await server.request(.get, "/v1.0/vims").status == 200)
                    let other = try await run(
                        "/usr/bin/curl", ["--max-time", "2", "-s", server.url("/v1.0/vims")])
                    #expect(other.exitCode != 0)
                    let reply = try await server.request(.post, "/v1.0/vims", body: ["vim": vim(1)])
                    #expect(reply.status == 201)
                    let open = try FileManager.default.contentsOfDirectory(
                        atPath: "/proc/\(server.process.id)/fd")
                    #expect((64..<192).contains(open.count), "what is left is for probes and the log")
                }
                try await eventually("new connections are taken again") {
                    try await run("/usr/bin/curl", ["--max-time", "2", "-s", server.url("/v1.0/vims")])
                        .exitCode == 0
                }
            }
            #expect(exitCode == 0)
            try await verify(data, vims: 2)
        }
    }

    @Test("Where the address space is small, a smaller map is made, and everything works")
    func addressSpace() async throws {
        try await withTemporaryDirectory { directory in
            let data = directory + "/data"
            let small = ["/usr/bin/prlimit", "--as=\(4 << 30)"]
            let count = 5
            let (_, exitCode) = try await withServer(
                dataDirectory: data, arguments: options, under: small
            ) { server in
                for number in 0..<count {
                    _ = try await server.register(vim(number))
                }
                #expect(
                    try await server.request(.get, "/v1.0/vims?fields=id").json()["vims"].array.count == count
                )
            }
            #expect(exitCode == 0)
            try await verify(data, vims: count, under: small)
        }
    }

    @Test(
        "On a read-only file system the server says so and does not start, and every reading command works",
        .enabled("mounting a tmpfs is not permitted here; run as root with CAP_SYS_ADMIN") {
            await canMount()
        })
    func readOnly() async throws {
        try await withTemporaryDirectory { directory in
            let mount = directory + "/mount"
            try FileManager.default.createDirectory(atPath: mount, withIntermediateDirectories: false)
            try await withTmpfs(mount, megabytes: 16) {
                let data = mount + "/data"
                try await withServer(dataDirectory: data, arguments: options) { server in
                    _ = try await server.register(vim(0))
                }
                try await run("/usr/bin/mount", ["-o", "remount,ro", mount]).requireSuccess()
                for arguments in [["serve", "--listen", "127.0.0.1:0", "--auth", "none"], ["rebuild"]] {
                    let refused = try await runVedette(arguments + ["--data-directory", data])
                    #expect(refused.exitCode == 1)
                    #expect(refused.errorOutput.contains(data), "\(refused.errorOutput)")
                    #expect(refused.errorOutput.localizedCaseInsensitiveContains("read-only file system"))
                    #expect(refused.errorOutput.split(separator: "\n").count == 1, "\(refused.errorOutput)")
                }
                for arguments in [
                    ["vim", "list"], ["audit", "log"], ["audit", "verify"], ["rebuild", "--check"],
                ] {
                    try await runVedette(arguments + ["--data-directory", data]).requireSuccess()
                }
            }
        }
    }

    private let options = ["--registration-check", "deferred"]

    private func vim(_ number: Int) -> JSON {
        var vim = standInVIM("limit-\(number)", at: "http://127.0.0.1:1").object
        vim["description"] = .string(String(repeating: "x", count: 20_000))
        return .object(vim)
    }

    /// Opens so many connections that ask for nothing, and closes them after the body.
    private func holdingConnections(
        _ count: Int, to server: RunningServer, log: String, _ body: () async throws -> Void
    ) async throws {
        let script = """
            import socket, sys, time
            host, port = sys.argv[1].split(":")
            held = [socket.create_connection((host, int(port)), timeout=20) for _ in range(int(sys.argv[2]))]
            print("open", flush=True)
            time.sleep(120)
            """
        let arguments = ["-c", script, server.address, "\(count)"]
        try await withProcess("/usr/bin/python3", arguments, log: log) { holder in
            try await eventually("the connections are open") { holder.logText().contains("open") }
            try await body()
        }
    }

    private func limit(_ server: RunningServer, _ name: String, _ value: String) async throws {
        try await run("/usr/bin/prlimit", ["--pid", "\(server.process.id)", "--\(name)=\(value)"])
            .requireSuccess()
    }

    /// How many registrations were taken, and the reply to the one that was not.
    private func registerUntilRefused(_ server: RunningServer) async throws -> (Int, Reply) {
        for number in 1...500 {
            let reply = try await server.request(.post, "/v1.0/vims", body: ["vim": vim(number)])
            if reply.status != 201 { return (number - 1, reply) }
        }
        throw HarnessError("the limit was never reached")
    }

    private func verify(_ data: String, vims: Int, under wrapper: [String] = []) async throws {
        let command = wrapper + [Programs.vedette]
        for arguments in [["audit", "verify"], ["rebuild", "--check"]] {
            try await run(command[0], command.dropFirst() + arguments + ["--data-directory", data])
                .requireSuccess()
        }
        let list = try await runVedette(["vim", "list", "--json", "--data-directory", data])
        #expect(try JSON(text: list.output)["vims"].array.count == vims, "\(list.errorOutput)")
    }
}

extension FinishedProcess {
    fileprivate func requireSuccess() throws {
        if exitCode != 0 { throw HarnessError("exit code \(exitCode): \(output) \(errorOutput)") }
    }
}
