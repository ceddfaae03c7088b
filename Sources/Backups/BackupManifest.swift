import Crypto
import FoundationEssentials
import Registry

/// What a backup holds: `manifest.json` beside its files.
public struct BackupManifest: Codable, Hashable, Sendable {
    /// One file of the backup.
    public struct File: Codable, Hashable, Sendable {
        /// Its name: `events.lmdb`, or `archive/…`.
        public var name: String
        /// Its size in bytes.
        public var byteCount: UInt64
        /// Its SHA-256 in hexadecimal digits.
        public var sha256: String
    }

    /// The version of this form.
    public var format = 1
    /// The program that made it.
    public var version: String
    /// When the copy was finished, in microseconds since 1970.
    public var time: UInt64
    /// The last position of the log in it.
    public var position: UInt64
    /// The seal there, in hexadecimal digits.
    public var seal: String
    /// The epoch of the last batch.
    public var epoch: UInt64
    /// The identity of the log that was copied, in hexadecimal digits.
    public var identity: String
    /// The files.
    public var files: [File]
    /// SHA-256 of the manifest with this empty, in hexadecimal digits.
    public var checksum = ""

    static let fileName = "manifest.json"
    static let dataFileName = "events.lmdb"
    static let archiveName = "archive"

    /// All bytes of all files.
    public var byteCount: UInt64 { files.reduce(0) { $0 + $1.byteCount } }

    /// The manifest of a backup's directory, checked for itself.
    public init(reading directory: String) throws(BackupFault) {
        let path = directory + "/" + BackupManifest.fileName
        guard let data = try? Data(contentsOf: URL(filePath: path)) else {
            throw BackupFault(
                "\(directory) holds no backup (\(BackupManifest.fileName) is missing): name a directory that "
                    + "vedette backup made")
        }
        struct Front: Decodable { var format: Int }
        guard let front = try? JSONDecoder().decode(Front.self, from: data), front.format >= 1 else {
            throw BackupManifest.damaged(path)
        }
        guard front.format == 1 else {
            throw BackupFault("\(path) has the later form \(front.format): use the version that made it")
        }
        guard let manifest = try? JSONDecoder().decode(BackupManifest.self, from: data),
            manifest.checksum == manifest.computedChecksum, manifest.hasSoundNames
        else { throw BackupManifest.damaged(path) }
        self = manifest
    }

    init(version: String, time: UInt64, position: UInt64, seal: String, epoch: UInt64, identity: String) {
        self.version = version
        self.time = time
        self.position = position
        self.seal = seal
        self.epoch = epoch
        self.identity = identity
        files = []
    }

    /// The text to be stored, its checksum included.
    var stored: Data {
        var whole = self
        whole.checksum = computedChecksum
        return whole.encoded
    }

    private var computedChecksum: String {
        var open = self
        open.checksum = ""
        return SHA256.hash(data: open.encoded).hexadecimal
    }

    private var encoded: Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(self) else {
            preconditionFailure("texts and whole numbers can be encoded")
        }
        return data
    }

    private var hasSoundNames: Bool {
        files.filter { $0.name == BackupManifest.dataFileName }.count == 1
            && files.allSatisfy { BackupManifest.isSound($0.name) }
    }

    /// A name must not lead out of the directory.
    static func isSound(_ name: String) -> Bool {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        return name == dataFileName
            || (parts.count == 2 && parts[0] == archiveName && !parts[1].isEmpty && parts[1].first != "."
                && !parts[1].contains("\0"))
    }

    private static func damaged(_ path: String) -> BackupFault {
        BackupFault("\(path) is damaged: use another backup")
    }
}
