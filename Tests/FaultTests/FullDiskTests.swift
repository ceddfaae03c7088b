// Starts: the server, with its data directory on a small tmpfs that is filled and emptied (needs root).
import Foundation
import Harness
import Testing

@Suite("A full disk", .serialized)
struct FullDiskTests {
    @Test(
        "Callers hear 503 with the reason, nothing acknowledged is lost, and service resumes with room",
        .enabled("mounting a tmpfs is not permitted here; run as root with CAP_SYS_ADMIN") {
            await canMount()
        })
    func fullDisk() async throws {
        try await withTemporaryDirectory { directory in
            let dataDirectory = directory + "/data"
            try FileManager.default.createDirectory(
                atPath: dataDirectory, withIntermediateDirectories: false)
            try await withTmpfs(dataDirectory, megabytes: 16) {
                let ids = try await fillAndFree(dataDirectory)
                let check = try await runVedette(["rebuild", "--check", "--data-directory", dataDirectory])
                #expect(check.exitCode == 0, "\(check.output) \(check.errorOutput)")
                try await withServer(dataDirectory: dataDirectory, arguments: options) { server in
                    let found = try await self.ids(server)
                    #expect(found == Set(ids))
                }
            }
        }
    }

    private let options = ["--registration-check", "deferred"]

    /// Registers until the disk is full, makes room, registers again; returns the acknowledged ids.
    private func fillAndFree(_ dataDirectory: String) async throws -> [String] {
        let (ids, exitCode) = try await withServer(dataDirectory: dataDirectory, arguments: options) {
            server in
            var ids = [try await server.register(vim(0))]
            let filler = dataDirectory + "/filler"
            // dd ends with an error when the disk is full, which is the point.
            _ = try await run("/usr/bin/dd", ["if=/dev/zero", "of=\(filler)", "bs=64k"])

            // Some fit into pages that LMDB has at hand.
            var refusal: Reply?
            for number in 1...2_000 where refusal == nil {
                let reply = try await server.request(.post, "/v1.0/vims", body: ["vim": vim(number)])
                if reply.status == 201 {
                    ids.append(try #require(try reply.json()["vim"]["id"].string))
                } else {
                    refusal = reply
                }
            }
            let reply = try #require(refusal, "the disk never was full")
            #expect(reply.status == 503)
            let message = try reply.json()["TackerError"]["message"].string ?? ""
            #expect(
                message.localizedCaseInsensitiveContains("space")
                    || message.localizedCaseInsensitiveContains("disk"), "\(reply.text)")

            // What needs no room is answered as before; nothing refused is there.
            #expect(try await self.ids(server) == Set(ids))
            try FileManager.default.removeItem(atPath: filler)
            ids.append(
                try await eventually("service resumes with room") {
                    let reply = try await server.request(.post, "/v1.0/vims", body: ["vim": vim(9_999)])
                    return reply.status == 201 ? try reply.json()["vim"]["id"].string : nil
                })
            #expect(try await self.ids(server) == Set(ids))
            return ids
        }
        #expect(exitCode == 0)
        return ids
    }

    private func ids(_ server: RunningServer) async throws -> Set<String> {
        let vims = try await server.request(.get, "/v1.0/vims?fields=id").json()["vims"].array
        return Set(vims.compactMap { $0["id"].string })
    }

    private func vim(_ number: Int) -> JSON {
        var vim = standInVIM("disk-\(number)", at: "http://127.0.0.1:1").object
        vim["description"] = .string(String(repeating: "x", count: 20_000))
        return .object(vim)
    }
}
