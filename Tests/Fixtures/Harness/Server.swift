import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1

/// A `vedette serve` that runs beside the test.
package struct RunningServer: Sendable {
    /// The process.
    package let process: RunningProcess
    /// Where it keeps its data.
    package let dataDirectory: String
    /// `127.0.0.1:PORT`.
    package let address: String

    /// The URL of a path.
    package func url(_ path: String) -> String { "http://\(address)\(path)" }

    /// Sends one request and returns the whole reply, whatever its status.
    package func request(
        _ method: Method, _ path: String, body: JSON? = nil, headers: [String: String] = [:]
    ) async throws -> Reply {
        try await request(method, path, text: body?.text(), headers: headers)
    }

    /// Sends one request with a body given as text, which may be no JSON at all.
    package func request(
        _ method: Method, _ path: String, text: String?, headers: [String: String] = [:]
    ) async throws -> Reply {
        try await ask(address, method, path, text: text, headers: headers)
    }

    /// The VIM of an id as the API shows it; null if there is none.
    package func vim(_ id: String) async throws -> JSON {
        try await request(.get, "/v1.0/vims/\(id)").json()["vim"]
    }

    /// Waits until a VIM has a status.
    package func waitForStatus(_ status: String, of id: String) async throws {
        try await eventually("VIM \(id) becomes \(status)") {
            try await vim(id)["status"].string == status
        }
    }

    /// Registers a VIM and returns its id; throws if the server refuses.
    package func register(_ attributes: JSON) async throws -> String {
        let reply = try await request(.post, "/v1.0/vims", body: ["vim": attributes])
        guard reply.status == 201, let id = try reply.json()["vim"]["id"].string else {
            throw HarnessError("registration answered \(reply.status): \(reply.text)")
        }
        return id
    }

    /// Runs `vedette` against this server's data directory.
    package func vedette(_ arguments: String...) async throws -> FinishedProcess {
        try await runVedette(arguments + ["--data-directory", dataDirectory])
    }
}

/// Sends one request to a server and returns the whole reply, whatever its status.
package func ask(
    _ address: String, _ method: Method, _ path: String, text: String? = nil, headers: [String: String] = [:],
    timeout: Duration = .seconds(60)
) async throws -> Reply {
    var request = HTTPClientRequest(url: "http://\(address)\(path)")
    request.method = .RAW(value: method.rawValue)
    for (name, value) in headers { request.headers.replaceOrAdd(name: name, value: value) }
    if let text {
        request.headers.replaceOrAdd(name: "Content-Type", value: "application/json")
        request.body = .bytes(ByteBuffer(string: text))
    }
    let response = try await execute(request, timeout)
    let bytes = try await response.body.collect(upTo: 64 << 20)
    return Reply(
        status: Int(response.status.code), text: String(buffer: bytes),
        headers: Dictionary(response.headers.map { ($0.name.lowercased(), $0.value) }) { $1 })
}

/// Reads are tried twice: the pool may hold a connection to a killed server that had the same port.
private func execute(_ request: HTTPClientRequest, _ timeout: Duration) async throws -> HTTPClientResponse {
    let limit = TimeAmount(timeout)
    do { return try await httpClient.execute(request, timeout: limit) } catch {
        guard request.method == .GET, (error as? IOError)?.errnoCode == ECONNRESET else { throw error }
        return try await httpClient.execute(request, timeout: limit)
    }
}

/// Many callers at once, and a server that is gone is an error at once; lives as long as the process.
private let httpClient: HTTPClient = {
    var configuration = HTTPClient.Configuration()
    configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 64
    configuration.connectionPool.retryConnectionEstablishment = false
    return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
}()

/// An HTTP reply.
package struct Reply: Sendable {
    /// Its status code.
    package let status: Int
    /// Its body.
    package let text: String
    /// Its headers; names are lower-case.
    package let headers: [String: String]

    /// The body, read as JSON.
    package func json() throws -> JSON { try JSON(text: text) }
}

/// The HTTP methods that tests send.
package enum Method: String, Sendable {
    case get = "GET"
    case post = "POST"
    case put = "PUT"
    case delete = "DELETE"
    case patch = "PATCH"
}

/// Runs `vedette` to its end, without colours and with no configuration from outside.
package func runVedette(
    _ arguments: [String], build: String = Programs.vedette, environment: [String: String?] = [:],
    limit: Duration = .seconds(120)
) async throws -> FinishedProcess {
    let clean: [String: String?] = ["NO_COLOR": "1", "VEDETTE_DATA_DIRECTORY": String?.none]
    return try await run(
        build, arguments, environment: clean.merging(environment) { $1 }, limit: limit)
}

/// Runs `vedette serve` on a free port beside `body` and returns what `body` gave with the server's exit
/// code.
///
/// - Parameter wrapper: a program and its arguments that becomes the server, such as `prlimit`.
@discardableResult
package func withServer<Result: Sendable>(
    dataDirectory: String, arguments: [String] = [], environment: [String: String?] = [:],
    under wrapper: [String] = [], _ body: (RunningServer) async throws -> Result
) async throws -> (result: Result, exitCode: Int) {
    // Left by a server that was killed; it would be taken for the new one's.
    try? FileManager.default.removeItem(atPath: dataDirectory + "/server.json")
    let fixed = [
        "serve", "--data-directory", dataDirectory, "--listen", "127.0.0.1:0", "--auth", "none",
    ]
    let command = wrapper + [Programs.vedette] + fixed + arguments
    return try await withProcess(
        command[0], Array(command.dropFirst()), environment: environment, log: dataDirectory + ".log"
    ) { process in
        let address = try await eventually("the server serves", limit: startLimit, every: .milliseconds(20)) {
            try addressOfServer(process, dataDirectory: dataDirectory)
        }
        return try await body(
            RunningServer(process: process, dataDirectory: dataDirectory, address: address))
    }
}

private func addressOfServer(_ process: RunningProcess, dataDirectory: String) throws -> String? {
    guard kill(process.id, 0) == 0, !isZombie(process.id) else {
        throw HarnessError(
            "the server ended (wait status \(waitStatus(process.id))) before it served: "
                + process.logText().suffix(2_000))
    }
    guard let data = try? Data(contentsOf: URL(fileURLWithPath: dataDirectory + "/server.json")),
        let json = try? JSON(text: String(decoding: data, as: UTF8.self)),
        json["pid"].integer == Int(process.id)
    else { return nil }
    return json["address"].string
}

/// How a process ended that nobody has waited for yet: a signal, or 256 times its exit code.
private func waitStatus(_ id: Int32) -> String {
    let text = (try? String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8)) ?? ""
    return text.split(whereSeparator: \.isWhitespace).last.map(String.init) ?? "unknown"
}

/// Whether a process has ended and nobody has asked for its exit code yet.
package func isZombie(_ id: Int32) -> Bool {
    let text = (try? String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8)) ?? ""
    // The state follows the program's name, which stands in parentheses and may hold anything.
    return text.split(separator: ")").last?.hasPrefix(" Z") ?? false
}

/// Options of `vedette serve` that make monitors quick: a probe a second, two failures to believe it.
///
/// A stand-in that is down refuses at once. One that is up may take its time where all tests share two
/// processors: no VIM is to be alarmed for that.
package let quickMonitors = [
    "--monitor-interval", "1", "--monitor-timeout", "10", "--monitor-failure-threshold", "2",
    "--monitor-success-threshold", "1",
]
