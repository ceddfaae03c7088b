import ArgumentParser
import Auditing
import Encodings
import EventLog
import Foundation
import Registry
import VIMDrivers

/// The head of the log, signed or plain.
struct AuditHead: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "head", abstract: "Print the last position and its seal; --sign makes it a signed note.",
        discussion: """
            A signed head, kept by somebody else, lets anybody prove later that nothing before it was \
            changed: vedette audit verify --head FILE. The note's form is C2SP's signed-note (Ed25519).

              vedette audit head
              vedette audit head --sign head.key > monday.note
            """)

    @OptionGroup var directory: DataDirectory
    @Option(
        help: ArgumentHelp(
            "Sign with this key: a file made by vedette audit key, or an Ed25519 key in PEM.",
            valueName: "file"))
    var sign: String?
    @Option(help: ArgumentHelp("The name of a PEM key, which has none of its own.", valueName: "name"))
    var name: String?
    @Flag(help: "One JSON object.") var json = false

    func run() async throws {
        let key = try sign.map { try HeadFiles.signingKey($0, name: name) }
        let head = try directory.open(checking: .trees).durableHead()
        if let key {
            let note = SignedNote(signing: HeadStatement(head, origin: key.verifier.name).text, with: key)
            return print(note.note, terminator: "")
        }
        if json {
            var line = JSONLine()
            line.add("position", .integer(Int64(clamping: head.position)))
            line.add("seal", .string("\(head.seal)"))
            line.add("epoch", .integer(Int64(clamping: head.epoch)))
            line.add("time", .string(Timestamp(microseconds: head.time).description))
            return print(line.text)
        }
        print("position \(head.position), seal \(head.seal), \(Timestamp(microseconds: head.time))")
    }
}

/// A key pair that signs heads.
struct AuditKey: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Make a key that signs heads, and print the key that verifies them.",
        discussion: """
            The private key stays in the file (mode 0600); the printed verifier key goes to whoever keeps \
            and checks heads.

              vedette audit key --name vedette.example --out head.key
            """)

    @Option(help: ArgumentHelp("The key's name, such as the host's; no spaces, no '+'.", valueName: "name"))
    var name: String
    @Option(help: ArgumentHelp("The file for the private key; it must not exist.", valueName: "file"))
    var out: String

    func run() async throws {
        let key: HeadSigningKey
        do throws(NoteFault) { key = try HeadSigningKey(name: name) } catch {
            throw Failure.usage("--name: \(error.sentence)")
        }
        let descriptor = open(out, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw Failure("--out \(out): it cannot be created (\(String(cString: strerror(errno))))")
        }
        defer { close(descriptor) }
        let bytes = Array(key.file.utf8)
        guard write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0 else {
            throw Failure("--out \(out): it cannot be written (\(String(cString: strerror(errno))))")
        }
        print(key.verifier)
    }
}

/// Keys and heads as they lie in files.
enum HeadFiles {
    /// A head and where it was read.
    struct Stated {
        var path: String
        var statement: HeadStatement
    }

    /// The longest file that is read: keys and heads have a few hundred bytes.
    private static let byteMax = 65_536

    static func signingKey(_ path: String, name: String?) throws -> HeadSigningKey {
        let text = try text(of: path)
        do throws(NoteFault) { return try HeadSigningKey(file: text, name: name) } catch {
            throw Failure("\(path): \(error.sentence)")
        }
    }

    /// A verifier key, given as its text or as a file that holds it.
    static func verifierKey(_ textOrPath: String) throws -> HeadVerifierKey {
        if let key = try? HeadVerifierKey(textOrPath) { return key }
        let text = try text(of: textOrPath).trimmingCharacters(in: .whitespacesAndNewlines)
        do throws(NoteFault) { return try HeadVerifierKey(text) } catch {
            throw Failure("--key \(textOrPath): \(error.sentence)")
        }
    }

    /// The head that a file states; its signature is checked if there is a key.
    static func statement(in path: String, key: HeadVerifierKey?) throws -> Stated {
        let text = try text(of: path)
        do throws(NoteFault) {
            let note = try SignedNote(text)
            if let key { try note.check(against: key) }
            return Stated(path: path, statement: try HeadStatement(text: note.text))
        } catch { throw Failure("\(path): \(error.sentence)") }
    }

    private static func text(of path: String) throws -> String {
        guard let handle = FileHandle(forReadingAtPath: path),
            let data = try? handle.read(upToCount: byteMax), let text = String(data: data, encoding: .utf8)
        else { throw Failure("\(path): there is no file that can be read") }
        return text
    }
}
