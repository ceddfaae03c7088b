import Foundation

/// Runs `body` with a fresh directory and removes it afterwards, whatever happened.
@discardableResult
package func withTemporaryDirectory<Result: Sendable>(
    _ body: (String) async throws -> Result
) async throws -> Result {
    let directory = FileManager.default.temporaryDirectory
        .appendingPathComponent("vedette-test-\(UUID().uuidString.lowercased())").path
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    return try await body(directory)
}

/// All files below a directory, with their contents.
package func contentsOfFiles(below directory: String) throws -> [(path: String, bytes: [UInt8])] {
    let paths = FileManager.default.enumerator(atPath: directory)?.compactMap { $0 as? String } ?? []
    return try paths.compactMap { path in
        let url = URL(fileURLWithPath: directory).appendingPathComponent(path)
        guard try url.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true else { return nil }
        return (path, [UInt8](try Data(contentsOf: url)))
    }
}
