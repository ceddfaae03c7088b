import ArgumentParser
import Foundation
import Glibc

/// How soon the API shows what has happened.
struct Reaction: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Time from registration to REACHABLE and from endpoint death to UNREACHABLE.",
        discussion: """
            For each monitor setting a fresh server with --bystanders healthy VIMs. One after another --vims VIMs \
            are registered, each on an endpoint of its own, and polled until REACHABLE; then their endpoints \
            close at random moments within one interval, and the API is polled until UNREACHABLE. Beside it \
            stands what the settings make one expect: the rest of the interval until the next probe, and a \
            failure threshold of retries.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var server: ServerOptions
    @Option(help: "VIMs measured.") var vims = 20
    @Option(
        help: "Healthy VIMs beside them: with all endpoints dead at once a monitor rightly doubts itself.")
    var bystanders = 40
    @Option(help: "Milliseconds between two looks at the API.") var poll = 5

    /// Default settings, and the fast ones of the tests.
    private static let intervals = [10.0, 1.0]
    private static let failureThreshold = 3.0

    func validate() throws {
        guard (1...5_000).contains(vims), (0...5_000).contains(bystanders), poll > 0 else {
            throw ValidationError("vims and bystanders must be at most 5000, and poll greater than zero")
        }
    }

    func run() throws {
        var report = Report(
            "reaction",
            configuration: common.facts + [
                ("vims", .count(vims)), ("bystanders", .count(bystanders)), ("poll_ms", .count(poll)),
                ("failure_threshold", .count(Int(Reaction.failureThreshold))),
            ],
            columns: [
                Column("interval", "interval"), Column("change", "change"), Column("p50_ms", "p50 ms"),
                Column("most_ms", "max ms"), Column("expected_p50_ms", "expected p50"),
                Column("expected_most_ms", "expected max"), Column("p50_to_expected", "p50:expected"),
            ])
        for interval in Reaction.intervals {
            try withTemporaryDirectory(in: common.parent) { directory in
                report.rows += try measure(interval: interval, in: directory)
            }
        }
        report.notes = [
            "expected REACHABLE: the POST's own reply, before which nobody knows of the VIM.",
            "expected UNREACHABLE: a uniformly random rest of the interval, then two retries that follow each "
                + "other after min(interval, 1 s).",
        ]
        try report.print(asJSON: common.json)
    }

    private func measure(interval: Double, in directory: String) throws -> [[Cell]] {
        let endpoints = try Endpoints(count: vims + bystanders)
        let server = try ServerProcess(
            program: server.vedette, directory: directory,
            options: interval == 10 ? [] : ["--monitor-interval", "\(interval)"])
        let connection = try HTTPConnection(to: server.address)
        var random = SeededGenerator(seed: common.seed)
        for index in vims..<(vims + bystanders) {
            _ = try connection.exchange(
                "POST", "/v1.0/vims",
                body: registration(name: "bystander-\(index)", url: endpoints.url(index)))
        }
        var (posted, reachable): ([Double], [Double]) = ([], [])
        for index in 0..<vims {
            // Registrations spread over time, so that probes do, too.
            usleep(UInt32.random(in: 0..<UInt32(interval * 1e6 / Double(vims)), using: &random))
            let times = try registerAndWait(index, url: endpoints.url(index), connection)
            posted.append(times.posted)
            reachable.append(times.reachable)
        }
        // Until everybody has been probed once more.
        usleep(UInt32(interval * 1.1e6))
        let unreachable = try killAndWait(endpoints, within: interval, connection, &random)
        server.stop()

        let retries = (Reaction.failureThreshold - 1) * min(interval, 1) * 1_000
        return [
            row(interval, "to REACHABLE", reachable, expected: (Spread(posted).median, Spread(posted).most)),
            row(
                interval, "to UNREACHABLE", unreachable,
                expected: (interval * 500 + retries, interval * 1_000 + retries)),
        ]
    }

    private func row(
        _ interval: Double, _ change: String, _ milliseconds: [Double], expected: (p50: Double, most: Double)
    ) -> [Cell] {
        let spread = Spread(milliseconds)
        return [
            .text(interval == 10 ? "default (10 s)" : "\(Int(interval)) s"), .text(change),
            .number(spread.median, digits: 1), .number(spread.most, digits: 1),
            .number(expected.p50, digits: 1),
            .number(expected.most, digits: 1), .number(spread.median / expected.p50, digits: 2),
        ]
    }

    /// Milliseconds from sending the POST to its reply, and to REACHABLE.
    private func registerAndWait(
        _ index: Int, url: String, _ connection: HTTPConnection
    ) throws -> (posted: Double, reachable: Double) {
        let start = nowNanoseconds()
        let reply = try connection.exchange(
            "POST", "/v1.0/vims",
            body: registration(name: "watched-\(index)", url: url, description: "watched"))
        let posted = Double(nowNanoseconds() - start) / 1e6
        guard let id = (try reply.json()["vim"] as? [String: Any])?["id"] as? String else {
            throw BenchmarkError("the reply to a registration names no id")
        }
        while true {
            let vim = try connection.exchange("GET", "/v1.0/vims/\(id)?fields=status").json()["vim"]
            let elapsed = Double(nowNanoseconds() - start) / 1e6
            if (vim as? [String: Any])?["status"] as? String == "REACHABLE" { return (posted, elapsed) }
            guard elapsed < 60_000 else {
                throw BenchmarkError("VIM \(id) did not become REACHABLE in a minute")
            }
            usleep(UInt32(poll) * 1_000)
        }
    }

    /// Closes each endpoint at a random moment within an interval; milliseconds from then to UNREACHABLE.
    private func killAndWait(
        _ endpoints: Endpoints, within interval: Double, _ connection: HTTPConnection,
        _ random: inout SeededGenerator
    ) throws -> [Double] {
        let start = nowNanoseconds()
        let moments = (0..<vims).map { _ in
            start + UInt64.random(in: 0..<UInt64(interval * 1e9), using: &random)
        }
        var deaths: [String: UInt64] = [:]
        var milliseconds: [String: Double] = [:]
        while milliseconds.count < vims {
            for (index, moment) in moments.enumerated() where nowNanoseconds() >= moment {
                let name = "watched-\(index)"
                if deaths[name] == nil {
                    endpoints.close(index)
                    deaths[name] = nowNanoseconds()
                }
            }
            let reply = try connection.exchange(
                "GET", "/v1.0/vims?description=watched&status=UNREACHABLE&fields=name")
            let now = nowNanoseconds()
            for case let vim as [String: Any] in try reply.json()["vims"] as? [Any] ?? [] {
                guard let name = vim["name"] as? String, milliseconds[name] == nil else { continue }
                guard let death = deaths[name] else {
                    throw BenchmarkError("\(name) is UNREACHABLE while its endpoint lives")
                }
                milliseconds[name] = Double(now - death) / 1e6
            }
            guard now - start < UInt64((interval * 4 + 60) * 1e9) else {
                throw BenchmarkError("\(vims - milliseconds.count) VIMs did not become UNREACHABLE")
            }
            usleep(UInt32(poll) * 1_000)
        }
        return Array(milliseconds.values)
    }
}
