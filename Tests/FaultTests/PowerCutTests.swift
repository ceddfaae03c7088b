// Starts: conductor-load under strace, which notes every byte it writes and every sync it waits for; then
// the power is cut, on a model of the disk, before and after every one of them.
//
// 1. The trace begins with a new directory, and answers are in it, too: what was said before a cut was
//    promised.
// 2. At every cut several images are made of what the disk may then hold: nothing that was not synced, all
//    of it, some pages, some sectors of some pages; names may be missing that were not synced (see
//    `VolatileDisk`).
// 3. A conductor must open each image, and every promise must be kept at its position, under an unbroken
//    chain of seals. SEED replays a failure; POWER_CUTS makes more images at each cut.
import Conductor
import EventLog
import Foundation
import Harness
import LMDB
import Logging
import Recording
import Testing

@Suite("A power cut", .serialized)
struct PowerCutTests {
    @Test("Whatever reached the disk, the log opens and holds every promise")
    func cut() async throws {
        let seed = faultSeed()
        var random = Seeded(state: seed)
        let copies = amount("POWER_CUTS", 1)
        try await withTemporaryDirectory { directory in
            let data = directory + "/data"
            let trace = try await record(data, in: directory, seed: seed)
            try #require(trace.unknown == [])
            var disk = VolatileDisk()
            var promises: [Acknowledgement] = []
            var counts = (cuts: 0, images: 0, takenBack: 0, writes: 0, syncs: 0)
            for (index, step) in trace.steps.enumerated() {
                disk.begin(step)
                let survivals: [VolatileDisk.Survival]
                switch step {
                case .said(let line):
                    promises.append(try #require(Acknowledgement(line: line.dropLast()), "\(line)"))
                    continue
                case .write(_, _, _, isDurable: false), .create, .link, .rename, .unlink:
                    counts.writes += 1
                    survivals = [[.somePages, .someSectors][index % 2]]
                case .write(_, _, _, isDurable: true), .sync, .syncDirectory:
                    counts.syncs += 1
                    survivals = VolatileDisk.Survival.allCases
                }
                counts.cuts += 1
                for survival in survivals + survivals.flatMap({ repeatElement($0, count: copies - 1) }) {
                    counts.images += 1
                    let image = disk.image(survival, &random)
                    let (broken, isTakenBack) = try await broken(
                        promises, by: image, in: directory, data: data)
                    if isTakenBack { counts.takenBack += 1 }
                    try #require(broken == [], "SEED=\(seed), cut at step \(index) \(step.name), \(survival)")
                }
                disk.end(step)
            }
            // What is synced must be enough at the end, too.
            let (broken, isTakenBack) = try await broken(
                promises, by: disk.image(.nothing, &random), in: directory, data: data)
            #expect(broken == [] && !isTakenBack)
            print(
                "PowerCutTests: \(counts.images + 1) images of \(counts.cuts) cuts (\(counts.writes) writes, "
                    + "\(counts.syncs) syncs), a commit taken back in \(counts.takenBack), "
                    + "\(promises.count) promises, SEED=\(seed)")
            // A commit has the wishes of four callers at most; each is a sync, and each may be torn.
            #expect(promises.count == 100 && counts.syncs >= promises.count / 4)
            #expect(counts.takenBack > 10)
        }
    }

    private func record(_ data: String, in directory: String, seed: UInt64) async throws -> DiskTrace {
        let trace = directory + "/trace"
        // Strings in hexadecimal, however long.
        let traced = try await run(
            Programs.strace,
            [
                "-f", "-qq", "-xx", "-s", "100000000", "-e", "signal=none", "-e",
                "trace=" + DiskTrace.calls.joined(separator: ","), "-o", trace, Programs.conductorLoad, data,
                "4",
                "\(seed)", "25",
            ])
        guard traced.exitCode == 0 else { throw HarnessError("strace: \(traced.errorOutput)") }
        return try DiskTrace(trace, directory: data)
    }

    /// Opens an image as a restarted server would, and returns sentences about broken promises, and whether a
    /// commit was taken back.
    private func broken(
        _ promises: [Acknowledgement], by image: [String: [UInt8]], in directory: String, data: String
    ) async throws -> ([String], isTakenBack: Bool) {
        let place = directory + "/image"
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: place) }
        for (path, bytes) in image {
            let copy = place + path.dropFirst(data.count)
            let isMade = FileManager.default.createFile(
                atPath: copy, contents: Data(bytes), attributes: [.posixPermissions: 0o600])
            guard isMade else { throw HarnessError("\(copy) cannot be written") }
        }
        // The machine has started anew, though this one has not.
        var isTakenBack = false
        do throws(EventLogError) {
            let log = try EventLog(directory: place, access: .write, start: MachineStart(1))
            isTakenBack = log.hasTakenBackCommit
        } catch { return ([error.sentence], false) }
        do throws(StartFault) {
            await (try Conductor(.init(directory: place), logger: Logger(label: "image"))).stop()
        } catch { return ([error.sentence], isTakenBack) }
        var witness = Witness()
        return (try follow(place, &witness, promises: promises), isTakenBack)
    }
}

extension DiskStep {
    /// What kind of step.
    var name: String {
        switch self {
        case .write(_, let offset, let bytes, let isDurable):
            "\(isDurable ? "synced " : "")write of \(bytes.count) bytes at \(offset)"
        case .sync: "sync"
        case .create(let path, _): "create \(path)"
        case .link(let path, _): "link \(path)"
        case .rename(_, let to): "rename to \(to)"
        case .unlink(let path): "unlink \(path)"
        case .syncDirectory: "sync of the directory"
        case .said: "answer"
        }
    }
}
