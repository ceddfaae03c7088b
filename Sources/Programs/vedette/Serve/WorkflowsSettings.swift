import ArgumentParser
import Foundation
import Workflows

/// The options of `vedette serve` that choose where monitor actions run.
struct WorkflowsFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Where monitor actions run: 'embedded', in this server (default); 'workers', in 'vedette worker' \
            processes that share --rabbitmq; 'mistral', on the executors of --mistral-url.
            """, valueName: "backend"))
    var workflows: String?
    @OptionGroup var secret: WorkerSecretFlags
    @OptionGroup var mistral: MistralFlags
}

/// Where monitor actions run.
enum WorkflowsChoice: String, CaseIterable, Sendable {
    case embedded, workers, mistral
}

/// What workers and server must know besides the broker's login.
struct WorkerSecretFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            A file that only the server and its workers have, 32 random bytes or more (head -c 32 \
            /dev/urandom); then the broker's login alone gets nobody the VIMs' credentials.
            """, valueName: "file"))
    var workerSecretFile: String?

    static let keys = ["worker-secret-file"]

    func secret(_ sources: SettingsSources) throws -> WorkerSecret? {
        guard let path = try workerSecretFile ?? sources.text("worker-secret-file") else { return nil }
        guard let bytes = FileManager.default.contents(atPath: path) else {
            throw Failure.usage("--worker-secret-file \(path): there is no file that can be read")
        }
        guard let secret = WorkerSecret(bytes) else {
            throw Failure.usage(
                "--worker-secret-file \(path): \(bytes.count) bytes can be guessed; make one with head -c "
                    + "\(WorkerSecret.byteMin) /dev/urandom")
        }
        return secret
    }
}

extension WorkflowsFlags {
    /// What a configuration file may hold of these.
    static let keys = WorkerSecretFlags.keys + MistralFlags.keys + ["workflows"]

    /// - Parameters:
    ///   - hasBroker: whether --rabbitmq was given.
    ///   - hasMistral: whether --mistral-url was given.
    func choice(_ sources: SettingsSources, hasBroker: Bool, hasMistral: Bool) throws -> WorkflowsChoice {
        guard let word = try workflows ?? sources.text("workflows") else { return .embedded }
        guard let choice = WorkflowsChoice(rawValue: word) else {
            let known = WorkflowsChoice.allCases.map(\.rawValue).joined(separator: ", ")
            throw Failure.usage("--workflows: '\(word)' is not known; there are \(known)")
        }
        if choice != .embedded, !hasBroker {
            throw Failure.usage(
                "--workflows \(word) needs the broker over which actions report: name it with --rabbitmq")
        }
        if choice == .mistral, !hasMistral {
            throw Failure.usage("--workflows mistral needs to know where Mistral is: add --mistral-url")
        }
        return choice
    }
}
