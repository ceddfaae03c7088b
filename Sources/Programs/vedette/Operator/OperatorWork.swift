import ArgumentParser
import Conductor
import Glibc
import Logging
import OperatorRequests
import Registry

/// Has an operator's task done: by the server that runs on the data directory, or here if none does.
struct OperatorWork {
    let directory: DataDirectory
    /// Where the master key lies if no server runs; a server knows its own.
    var masterKeyFile: String?
    var showsProgress: Bool

    /// Returns what came of the task.
    ///
    /// - Parameter make: the task over a conductor; the server has the same one.
    func perform<Task: OperatorTask>(
        _ wish: Task.Wish, by make: (Conductor) -> Task
    ) async throws -> Task.Outcome {
        let bar = SharedProgressBar(isShown: showsProgress)
        defer { bar.finish() }
        if let client = OperatorClient(directory: directory.path) {
            do throws(OperatorFailure) {
                return try await client.ask(Task.self, wish) { bar.show($0) }
            } catch { throw Failure(error.sentence) }
        }
        let conductor = try await openConductor()
        let result: Result<Task.Outcome, OperatorFailure>
        do throws(OperatorFailure) {
            result = .success(try await make(conductor).run(wish) { bar.show($0) })
        } catch { result = .failure(error) }
        await conductor.stop()
        do throws(OperatorFailure) { return try result.get() } catch { throw Failure(error.sentence) }
    }

    /// Takes the log over for as long as the task needs it; begins an epoch, as a server does.
    private func openConductor() async throws -> Conductor {
        // A conductor makes what is missing: only an existing log is worked on.
        _ = try directory.open()
        var options = Conductor.Options(directory: directory.path)
        options.masterKeyFile = masterKeyFile
        options.version = Vedette.version
        let quiet = Logger(label: "vedette") { _ in SwiftLogNoOpLogHandler() }
        do throws(StartFault) { return try await Conductor(options, logger: quiet) } catch {
            guard error.isInUse else { throw Failure(error.sentence) }
            throw Failure(
                "\(error.sentence); it answers at no operator.socket there, so this cannot be asked of it: a "
                    + "server that is just starting does so in a moment")
        }
    }
}

/// Who asks, as the system knows them.
extension Actor {
    static var localOperator: Actor {
        let name = getpwuid(geteuid()).flatMap { entry in entry.pointee.pw_name.map { String(cString: $0) } }
        return Actor(userID: "\(geteuid())", userName: name ?? "", remoteAddress: "local")
    }
}
