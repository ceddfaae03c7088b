import AMQP
import Encodings
import Foundation
import Glibc
import Logging
import OsloMessaging
import UnixSignals
import Workflows

/// The wiring of `vedette worker`: the RPC client, the ticket queue, and the worker between them.
struct WorkerProgram {
    /// So long may giving everything back take; what is left then is lost to others by its silence.
    static let drainLimit = Duration.seconds(20)

    let settings: WorkerSettings

    func run() async throws {
        let level = settings.logLevel
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = level
            return handler
        }
        let logger = Logger(label: "vedette")
        let client = RPCClient(settings.url, name: "vedette-worker \(settings.name)", logger: logger)
        let worker = Worker(
            Worker.Options(
                name: settings.name, host: ProcessInfo.processInfo.hostName, processID: UInt32(getpid()),
                version: Vedette.version, capacity: settings.capacity, secret: settings.secret),
            conductor: Conductor(client: client, target: settings.target),
            tickets: TicketReader(settings.url, topic: settings.target.topic, logger: logger),
            logger: logger)
        let signals = await UnixSignalsSequence(trapping: [.sigterm, .sigint])
        logger.notice(
            "worker starts",
            metadata: [
                "name": "\(settings.name)", "capacity": "\(settings.capacity)",
                "broker": "\(settings.url)", "topic": "\(settings.target.topic)",
                "version": "\(Vedette.version)",
            ])
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await client.run() }
            group.addTask { await worker.run() }
            var count = 0
            for await signal in signals {
                count += 1
                guard count == 1 else {
                    logger.warning(
                        "stopped at once; what is left will be missed", metadata: ["signal": "\(signal)"])
                    Glibc.exit(1)
                }
                group.addTask {
                    let left = await worker.drain(within: WorkerProgram.drainLimit)
                    if left > 0 {
                        logger.warning(
                            "\(left) monitor actions were not given back: others get them when missed"
                        )
                    }
                    logger.info("stopped")
                    Glibc.exit(0)
                }
            }
        }
    }

    /// The conductor as the worker calls it.
    private struct Conductor: ConductorCalls {
        /// Finding and workers' methods came with 1.1.
        private static let version = RPCVersion(1, 1)

        let client: RPCClient
        let target: RPCTarget

        func call(
            _ method: String, _ arguments: [String: JSONValue], timeout: Duration
        ) async throws(CallFault) -> JSONValue {
            do throws(RPCCallError) {
                return try await client.call(
                    target, method, arguments, version: Conductor.version, timeout: timeout)
            } catch { throw CallFault("\(error)") }
        }
    }
}
