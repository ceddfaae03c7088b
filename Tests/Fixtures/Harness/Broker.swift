import Foundation
import Synchronization

/// A private RabbitMQ beside the test, on free loopback ports.
package struct RunningBroker: Sendable {
    /// Its AMQP port on 127.0.0.1; the user is `guest` with the password `guest`.
    package let port: Int
    /// Where its files lie, its log and `output` among them.
    package let directory: String
    fileprivate let environment: [String: String]
    fileprivate let program: RestartableProgram

    /// What a program of OpenStack is told: `rabbit://guest:guest@127.0.0.1:PORT/`.
    package var url: String { "rabbit://guest:guest@127.0.0.1:\(port)/" }

    /// The broker's process; nil while it does not run.
    package var processID: Int32? { program.processID }

    /// Ends the broker as a crash would, and waits until it is gone.
    package func kill9() async throws { try await end(with: SIGKILL) }

    /// Stops the broker as an operator would, and waits until it is gone.
    package func stop() async throws { try await end(with: SIGTERM) }

    /// Starts a broker that has ended again, on its old data and port, and waits until it takes connections.
    package func start() async throws {
        try program.startAgain()
        try await waitUntilReady()
    }

    /// Runs `rabbitmqctl` on the broker and returns the lines it prints; takes a second or two.
    package func control(_ arguments: String...) async throws -> [String] {
        let finished = try await run(
            "/usr/lib/rabbitmq/bin/rabbitmqctl", ["-q"] + arguments,
            environment: environment.mapValues(Optional.some))
        guard finished.exitCode == 0 else {
            throw HarnessError("rabbitmqctl \(arguments): \(finished.output)\(finished.errorOutput)")
        }
        return finished.lines
    }

    /// What the broker has printed and logged so far.
    package func logText() -> String {
        let paths = [directory + "/output", directory + "/log/vedette@localhost.log"]
        return paths.map { (try? String(contentsOfFile: $0, encoding: .utf8)) ?? "" }.joined()
    }

    private func end(with signal: Int32) async throws {
        try program.signal(signal)
        try await eventually("the broker ends") { processID == nil && !isListening(port) }
    }

    fileprivate func waitUntilReady() async throws {
        do {
            try await eventually("the broker takes connections", limit: startLimit) {
                processID != nil && isListening(port)
            }
        } catch { throw HarnessError("\(error); it says: \(logText().suffix(2_000))") }
    }
}

/// Runs a real RabbitMQ beside `body`, and stops it afterwards, whatever happened.
///
/// It takes six to fifteen seconds to start: tests that can share one should.
/// - Parameters:
///   - directory: takes its files; the broker's own are below `rabbit` in it.
///   - plugins: switched on, for instance `rabbitmq_management`.
///   - settings: further lines of rabbitmq.conf, such as a TLS listener's.
@discardableResult
package func withBroker<Result: Sendable>(
    directory: String, plugins: [String] = [], settings: [String] = [],
    _ body: (RunningBroker) async throws -> Result
) async throws -> Result {
    try Programs.require("/usr/bin/epmd")
    let ports = try freePorts(count: 3)
    let files = directory + "/rabbit"
    let broker = RunningBroker(
        port: ports[0], directory: files,
        environment: try prepareBroker(in: files, ports: ports, plugins: plugins, settings: settings),
        // Debian's own wrapper in sbin would change the user and drop the environment.
        program: RestartableProgram(
            "/usr/lib/rabbitmq/bin/rabbitmq-server", [], files: files + "/broker", log: files + "/output"))
    // Erlang's name server, in the foreground: the one a broker starts would stay behind.
    return try await withProcess(
        "/usr/bin/epmd", ["-port", "\(ports[2])", "-address", "127.0.0.1"], log: files + "/epmd.log"
    ) { _ in
        try await eventually("Erlang's name server takes connections") { isListening(ports[2]) }
        return try await withProgram(
            broker.program, environment: broker.environment.mapValues(Optional.some)
        ) {
            try await broker.waitUntilReady()
            return try await body(broker)
        }
    }.result
}

/// Writes the broker's configuration and returns the environment that makes it keep to it.
private func prepareBroker(
    in files: String, ports: [Int], plugins: [String], settings: [String]
) throws -> [String: String] {
    for folder in ["db", "log"] {
        try FileManager.default.createDirectory(
            atPath: files + "/" + folder, withIntermediateDirectories: true)
    }
    let configuration = ["listeners.tcp.1 = 127.0.0.1:\(ports[0])"] + settings
    try (configuration.joined(separator: "\n") + "\n")
        .write(toFile: files + "/rabbitmq.conf", atomically: true, encoding: .utf8)
    try "[\(plugins.joined(separator: ","))].\n"
        .write(toFile: files + "/enabled_plugins", atomically: true, encoding: .utf8)
    // Empty, so that /etc/rabbitmq is not asked.
    try "".write(toFile: files + "/environment.conf", atomically: true, encoding: .utf8)
    return [
        "HOME": files,  // Erlang's cookie lies here
        "RABBITMQ_NODENAME": "vedette@localhost",
        "RABBITMQ_MNESIA_BASE": files + "/db",
        "RABBITMQ_LOG_BASE": files + "/log",
        "RABBITMQ_PID_FILE": files + "/rabbitmq.pid",
        "RABBITMQ_CONFIG_FILE": files + "/rabbitmq.conf",
        "RABBITMQ_ENABLED_PLUGINS_FILE": files + "/enabled_plugins",
        "RABBITMQ_CONF_ENV_FILE": files + "/environment.conf",
        "RABBITMQ_DIST_PORT": "\(ports[1])",
        "ERL_EPMD_PORT": "\(ports[2])",
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        // Loopback only, and no thread that burns a processor while it waits for work.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
            "-noinput -kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none",
        // A broker that does not start says why in its output; its dump would lie in the repository.
        "ERL_CRASH_DUMP_SECONDS": "0",
        // The start script becomes the broker, so that its number is the broker's.
        "RABBITMQ_ALLOW_INPUT": "1",
        "RABBITMQ_CTL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    ]
}

/// Ports on 127.0.0.1 that were free a moment ago, all different, and no other caller's.
///
/// Below the ports that the kernel gives to outgoing connections (`ip_local_port_range`): one of those may be
/// taken before its program listens, by any other test that connects to somebody. And none is given out
/// twice: a broker takes a minute to listen where all tests begin at once, and is away for seconds when it is
/// killed.
package func freePorts(count: Int) throws -> [Int] {
    try givenPorts.withLock { given in
        var held: [Int: Int32] = [:]
        defer { for descriptor in held.values { close(descriptor) } }
        for _ in 0..<10_000 where held.count < count {
            let port = Int.random(in: 20_000..<32_000)
            guard !given.contains(port), held[port] == nil else { continue }
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = loopbackAddress(port: port)
            let code = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            if code == 0 { held[port] = descriptor } else { close(descriptor) }
        }
        guard held.count == count else { throw HarnessError("there are no free ports") }
        given.formUnion(held.keys)
        return Array(held.keys)
    }
}

private let givenPorts = Mutex<Set<Int>>([])

/// Whether somebody takes connections on a port.
package func isListening(_ port: Int, at place: Place = .loopback) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = loopbackAddress(port: port)
    inet_aton(place.address, &address.sin_addr)
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
    }
}

private func loopbackAddress(port: Int) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
}
