import Foundation
import Harness

/// One thing that a program did to its disk, or said.
enum DiskStep {
    case write(file: Int, offset: Int, bytes: [UInt8], isDurable: Bool)
    case sync(file: Int)
    case create(path: String, file: Int)
    case link(path: String, file: Int)
    case rename(from: String, to: String)
    case unlink(path: String)
    case syncDirectory
    case said(String)
}

/// Reads what strace wrote of a program (`-f -qq -xx`) as steps, in the order in which they came to an end.
///
/// strace stops a thread at the end of a call until it has noted it, so whatever a call caused is noted
/// after it.
struct DiskTrace {
    /// The calls that change files, or say something.
    static let calls = [
        "openat", "write", "pwrite64", "writev", "pwritev", "lseek", "fsync", "fdatasync", "ftruncate",
        "link",
        "linkat", "rename", "renameat", "renameat2", "unlink", "unlinkat",
    ]

    private(set) var steps: [DiskStep] = []
    /// Calls that were seen and are not understood: the trace then says less than what happened.
    private(set) var unknown: Set<String> = []
    private let directory: String
    private var fileCount = 0
    private var files: [String: Int] = [:]
    /// How long each file is by now.
    private var lengths: [Int: Int] = [:]
    private var descriptors: [Int: Descriptor] = [:]
    private var unfinished: [Substring: [UInt8]] = [:]

    private struct Descriptor {
        var file: Int?
        var isDurable: Bool
        var isAppending = false
        var offset = 0
    }

    /// - Parameter directory: files outside are passed over, and so are locks, which say nothing after a
    ///   restart.
    init(_ path: String, directory: String) throws {
        self.directory = directory
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        for line in bytes.split(separator: UInt8(ascii: "\n")) { take(Array(line)) }
    }

    private mutating func take(_ line: [UInt8]) {
        guard let space = line.firstIndex(of: UInt8(ascii: " ")),
            let start = line[space...].firstIndex(where: { $0 != UInt8(ascii: " ") })
        else { return }
        let process = Substring(decoding: line[..<space], as: UTF8.self)
        let rest = Array(line[start...])
        if rest.starts(with: Array("<... ".utf8)) {
            guard let begun = unfinished.removeValue(forKey: process),
                let end = rest.firstIndex(of: UInt8(ascii: ">"))
            else { return }
            return take(TracedCall(begun + rest[(end + 1)...]))
        }
        let mark = Array(" <unfinished ...>".utf8)
        guard rest.suffix(mark.count) == mark[...] else { return take(TracedCall(rest)) }
        let begun = Array(rest.dropLast(mark.count))
        let call = TracedCall(begun)
        // What is being said may be heard before the call has come to its end.
        if call.name == "write", call.descriptor == 1 { return say(call) }
        unfinished[process] = begun
    }

    private mutating func take(_ call: TracedCall) {
        guard call.result >= 0 else { return }
        switch call.name {
        case "openat": open(call)
        case "write", "writev":
            if call.descriptor == 1 { return say(call) }
            guard let descriptor = descriptors[call.descriptor] else { return }
            write(call, at: descriptor.isAppending ? lengths[descriptor.file ?? -1] ?? 0 : descriptor.offset)
            descriptors[call.descriptor]?.offset += call.result
        case "pwrite64", "pwritev": write(call, at: call.lastNumber)
        case "lseek": descriptors[call.descriptor]?.offset = call.result
        case "fsync", "fdatasync":
            guard let descriptor = descriptors[call.descriptor] else { return }
            steps.append(descriptor.file.map { .sync(file: $0) } ?? .syncDirectory)
        case "link", "linkat":
            guard call.strings.count == 2, let file = files[call.path(0)] else { return }
            files[call.path(1)] = file
            steps.append(.link(path: call.path(1), file: file))
        case "rename", "renameat", "renameat2":
            guard call.strings.count == 2, let file = files.removeValue(forKey: call.path(0)) else { return }
            files[call.path(1)] = file
            steps.append(.rename(from: call.path(0), to: call.path(1)))
        case "unlink", "unlinkat":
            guard !call.strings.isEmpty, files.removeValue(forKey: call.path(0)) != nil else { return }
            steps.append(.unlink(path: call.path(0)))
        case "ftruncate":
            if descriptors[call.descriptor]?.file != nil { unknown.insert(call.name) }
        default: break
        }
    }

    private mutating func say(_ call: TracedCall) {
        steps.append(.said(String(decoding: call.strings.first ?? [], as: UTF8.self)))
    }

    private mutating func open(_ call: TracedCall) {
        let path = call.path(0)
        descriptors[call.result] = nil
        if path == directory || path == directory + "/" {
            descriptors[call.result] = Descriptor(file: nil, isDurable: false)
            return
        }
        guard path.hasPrefix(directory + "/"), !path.hasSuffix("lock") else { return }
        if files[path] == nil {
            guard call.text.contains("O_CREAT") else { return }
            files[path] = fileCount
            steps.append(.create(path: path, file: fileCount))
            fileCount += 1
        }
        descriptors[call.result] = Descriptor(
            file: files[path], isDurable: call.text.contains("O_DSYNC"),
            isAppending: call.text.contains("O_APPEND"))
    }

    private mutating func write(_ call: TracedCall, at offset: Int) {
        guard let descriptor = descriptors[call.descriptor], let file = descriptor.file else { return }
        let bytes = Array(call.strings.joined().prefix(call.result))
        // A trace that was cut short would let a test pass that tried nothing.
        if bytes.count != call.result { unknown.insert(call.name) }
        lengths[file] = max(lengths[file] ?? 0, offset + bytes.count)
        steps.append(
            .write(file: file, offset: offset, bytes: bytes, isDurable: descriptor.isDurable))
    }
}

/// A call as strace prints it: a name, arguments with strings in hexadecimal, a result.
private struct TracedCall {
    var name = ""
    var strings: [[UInt8]] = []
    /// The line without its strings.
    var text = ""
    var result = -1

    init(_ line: [UInt8]) {
        var plain: [UInt8] = []
        line.withUnsafeBufferPointer { line in
            var index = 0
            while index < line.count {
                guard line[index] == UInt8(ascii: "\"") else {
                    plain.append(line[index])
                    index += 1
                    continue
                }
                var bytes: [UInt8] = []
                index += 1
                // \xNN \xNN … "
                while index + 3 < line.count, line[index] == UInt8(ascii: "\\") {
                    bytes.append(TracedCall.digit(line[index + 2]) << 4 | TracedCall.digit(line[index + 3]))
                    index += 4
                }
                index += 1
                strings.append(bytes)
            }
        }
        text = String(decoding: plain, as: UTF8.self)
        name = String(text.prefix { $0 != "(" })
        // Results stand in a column of their own: blanks may come before the sign.
        guard let equals = text.range(of: " = ", options: .backwards) else { return }
        result = Int(text[equals.upperBound...].prefix { $0.isNumber || $0 == "-" }) ?? -1
        text.removeSubrange(equals.lowerBound...)
    }

    var descriptor: Int { Int(text.dropFirst(name.count + 1).prefix { $0.isNumber }) ?? -1 }

    /// The last argument.
    var lastNumber: Int {
        let digits = text.reversed().drop { !$0.isNumber }.prefix { $0.isNumber }
        return Int(String(digits.reversed())) ?? 0
    }

    func path(_ index: Int) -> String { String(decoding: strings[index], as: UTF8.self) }

    private static func digit(_ byte: UInt8) -> UInt8 {
        byte >= UInt8(ascii: "a") ? byte - UInt8(ascii: "a") + 10 : byte - UInt8(ascii: "0")
    }
}
