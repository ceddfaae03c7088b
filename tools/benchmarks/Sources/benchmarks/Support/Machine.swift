import Foundation
import Glibc

/// The machine the figures belong to.
enum Machine {
    static let cores = ProcessInfo.processInfo.activeProcessorCount
    static let kernel = read("/proc/sys/kernel/osrelease")
    static let processor = field("model name", of: "/proc/cpuinfo") ?? "unknown processor"
    static let memoryGiB = Int((Double(ProcessInfo.processInfo.physicalMemory) / Double(1 << 30)).rounded())

    /// The load of the last minute, five and fifteen.
    static var load: String { read("/proc/loadavg").split(separator: " ").prefix(3).joined(separator: " ") }

    static var sentence: String { "\(cores) cores (\(processor)), \(memoryGiB) GiB, Linux \(kernel)" }

    static var facts: [String: Any] {
        ["cores": cores, "processor": processor, "memory_gib": memoryGiB, "kernel": kernel]
    }

    /// The kind of file system that holds a path.
    static func fileSystem(of path: String) -> String {
        let mounts = read("/proc/mounts").split(separator: "\n").map { $0.split(separator: " ") }
        let holding = mounts.filter { mount in
            let point = String(mount[1])
            return point == "/" || path == point || path.hasPrefix(point + "/")
        }
        return holding.max { $0[1].count < $1[1].count }.map { String($0[2]) } ?? "unknown"
    }

    /// The value of a `name: value` line; nil if there is none.
    static func field(_ name: String, of path: String) -> String? {
        for line in read(path).split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2, parts[0].trimmingCharacters(in: .whitespaces) == name {
                return parts[1].trimmingCharacters(in: .whitespaces)
            }
        }
        return nil
    }

    /// Seconds of processor time that a process has used so far; not a number once it is gone.
    static func processorSeconds(of id: Int32) -> Double {
        // The fields after the program's name, which may hold anything but ends with the last bracket.
        let text = read("/proc/\(id)/stat")
        guard let end = text.lastIndex(of: ")") else { return .nan }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
            return .nan
        }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// Ports of loopback that were free a moment ago.
    static func freePorts(count: Int) throws -> [Int] {
        // All at once, so that no two are the same.
        let sockets = (0..<count).map { _ in socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }
        defer { for descriptor in sockets { close(descriptor) } }
        return try sockets.map { descriptor in
            var place = sockaddr_in()
            place.sin_family = sa_family_t(AF_INET)
            place.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let code = withUnsafeMutablePointer(to: &place) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
                }
            }
            guard code == 0 else {
                throw BenchmarkError("no port is free: \(String(cString: strerror(errno)))")
            }
            return Int(UInt16(bigEndian: place.sin_port))
        }
    }

    /// A file of the kernel's, without the last line end; empty if it cannot be read.
    static func read(_ path: String) -> String {
        let text = FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
        return (text ?? "").trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// The whole disk (or its partition) that holds a path, as the kernel counts it.
struct Disk {
    private let path: String

    init(holding file: String) throws {
        var facts = stat()
        guard stat(file, &facts) == 0 else { throw BenchmarkError("\(file) cannot be looked at") }
        let (major, minor) = (facts.st_dev >> 8 & 0xFFF, facts.st_dev & 0xFF | facts.st_dev >> 12 & 0xFFF00)
        path = "/sys/dev/block/\(major):\(minor)/stat"
        guard writtenByteCount > 0 else { throw BenchmarkError("\(path) counts nothing") }
    }

    /// Bytes written since the machine started.
    var writtenByteCount: Int {
        let fields = Machine.read(path).split(separator: " ")
        return fields.count > 6 ? (Int(fields[6]) ?? 0) * 512 : 0
    }
}

/// Why a benchmark could not go on, in one sentence.
struct BenchmarkError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// Makes a new directory inside another one, hands it to the body, and removes it.
func withTemporaryDirectory<Result>(
    in parent: String, _ body: (String) async throws -> Result
) async throws -> Result {
    let path = try makeTemporaryDirectory(in: parent)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try await body(path)
}

/// Makes a new directory inside another one, hands it to the body, and removes it.
func withTemporaryDirectory<Result>(in parent: String, _ body: (String) throws -> Result) throws -> Result {
    let path = try makeTemporaryDirectory(in: parent)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try body(path)
}

private func makeTemporaryDirectory(in parent: String) throws -> String {
    // Short, since sockets lie in it, whose paths have at most 107 bytes.
    let name = "vedette-" + UUID().uuidString.prefix(8)
    let path = URL(fileURLWithPath: parent).standardizedFileURL.path + "/" + name
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
}
