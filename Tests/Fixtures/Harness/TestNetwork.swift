import Foundation

/// Hosts on one bridge, each a network namespace that the test made for itself, and the test beside them.
///
/// What is lost between two of them is lost without a word: no refusal, no message of a router. That is what
/// tells a cut cable from a program that has ended.
package struct TestNetwork: Sendable {
    /// Where the test itself is reached from the hosts.
    package let here: Place
    private let hosts: [String: Place]

    fileprivate init(run: Int32, prefix: String, hosts names: [String]) {
        here = Place(address: prefix + ".1", namespace: nil, interface: "vedette\(run)")
        hosts = Dictionary(
            uniqueKeysWithValues: names.enumerated().map { index, name in
                (
                    name,
                    Place(
                        address: "\(prefix).\(10 + index)", namespace: "vedette-\(run)-\(name)",
                        interface: "eth0")
                )
            })
    }

    /// The host of a name.
    package func host(_ name: String) throws -> Place {
        guard let place = hosts[name] else { throw HarnessError("there is no host '\(name)'") }
        return place
    }

    /// Loses from now on whatever these say to those; what those say to these still comes.
    package func lose(from speakers: [Place], to listeners: [Place]) async throws {
        // Sent to a neighbour that nobody is, which no speaker ever hears of.
        try await change(speakers, listeners) {
            "neighbour replace \($0) lladdr 02:00:00:00:00:99 nud permanent"
        }
    }

    /// Ends what ``lose(from:to:)`` began.
    package func deliver(from speakers: [Place], to listeners: [Place]) async throws {
        try await change(speakers, listeners) { "neighbour delete \($0)" }
    }

    /// Cuts all ways between these and those.
    package func part(_ some: [Place], from others: [Place]) async throws {
        try await lose(from: some, to: others)
        try await lose(from: others, to: some)
    }

    /// Ends what ``part(_:from:)`` began.
    package func join(_ some: [Place], with others: [Place]) async throws {
        try await deliver(from: some, to: others)
        try await deliver(from: others, to: some)
    }

    private func change(
        _ speakers: [Place], _ listeners: [Place], _ change: (_ address: String) -> String
    ) async throws {
        let commands = speakers.flatMap { speaker in
            listeners.map { listener in
                let namespace = speaker.namespace.map { "-n \($0) " } ?? ""
                return "ip \(namespace)\(change(listener.address)) dev \(speaker.interface)"
            }
        }
        let done = try await run("/bin/sh", ["-ec", commands.joined(separator: "\n")])
        guard done.exitCode == 0 else { throw HarnessError("ip: \(done.errorOutput)") }
    }
}

/// Makes a network beside `body`, and removes it afterwards with whatever still runs there.
///
/// One at a time in this process; other processes may have theirs. What a killed one left is removed, too.
package func withNetwork<Result: Sendable>(
    of hosts: [String], _ body: (TestNetwork) async throws -> Result
) async throws -> Result {
    try Programs.require("/usr/sbin/ip", "/usr/bin/nsenter")
    let script = Programs.repository + "/Tests/Fixtures/network/network"
    let run = getpid()
    // Of 198.18.0.0/15, which is for networks of tests (RFC 2544).
    let prefix = "198.\(18 + run / 256 % 2).\(run % 256)"
    let made = try await Harness.run(script, ["make", "\(run)", prefix] + hosts)
    let result: Swift.Result<Result, any Error>
    if made.exitCode == 0 {
        do { result = .success(try await body(TestNetwork(run: run, prefix: prefix, hosts: hosts))) } catch {
            result = .failure(error)
        }
    } else {
        result = .failure(
            HarnessError(
                "no network namespaces can be made here: this needs root with CAP_SYS_ADMIN and "
                    + "CAP_NET_ADMIN, and a kernel with veth and bridge; ip says: \(made.errorOutput)"))
    }
    let removed = try await Harness.run(script, ["remove", "\(run)"])
    let value = try result.get()
    guard removed.exitCode == 0 else { throw HarnessError("the network stays: \(removed.errorOutput)") }
    return value
}
