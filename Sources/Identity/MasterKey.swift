import Crypto
import Registry

#if canImport(Glibc)
    import Glibc
#endif

/// The key under which every VIM's data key is wrapped.
public struct MasterKey: Sendable {
    let key: SymmetricKey
    /// The key's 32 bytes, for the other node of a pair.
    public var bytes: [UInt8] { key.withUnsafeBytes { Array($0) } }
    /// The first eight bytes of the key's SHA-256: tells wrapped keys which master key opens them.
    let fingerprint: [UInt8]

    /// The fingerprint as 16 hexadecimal digits; tells nothing of the key.
    public var fingerprintText: String { fingerprint.hexadecimal }

    /// A fresh random key.
    public init() {
        let bytes = SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) }
        key = SymmetricKey(data: bytes)
        fingerprint = Array(SHA256.hash(data: bytes).prefix(8))
    }

    /// Takes 32 bytes; nil if there are more or fewer.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        key = SymmetricKey(data: bytes)
        fingerprint = Array(SHA256.hash(data: bytes).prefix(8))
    }

    /// Reads the key from a file, or makes a new key and the file with mode 0600 if there is none.
    ///
    /// - Parameter mayCreate: false if credentials were encrypted before: a new key could not open them.
    /// - Throws: ``MasterKeyFault`` with one sentence that says what to do.
    public init(file path: String, mayCreate: Bool) throws(MasterKeyFault) {
        if let key = try MasterKey(reading: path) {
            self = key
            return
        }
        guard mayCreate else {
            throw MasterKeyFault(
                path,
                "is missing, and the log holds credentials encrypted under it: put it back, name it with "
                    + "--master-key-file, or add --replace-master-key and set all credentials anew")
        }
        let fresh = MasterKey()
        try fresh.write(to: path, replacing: false)
        self = fresh
    }

    /// Reads the key from a file; nil if there is none.
    public init?(reading path: String) throws(MasterKeyFault) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            guard errno == ENOENT else { throw MasterKeyFault(path, "cannot be read (\(systemWords()))") }
            return nil
        }
        defer { close(descriptor) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0, facts.st_mode & 0o077 == 0 else {
            throw MasterKeyFault(path, "can be read by other users: chmod 600 it")
        }
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = max(0, read(descriptor, &buffer, buffer.count))
        let digits = buffer[..<count].filter { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: " ") }
        guard let bytes = MasterKey.bytes(ofHexadecimal: Array(digits)), let key = MasterKey(bytes: bytes)
        else {
            throw MasterKeyFault(path, "holds no key: 64 hexadecimal digits are expected")
        }
        self = key
    }

    /// Writes the key into a file of mode 0600, whole or not at all, and returns once that is durable.
    func write(to path: String, replacing: Bool) throws(MasterKeyFault) {
        let text = key.withUnsafeBytes { Array($0) }.hexadecimal
        // A kill between making the file and filling it would leave no key in it.
        let draft = path + ".new"
        unlink(draft)
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw MasterKeyFault(path, "cannot be created (\(systemWords()))") }
        defer {
            close(descriptor)
            unlink(draft)
        }
        let line = Array((text + "\n").utf8)
        // A link, since a rename would put the key over one that another process made meanwhile.
        guard Glibc.write(descriptor, line, line.count) == line.count, fsync(descriptor) == 0,
            (replacing ? rename(draft, path) : link(draft, path)) == 0, MasterKey.syncDirectory(of: path)
        else { throw MasterKeyFault(path, "cannot be written (\(systemWords()))") }
    }

    /// A key that was synced is lost all the same, and every credential with it, if its name never was.
    static func syncDirectory(of path: String) -> Bool {
        let directory = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return fsync(descriptor) == 0
    }

    private static func bytes(ofHexadecimal digits: [UInt8]) -> [UInt8]? {
        guard digits.count == 64 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            let pair = String(decoding: digits[index...index + 1], as: UTF8.self)
            guard let byte = UInt8(pair, radix: 16), !pair.hasPrefix("+") else { return nil }
            bytes.append(byte)
        }
        return bytes
    }
}

/// What is wrong with a master key file.
public struct MasterKeyFault: Error, Hashable, Sendable {
    /// One sentence with the path and what to do.
    public let sentence: String

    init(_ path: String, _ what: String) { sentence = "master key file \(path) \(what)" }
}

func systemWords() -> String { String(cString: strerror(errno)) }
