// Starts: a real etcd, and two `vedette serve --pair`, each of this build or of the previous commit's.
import Foundation
import Harness
import Testing

@Suite(
    "A pair of two versions", .serialized,
    .enabled(
        if: FileManager.default.fileExists(atPath: Programs.previousVedette),
        "there is no build of the previous commit: tools/test makes it, where the git history has one"))
struct MixedVersionTests {
    private let earlier = Programs.previousVedette
    private let present = Programs.vedette

    @Test("Upgraded one node at a time, the standby first, it loses nothing that it acknowledged")
    func upgrade() async throws {
        try await withLoad(on: earlier) { pair, acknowledged in
            let first = try await pair.leader()
            let second = pair.other(than: first)
            try await restart(second, as: present, in: pair)
            try await acknowledged.waitForMore(10)
            let logs = try await members(of: pair)

            // The new one leads while the other one is still the former version.
            try await switchOver(to: second, in: pair)
            try await acknowledged.waitForMore(10)
            try await pair.waitForSync()
            #expect(try await members(of: pair) == logs)
            #expect(first.build == earlier && second.build == present)

            try await restart(first, as: present, in: pair)
            try await acknowledged.waitForMore(10)
            #expect(try await members(of: pair) == logs)
        }
    }

    @Test("Upgraded by stopping the leader, which hands over, and taken back in the same way")
    func downgrade() async throws {
        try await withLoad(on: present) { pair, acknowledged in
            let first = try await pair.leader()
            let second = pair.other(than: first)
            // A new leader has written, and its log is the former version's from now on.
            try await restart(first, as: earlier, in: pair)
            try await acknowledged.waitForMore(10)
            #expect(await second.leads())
            try await switchOver(to: first, in: pair)
            try await acknowledged.waitForMore(10)
            try await pair.waitForSync()
            // Killed, the former version is followed by the present one, and catches up from it.
            try await first.kill9()
            try await acknowledged.waitForMore(10)
            try await first.start()
            try await pair.waitForSync()
            #expect(first.build == earlier && second.build == present)
        }
    }

    @Test("Its master key is not rotated before both can follow, and nobody is left behind who cannot")
    func rotation() async throws {
        try await withLoad(on: present) { pair, acknowledged in
            let first = try await pair.leader()
            let second = pair.other(than: first)
            try await restart(second, as: earlier, in: pair)
            let help = try await runVedette(["vault", "rotate", "--help"], build: earlier)
            guard !help.output.contains("Of a pair") else {
                // It can follow.
                let rotated = try await first.vedette("vault", "rotate")
                #expect(rotated.exitCode == 0, "\(rotated.errorOutput)")
                try await pair.waitForSync()
                return try await switchOver(to: second, in: pair)
            }
            let refused = try await first.vedette("vault", "rotate")
            #expect(refused.exitCode == 1)
            #expect(refused.errorOutput.contains("cannot take over another master key: upgrade"))

            // It is away, and comes back as it was.
            try await second.kill9()
            let rotated = try await first.vedette("vault", "rotate")
            #expect(rotated.exitCode == 0, "\(rotated.errorOutput)")
            try await second.start()
            try await eventually("the leader says what to do") {
                let troubles = try await pair.status()["troubles"].array
                return troubles.contains { $0.string?.contains("cannot take that over: upgrade") == true }
            }
            #expect(try await pair.status()["in_sync"].integer == 1)
            try await acknowledged.waitForMore(10)
            try await second.stop()
            try second.use(present)
            try await second.start()
            try await pair.waitForSync()
            try await switchOver(to: second, in: pair)
            let verified = try await second.vedette("audit", "verify", "--json")
            #expect(try JSON(text: verified.output)["foreign_data_keys"].integer == 0)
        }
    }

    /// A pair of one build, called all the time; at the end it has everything, in one history.
    private func withLoad(
        on build: String, _ body: (RunningPair, Acknowledged) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            try await withEtcd(directory: directory) { etcd in
                try await withPair(
                    directory: directory, etcd: etcd, arguments: ["--registration-check", "deferred"],
                    build: build
                ) { pair in
                    try await pair.waitForSync()
                    for node in pair.nodes { #expect(node.build == build) }
                    let acknowledged = Acknowledged()
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for caller in 0..<2 {
                            group.addTask {
                                await acknowledged.call(pair, as: caller, at: "http://127.0.0.1:1")
                            }
                        }
                        try await acknowledged.waitForMore(10)
                        try await body(pair, acknowledged)
                        acknowledged.end()
                        try await group.waitForAll()
                    }
                    try await acknowledged.expectAll(in: pair)
                    try await pair.waitForSync()
                    try await pair.expectOneHistory()
                }
            }
        }
    }

    /// As an operator does it: the service is stopped, and started as another version.
    private func restart(_ node: RunningNode, as build: String, in pair: RunningPair) async throws {
        try await node.stop()
        try node.use(build)
        try await node.start()
        try await pair.waitForSync()
        #expect(node.build == build)
    }

    /// The logs that etcd names as in sync, as either version's command shows them.
    private func members(of pair: RunningPair) async throws -> Set<String> {
        var shown: [Set<String>] = []
        for build in [earlier, present] {
            let status = try JSON(text: try await pair.command(["status", "--json"], build: build).output)
            let members = status["nodes"].array.filter { $0["is_in_sync"] == .bool(true) }
            shown.append(Set(members.compactMap { $0["log"].string }))
        }
        #expect(shown[0] == shown[1] && shown[0].count == 2)
        return shown[1]
    }

    private func switchOver(to node: RunningNode, in pair: RunningPair) async throws {
        let done = try await pair.command(["switchover"])
        #expect(done.exitCode == 0, "\(done.output)\(done.errorOutput)")
        try await eventually("node \(node.number) leads") { await node.leads() }
    }
}
