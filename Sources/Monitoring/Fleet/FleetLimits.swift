/// What one process may have under way at one time.
package struct FleetLimits: Sendable {
    /// Probes under way: each may hold a socket and some ten kilobytes.
    package var probesMax: Int
    /// Reports on their way to the registry: enough to fill its batches, few enough to bound memory.
    package var reportsMax: Int

    package init(probesMax: Int = 512, reportsMax: Int = 1_024) {
        self.probesMax = max(1, probesMax)
        self.reportsMax = max(1, reportsMax)
    }

    /// Limits for a process that may open so many files: half of them are left to everybody else.
    package static func fitting(openFilesMax: Int) -> FleetLimits {
        FleetLimits(probesMax: min(max(openFilesMax / 2, 64), 4_096))
    }
}
