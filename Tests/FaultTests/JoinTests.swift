// Starts: a real etcd, two `vedette serve --pair`, the second with nothing; kills both in mid copy.
import Conductor
import EventLog
import Foundation
import Harness
import Logging
import Projections
import Registry
import Testing

/// A pair of which the first node has a log from its time as a server alone, and the second has nothing.
private struct JoiningPair: Sendable {
    let directory: String
    let etcd: RunningEtcd
    private let ports: [Int]

    init(in directory: String, etcd: RunningEtcd) throws {
        (self.directory, self.etcd) = (directory, etcd)
        ports = try freePorts(count: 4)
    }

    func data(_ number: Int) -> String { "\(directory)/node-\(number)" }
    func address(_ number: Int) -> String { "127.0.0.1:\(ports[number])" }
    func program(_ number: Int) -> RestartableProgram {
        RestartableProgram(
            Programs.vedette,
            [
                "serve", "--data-directory", data(number), "--listen", address(number),
                "--registration-check", "deferred", "--pair", "test", "--etcd", etcd.urls[0],
                "--pair-listen", "127.0.0.1:\(ports[2 + number])", "--peer", "127.0.0.1:\(ports[3 - number])",
            ], files: data(number), log: data(number) + ".log")
    }

    func waitForLead(of number: Int) async throws {
        try await eventually("node \(number) leads: \(program(number).logText().suffix(2_000))") {
            let reply = try? await ask(address(number), .get, "/healthz/leader", timeout: .seconds(1))
            return reply?.status == 200
        }
    }

    /// Notes all that the nodes ever tell of themselves.
    var watch: RestartableProgram {
        RestartableProgram(
            "/usr/bin/etcdctl", ["--endpoints", etcd.urls[0], "watch", "--prefix", "/vedette/test/nodes/"],
            files: directory + "/watch", log: directory + "/watch.log")
    }

    func waitForSync() async throws {
        do {
            try await eventually("both are in sync") {
                try await etcd.control("get", "/vedette/test/insync").joined().contains(" ")
            }
        } catch { throw HarnessError("\(error): \((0..<2).map { program($0).logText().suffix(3_000) })") }
    }

    /// Waits until a part of the second node's copy of this number lies beside where its log will be.
    func waitForCopy(_ number: Int) async throws {
        let staged = data(1) + "/restore.staged/events.lmdb"
        let node = program(1)
        try await eventually("a part of copy \(number) is there", every: .milliseconds(1)) {
            var facts = stat()
            return node.logText().components(separatedBy: "bytes=0 of=").count > number
                && stat(staged, &facts) == 0 && facts.st_size >= 1 << 20
        }
    }

    /// Both logs are whole and the same, and nothing of a copy is left.
    func expectOneHistory() async throws {
        var heads: [String] = []
        for number in 0..<2 {
            let there = ["--data-directory", data(number)]
            let verified = try await runVedette(["audit", "verify"] + there)
            #expect(verified.exitCode == 0, "\(verified.output)\(verified.errorOutput)")
            // One seal at one position: one history.
            heads.append(try await runVedette(["audit", "head"] + there).output)
        }
        #expect(!heads[0].isEmpty && heads[0] == heads[1], "\(heads)")
        let left = try FileManager.default.contentsOfDirectory(atPath: data(1))
        #expect(!left.contains { $0.hasPrefix("restore") }, "\(left)")
    }

    func names(at number: Int) async throws -> [String] {
        let listed = try await ask(address(number), .get, "/v1.0/vims").json()["vims"].array
        return listed.compactMap { $0["name"].string }.sorted()
    }
}

/// Runs a conductor alone over a directory.
private func withLog(_ directory: String, _ body: (Conductor) async throws -> Void) async throws {
    let conductor = try await Conductor(
        .init(directory: directory), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    do { try await body(conductor) } catch {
        await conductor.stop()
        throw error
    }
    await conductor.stop()
}

extension Conductor {
    fileprivate func register(_ name: String) async throws -> VIMID {
        try await register(
            NewVIM(
                tenantID: "default", type: .openstack, name: name, authURL: "http://127.0.0.1:1/v3",
                project: JSONText(#"{"name":"nfv"}"#),
                credentials: PlainCredentials(
                    whole: JSONText(#"{"username":"nfv","password":"hush"}"#),
                    masked: JSONText(#"{"username":"nfv","password":"***"}"#))),
            actor: Actor(userName: "ada")
        ).id
    }

    /// Moves all that it has to the archive; returns where that ends.
    fileprivate func archiveAll() async throws -> UInt64 {
        _ = try await archive(before: Timestamp.systemNow.advanced(by: .seconds(1)))
        return read { $0.position }
    }
}

@Suite("A node with nothing joins a pair with a long log", .serialized)
struct JoinTests {
    private func withJoining(
        _ makeLog: (String) async throws -> Void, _ body: (JoiningPair) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            try await withEtcd(directory: directory) { etcd in
                let pair = try JoiningPair(in: directory, etcd: etcd)
                try await makeLog(pair.data(0))
                try await withProgram(pair.watch) { try await body(pair) }
            }
        }
    }

    @Test("Archived events, and what stands for dropped ones, come as files, and it leads with all of them")
    func cold() async throws {
        try await withJoining { data in
            try await withLog(data) { conductor in
                _ = try await conductor.register("dropped")
                let end = try await conductor.archiveAll()
                _ = try await conductor.register("archived")
                _ = try await conductor.archiveAll()
                let report = try await conductor.drop(upTo: end, actor: Actor(userName: "ada"))
                #expect(report.segmentCount == 1)
                _ = try await conductor.register("hot")
            }
        } _: { pair in
            let programs = (0..<2).map { pair.program($0) }
            try await withProgram(programs[0]) {
                try await pair.waitForLead(of: 0)
                try await withProgram(programs[1]) {
                    try await pair.waitForSync()
                    #expect(programs[1].logText().contains("copy of the other node's log is in place"))
                    try await programs[0].kill9()
                    try await pair.waitForLead(of: 1)
                    #expect(try await pair.names(at: 1) == ["archived", "dropped", "hot"])
                    // The key came with the log.
                    try programs[0].startAgain()
                    try await pair.waitForSync()
                    #expect(try await pair.names(at: 0) == ["archived", "dropped", "hot"])
                    // Else it would lead for a moment when the other one is stopped, and say so in its log.
                    try await programs[0].kill9()
                }
            }
            let keys = try await runVedette(["audit", "verify", "--data-directory", pair.data(1)])
            #expect(keys.output.contains("3 data keys opened with the master key"), "\(keys.output)")
            try await pair.expectOneHistory()
        }
    }

    @Test("Whoever is killed in mid copy, the joining node begins anew, and nothing half is ever opened")
    func killed() async throws {
        try await withJoining { data in
            try await withLog(data) { conductor in
                let id = try await conductor.register("large")
                // Whatever is archived makes it a copy, also of a data file that is not long.
                _ = try await conductor.archiveAll()
                let text = String(repeating: "x", count: 1 << 20)
                for number in 0..<24 {
                    var edit = VIMEdit()
                    edit.description = "\(number) " + text
                    _ = try await conductor.update(
                        id, expectedVersion: nil, edit: edit, actor: Actor(userName: "ada"))
                }
            }
        } _: { pair in
            let programs = (0..<2).map { pair.program($0) }
            try await withProgram(programs[0]) {
                try await pair.waitForLead(of: 0)
                try await withProgram(programs[1]) {
                    try await pair.waitForCopy(1)
                    try await programs[1].kill9()
                    #expect(!FileManager.default.fileExists(atPath: pair.data(1) + "/events.lmdb"))
                    try programs[1].startAgain()
                    try await pair.waitForCopy(2)
                    try await programs[0].kill9()
                    try await eventually("the joining node waits for another copy") {
                        programs[1].logText().contains("the copy did not come to its end")
                            || programs[1].logText().contains("is in place")
                    }
                    // Its door is open all the while.
                    let live = try await ask(pair.address(1), .get, "/healthz/live")
                    #expect(live.status == 200)
                    try programs[0].startAgain()
                    try await pair.waitForSync()
                    #expect(programs[1].logText().contains("copies the other node's log"))
                    #expect(try await pair.names(at: 1) == ["large"])
                    #expect(pair.watch.logText().contains(#""copy":{"#))
                    try await eventually("pair status has nothing to tell any more") {
                        let status = ["pair", "status", "--pair", "test", "--etcd", pair.etcd.urls[0]]
                        return try await runVedette(status).exitCode == 0
                    }
                }
            }
            try await pair.expectOneHistory()
        }
    }
}
