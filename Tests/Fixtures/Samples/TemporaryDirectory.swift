import Foundation

/// Runs `body` with a fresh directory and removes it afterwards, whatever happened.
@discardableResult
package func withTemporaryDirectory<Result>(_ body: (String) throws -> Result) throws -> Result {
    let directory = try makeTemporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: directory) }
    return try body(directory)
}

/// Runs `body` with a fresh directory and removes it afterwards, whatever happened.
@discardableResult
package func withTemporaryDirectory<Result: Sendable>(
    isolation: isolated (any Actor)? = #isolation, _ body: (String) async throws -> Result
) async throws -> Result {
    let directory = try makeTemporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: directory) }
    return try await body(directory)
}

private func makeTemporaryDirectory() throws -> String {
    let directory = FileManager.default.temporaryDirectory
        .appendingPathComponent("vedette-test-\(UUID().uuidString.lowercased())").path
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
    return directory
}

/// Bytes that an earlier version wrote, from `Tests/Fixtures/golden`.
package func goldenBytes(_ name: String) throws -> [UInt8] {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../golden/\(name).hex")
    let digits = try String(contentsOf: file, encoding: .utf8).filter { !$0.isWhitespace }
    return stride(from: 0, to: digits.count, by: 2).compactMap { offset in
        let start = digits.index(digits.startIndex, offsetBy: offset)
        return UInt8(digits[start...digits.index(after: start)], radix: 16)
    }
}
