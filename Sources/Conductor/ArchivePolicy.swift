public import Logging
import Registry

/// What a server archives on its own, and when.
public struct ArchivePolicy: Hashable, Sendable {
    /// Events move once they are older than this.
    public var age: Duration

    /// Archives what is older than this.
    public init(age: Duration) { self.age = age }

    /// What to do at a moment.
    enum Step: Hashable {
        case archive(before: Timestamp)
        case wait(Duration)
    }

    /// So much older than ``age`` the oldest event becomes before a round begins: events that move together
    /// compress better, and make fewer files.
    var slack: Duration { min(max(age / 10, .seconds(1)), .seconds(86_400)) }

    /// Looked at least so often, since nobody tells when the clock was set.
    static let waitMax = Duration.seconds(3_600)

    /// What to do now.
    ///
    /// - Parameter oldest: when the first event was committed that is not archived; nil if there is none.
    func step(oldest: Timestamp?, now: Timestamp) -> Step {
        let due = (oldest ?? now).advanced(by: age + slack)
        if due <= now { return .archive(before: now.advanced(by: .zero - age)) }
        return .wait(min(.microseconds(due.microseconds - now.microseconds), ArchivePolicy.waitMax))
    }
}

extension Conductor {
    /// Archives what a policy says, round after round, until it is cancelled or the conductor stopped.
    ///
    /// What cannot be archived now is tried again later.
    public func keepArchiving(by policy: ArchivePolicy, logger: Logger) async {
        let actor = Actor(userName: "vedette serve")
        var fault: CommandFailure?
        while !Task.isCancelled, let log = openLog {
            var pause = min(policy.slack, .seconds(60))
            do throws(CommandFailure) {
                switch policy.step(oldest: try Archiver.firstHotTime(log), now: .systemNow) {
                case .wait(let duration): pause = duration
                case .archive(let time):
                    let report = try await archive(before: time, actor: actor)
                    if report.segmentCount > 0 {
                        logger.info("archived what is old", metadata: report.metadata)
                    }
                }
                fault = nil
            } catch {
                if error != fault, !Task.isCancelled {
                    logger.warning(
                        "what is old could not be archived", metadata: ["reason": "\(error.sentence)"])
                }
                fault = error
            }
            do { try await Task.sleep(for: pause) } catch { return }
        }
    }
}

extension ArchiveReport {
    fileprivate var metadata: Logger.Metadata {
        [
            "events": "\(eventCount)", "segments": "\(segmentCount)", "bytes": "\(batchByteCount)",
            "archived_bytes": "\(fileByteCount)", "archived_end": "\(archivedEnd)",
        ]
    }
}
