// Starts: a real etcd, two `vedette serve --pair`; restores etcd, and gives the nodes logs that do not fit.
import Foundation
import Harness
import Testing

@Suite("Logs and etcds that do not fit a pair", .serialized)
struct PairHistoryTests {
    @Test("A log with another history is not given up for the pair's")
    func foreignHistory() async throws {
        try await withTwoHistories { pair, leader, other in
            // Both say why, once; whoever looks from outside is told, too; and the leader goes on.
            try await eventually("pair status says why") {
                let troubles = try await pair.status()["troubles"].array
                return troubles.count { $0.string?.contains("has another history") == true } == 2
            }
            _ = try await leader.register(standInVIM("meanwhile", at: "http://127.0.0.1:1"))
            #expect(other.logText.components(separatedBy: "the log fails the pair").count == 2)
            let log = try await other.vedette("audit", "log")
            #expect(log.output.contains("alone-\(other.number)"), "\(log.output)")

            // Put aside, it gives way to the pair's, which nobody may put aside.
            let directories = ["--data-directory", other.dataDirectory]
            try await other.stop()
            let done = try await pair.command(["rejoin"] + directories)
            #expect(done.exitCode == 0, "\(done.errorOutput)")
            try await other.start()
            try await pair.waitForSync()
            #expect(try await other.vedette("audit", "verify").exitCode == 0)
            try await leader.kill9()
            try await eventually("the other one leads alone") { await other.leads() }
            try await eventually("it counts alone") {
                try await pair.status()["in_sync"].integer == 1
            }
            try await other.stop()
            let refused = try await pair.command(["rejoin"] + directories)
            #expect(refused.exitCode == 1)
            #expect(refused.errorOutput.contains("must not go"), "\(refused.errorOutput)")
        }
    }

    @Test("A log that came too late is made the pair's, if an operator says so")
    func late() async throws {
        try await withTwoHistories { pair, leader, other in
            let words = ["refound", "--data-directory", other.dataDirectory]
            #expect(other.logText.contains("say so here (vedette pair refound)"))
            try await other.stop()
            let asked = try await pair.command(words)
            #expect(asked.exitCode == 2 && asked.errorOutput.contains("With --yes"), "\(asked.errorOutput)")
            let early = try await pair.command(words + ["--yes"])
            #expect(early.exitCode == 1)
            #expect(early.errorOutput.contains("Stop its server"), "\(early.errorOutput)")
            try await leader.stop()
            try await refound(pair, on: other)
            for node in pair.nodes {
                let log = try await node.vedette("audit", "log").output
                #expect(log.contains("alone-\(other.number)"), "\(log)")
                #expect(!log.contains("alone-\(leader.number)"), "\(log)")
            }
        }
    }

    @Test("Where there is no pair, and the log was in none, its server founds one")
    func nothingToRefound() async throws {
        try await withTemporaryDirectory { directory in
            try await withServer(dataDirectory: directory + "/data") { _ in }
            try await withEtcd(directory: directory) { etcd in
                for words in [[], ["--yes"]] {
                    let refused = try await runVedette(
                        [
                            "pair", "refound", "--pair", "p", "--etcd", etcd.urls[0], "--data-directory",
                            directory + "/data",
                        ] + words)
                    #expect(refused.exitCode == 1)
                    #expect(refused.errorOutput.contains("to found one"), "\(refused.errorOutput)")
                }
            }
        }
    }

    @Test("A restored etcd is refused, until an operator founds the pair anew on the log that has everything")
    func refound() async throws {
        try await withTemporaryDirectory { directory in
            try await withEtcd(directory: directory) { etcd in
                try await withPair(
                    directory: directory, etcd: etcd, arguments: ["--registration-check", "deferred"]
                ) { pair in
                    let first = try await pair.leader()
                    let last = pair.other(than: first)
                    _ = try await first.register(standInVIM("both", at: "http://127.0.0.1:1"))
                    try await pair.waitForSync()
                    _ = try await etcd.control("snapshot", "save", directory + "/snapshot.db")
                    // What only the other node has from now on, the snapshot knows nothing of.
                    try await first.kill9()
                    try await eventually("the other one leads") { await last.leads() }
                    _ = try await last.register(standInVIM("alone", at: "http://127.0.0.1:1"))

                    try await etcd.nodes[0].stop()
                    try await etcd.nodes[0].restore(from: directory + "/snapshot.db")
                    try await etcd.nodes[0].start()
                    try await first.start()
                    try await eventually("both say what to do") {
                        let troubles = try await pair.status()["troubles"].array
                        return troubles.count { $0.string?.contains("see vedette pair refound") == true } == 2
                    }
                    for node in pair.nodes { #expect(await !node.leads()) }

                    let refound = ["refound", "--data-directory"]
                    let running = try await pair.command(refound + [last.dataDirectory, "--yes"])
                    #expect(running.exitCode == 1, "\(running.output)")
                    try await last.stop()
                    let early = try await pair.command(refound + [last.dataDirectory, "--yes"])
                    #expect(early.exitCode == 1 && early.errorOutput.contains("Stop its server"))
                    try await first.stop()
                    let asked = try await pair.command(refound + [last.dataDirectory])
                    #expect(asked.exitCode == 2 && asked.errorOutput.contains("With --yes"))
                    try await self.refound(pair, on: last)
                    for node in pair.nodes {
                        let log = try await node.vedette("audit", "log").output
                        #expect(log.contains("both") && log.contains("alone"), "\(log)")
                        #expect(try await node.vedette("audit", "verify").exitCode == 0)
                    }
                }
            }
        }
    }

    /// Makes the log of a node the pair's, and lets the other one begin anew; both are stopped.
    private func refound(_ pair: RunningPair, on node: RunningNode) async throws {
        let other = pair.other(than: node)
        try await eventually("it is done") {
            let words = ["refound", "--data-directory", node.dataDirectory, "--yes"]
            return try await pair.command(words).exitCode == 0
        }
        try await node.start()
        try await eventually("it leads") { await node.leads() }
        let rejoined = try await pair.command(["rejoin", "--data-directory", other.dataDirectory])
        #expect(rejoined.exitCode == 0, "\(rejoined.errorOutput)")
        try await other.start()
        try await pair.waitForSync()
    }

    /// Lets two servers that each have a log of their own become a pair: one founds it, the other refuses.
    private func withTwoHistories(
        _ body: (_ pair: RunningPair, _ leader: RunningNode, _ other: RunningNode) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            for number in 0..<2 {
                try await withServer(
                    dataDirectory: "\(directory)/node-\(number)",
                    arguments: ["--registration-check", "deferred"]
                ) { server in
                    _ = try await server.register(standInVIM("alone-\(number)", at: "http://127.0.0.1:1"))
                }
            }
            try await withEtcd(directory: directory) { etcd in
                try await withPair(
                    directory: directory, etcd: etcd, arguments: ["--registration-check", "deferred"]
                ) { pair in
                    let leader = try await pair.leader()
                    let other = pair.other(than: leader)
                    try await eventually("the other one refuses") {
                        other.logText.contains("has another history than the pair")
                    }
                    try await body(pair, leader, other)
                }
            }
        }
    }
}
