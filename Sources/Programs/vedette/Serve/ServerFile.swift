import AsyncHTTPClient
import Encodings
import Foundation
import NIOCore
import NIOHTTP1
import Registry
import VIMDrivers

/// `server.json` in the data directory: tells other commands where the running server listens.
struct ServerFile: Codable {
    var pid: Int32
    var address: String
    var version: String

    private static func path(in directory: String) -> String { directory + "/server.json" }

    func write(to directory: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try encoder.encode(self).write(
            to: URL(fileURLWithPath: ServerFile.path(in: directory)), options: .atomic)
    }

    static func read(from directory: String) -> ServerFile? {
        guard let data = FileManager.default.contents(atPath: path(in: directory)) else { return nil }
        return try? JSONDecoder().decode(ServerFile.self, from: data)
    }

    static func remove(from directory: String) {
        try? FileManager.default.removeItem(atPath: path(in: directory))
    }
}

/// The server that runs on a data directory, as far as its file and its answers tell.
struct RunningServer {
    private let address: String

    /// Nil if no server said that it runs there.
    init?(directory: String) {
        guard let file = ServerFile.read(from: directory) else { return nil }
        address = file.address
    }

    /// What the server says of a VIM, its last probes included; nil if it does not answer.
    func vim(_ id: VIMID) async -> JSONValue? {
        let request = HTTPClientRequest(url: "http://\(address)/vedette/v1/vims/\(id)")
        guard let response = try? await HTTPClient.shared.execute(request, timeout: .seconds(5)),
            response.status == .ok, let body = try? await response.body.collect(upTo: 4 << 20)
        else { return nil }
        return (try? JSONValue(json: body.readableBytesView))?["vim"]
    }
}
