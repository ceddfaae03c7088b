import Auditing
import Conductor
import Foundation
import Logging
import Synchronization

/// How heads are signed and published.
struct HeadPublishing: Sendable {
    var key: HeadSigningKey
    /// Also written here.
    var file: String?
    var interval: Duration
}

/// Signs the log's head now and then, so that a witness outside holds it.
final class HeadPublisher: Sendable {
    private let publishing: HeadPublishing
    private let conductor: Conductor
    private let logger: Logger
    private let newest = Mutex<String?>(nil)

    init(_ publishing: HeadPublishing, conductor: Conductor, logger: Logger) {
        self.publishing = publishing
        self.conductor = conductor
        self.logger = logger
        // Before anybody can ask for it.
        publish()
    }

    /// The newest signed head.
    var note: String? { newest.withLock { $0 } }

    /// Signs until it is cancelled.
    func run() async {
        while true {
            do { try await Task.sleep(for: publishing.interval) } catch { return }
            publish()
        }
    }

    private func publish() {
        guard let head = conductor.head else { return }
        let key = publishing.key
        let note = SignedNote(
            signing: HeadStatement(head, origin: key.verifier.name).text, with: key
        ).note
        newest.withLock { $0 = note }
        guard let path = publishing.file else { return }
        do {
            // Foundation writes a file beside it first and renames that: a reader sees one note or the other.
            try Data(note.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            logger.warning(
                "the signed head could not be written", metadata: ["file": "\(path)", "reason": "\(error)"])
        }
    }
}
