import ArgumentParser
import Foundation

/// Measures Vedette beside its physical limits and plain C.
@main
struct Benchmarks: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "benchmarks",
        abstract: "Measure Vedette beside the machine's limits and plain C, in one interleaved run.",
        discussion: """
            Each workload prints the machine, its load, the seed and the configuration, then figures as medians \
            with their range over the rounds, each beside its limit or peer as a ratio. A ratio is taken within \
            a round and holds better than the absolute figures do when the machine is busy.

            Nothing leaves loopback; all files lie in a temporary directory that is removed at the end.
            """,
        subcommands: [
            Update.self, Mixed.self, Append.self, ReplayWorkload.self, Verify.self, Export.self, Start.self,
            Stores.self, Memory.self, Reaction.self, ArchiveWorkload.self, DropWorkload.self,
            PairWorkload.self, Failover.self, Join.self, ReadLoop.self, Standby.self,
        ])
}

/// What all workloads take.
struct CommonOptions: ParsableArguments {
    @Flag(help: "Print one JSON object instead of a table.") var json = false
    @Option(help: "Seed of every random choice.") var seed: UInt64 = 1
    @Option(
        help: ArgumentHelp(
            "Where the temporary files go; must lie on the disk to be measured (default: .)",
            valueName: "dir"))
    var directory: String?

    var parent: String { directory ?? FileManager.default.currentDirectoryPath }

    /// What every report says of the common options.
    var facts: [(key: String, value: Cell)] {
        [("seed", .text("\(seed)")), ("file_system", .text(Machine.fileSystem(of: parent)))]
    }
}

/// Which server the workloads start.
struct ServerOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The release build of vedette.", valueName: "path"))
    var vedette: String = Benchmarks.standardVedette
}

extension Benchmarks {
    /// The root package's release build, seen from this package's own folder.
    static var standardVedette: String {
        // This file is tools/benchmarks/Sources/benchmarks/Benchmarks.swift.
        var url = URL(fileURLWithPath: #filePath)
        for _ in 0..<5 { url.deleteLastPathComponent() }
        return url.appendingPathComponent(".build/release/vedette").path
    }
}
