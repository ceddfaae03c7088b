/// Runs `body` with a small disk, in memory, mounted at a directory.
///
/// Programs that are started meanwhile see it, too.
package func withTmpfs<Result: Sendable>(
    _ path: String, megabytes: Int, _ body: () async throws -> Result
) async throws -> Result {
    let mounted = try await run("/usr/bin/mount", ["-t", "tmpfs", "-o", "size=\(megabytes)m", "tmpfs", path])
    guard mounted.exitCode == 0 else { throw HarnessError("mount: \(mounted.errorOutput)") }
    let result: Result
    do { result = try await body() } catch {
        _ = try await run("/usr/bin/umount", ["--lazy", path])
        throw error
    }
    let unmounted = try await run("/usr/bin/umount", [path])
    guard unmounted.exitCode == 0 else { throw HarnessError("umount: \(unmounted.errorOutput)") }
    return result
}

/// Whether this process may mount; tried for real, since root in a container may not.
package func canMount() async -> Bool {
    let isPossible = try? await withTemporaryDirectory { directory in
        do { return try await withTmpfs(directory, megabytes: 1) { true } } catch is HarnessError {
            return false
        }
    }
    return isPossible ?? false
}
