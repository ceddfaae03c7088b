import ArgumentParser
import Glibc

/// The command line.
///
/// It wires the rooms together and decides nothing.
@main
struct Vedette: AsyncParsableCommand {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "vedette",
        abstract:
            "Watches VIMs (OpenStack and Kubernetes clouds) and remembers everything it was told and saw.",
        discussion: """
            Start a server, register a VIM with the OpenStack client, and see what happens to it:

              vedette serve
              OS_AUTH_TYPE=none OS_ENDPOINT=http://127.0.0.1:9890 \\
                openstack vim register --config-file vim.yaml my-cloud
              vedette vim list
              vedette audit log --follow

            Every command but serve, worker and pair finds what it needs in the data directory, and works \
            beside a running server as well as without one; only restore wants the server stopped, and \
            workers wants it running. pair asks etcd. Exit codes: 0 done, 1 failed or not found, 2 the \
            command was not understood.
            """,
        version: version,
        subcommands: [
            Serve.self, WorkerCommand.self, WorkersCommand.self, VIMCommand.self, Audit.self, Archive.self,
            BackupCommand.self, RestoreCommand.self, VaultCommand.self, Rebuild.self, PairCommand.self,
        ])

    static func main() async {
        // A file that may not grow any more is an error that is told; by itself it would kill the process.
        signal(SIGXFSZ, SIG_IGN)
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
            // An export to a full disk must not look complete.
            guard Terminal.isOutputWritten else { throw Failure("the output could not be written") }
        } catch let failure as Failure {
            Terminal.error(failure.sentence)
            Glibc.exit(failure.isUsage ? 2 : 1)
        } catch let code as ExitCode {
            Glibc.exit(code.rawValue)
        } catch {
            guard exitCode(for: error) != .success else { exit(withError: error) }  // --help, --version
            Terminal.note(fullMessage(for: error))
            Glibc.exit(2)
        }
    }
}

/// Why a command failed: one sentence that says what to do.
struct Failure: Error {
    let sentence: String
    var isUsage = false

    init(_ sentence: String) { self.sentence = sentence }

    static func usage(_ sentence: String) -> Failure {
        var failure = Failure(sentence)
        failure.isUsage = true
        return failure
    }
}
