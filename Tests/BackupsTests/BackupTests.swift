import Auditing
import Backups
import Conductor
import EventLog
import Foundation
import Registry
import Samples
import Testing

@Suite("Backup and restore")
struct BackupTests {
    @Test("A backup made beside its writer holds the whole log, hot and cold, and goes on elsewhere")
    func roundTrip() async throws {
        try await withTemporaryDirectory { directory in
            let data = try await makeLog(in: directory)
            let target = directory + "/backup"
            let manifest = try backUp(data, to: target)
            #expect(manifest.files.count == 2 && manifest.files[1].name.hasPrefix("archive/"))
            let (head, identity) = try facts(of: data)
            #expect(manifest.position == head.position && manifest.seal == "\(head.seal)")
            // Files that tell nothing of the backup are not left in it.
            let found = try files(below: target).keys.sorted()
            #expect(found == (manifest.files.map(\.name) + ["manifest.json"]).sorted())
            #expect(!FileManager.default.fileExists(atPath: target + ".partial"))

            let elsewhere = directory + "/elsewhere"
            let report = try restore(target, to: elsewhere)
            #expect(report.eventCount == head.position && report.registeredCount == 3)
            #expect(report.replaced == nil && report.dataKeyCounts.values.reduce(0, +) == 3)
            let restored = try facts(of: elsewhere)
            #expect(restored.head == head)
            #expect(restored.identity != identity)
            #expect(report.identity == restored.identity.map { String(format: "%02x", $0) }.joined())
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: elsewhere).sorted().filter {
                    !$0.hasSuffix("lock")
                } == ["archive", "events.lmdb"])
            try FileManager.default.copyItem(
                atPath: data + "/master.key", toPath: elsewhere + "/master.key")
            try await withConductor(in: elsewhere) { conductor in
                for vim in conductor.registeredVIMs() {
                    let text = try await conductor.credentials(of: vim.id).description
                    #expect(text.contains("hush"))
                }
                try await conductor.register("d")
            }
        }
    }

    @Test("No backup holds the master key, or what was destroyed before it began")
    func secrets() async throws {
        try await withTemporaryDirectory { directory in
            let data = directory + "/data"
            // Several neighbours come and go, so that pages are freed and split.
            let ids = try await withConductor(in: data) { conductor in
                for number in 0..<60 { try await conductor.register("vim-\(number)") }
                return conductor.registeredVIMs().map(\.id)
            }
            let gone = Array(ids.prefix(30))
            let wrapped = try vaultValues(of: gone, in: data)
            try await withConductor(in: data) { conductor in
                for id in gone { _ = try await conductor.deregister(id, actor: Actor(userName: "ada")) }
            }
            try backUp(data, to: directory + "/backup")
            let key = try Data(contentsOf: URL(fileURLWithPath: data + "/master.key"))
            for (name, bytes) in try files(below: directory + "/backup") {
                #expect(bytes.range(of: key.dropLast()) == nil, "\(name)")
                for entry in wrapped { #expect(bytes.range(of: entry) == nil, "\(name)") }
            }
        }
    }

    private func vaultValues(of ids: [VIMID], in data: String) throws -> [Data] {
        let log = try EventLog(directory: data, access: .read)
        return try ids.map { Data(try #require(try log.vaultValue(for: $0.value.bytes))) }
    }

    @Test("A target that holds anything is left alone; what a killed backup left is taken away")
    func target() async throws {
        try await withTemporaryDirectory { directory in
            let data = try await makeLog(in: directory)
            let target = directory + "/backup"
            try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: false)
            try FileManager.default.createDirectory(
                atPath: target + ".partial/archive", withIntermediateDirectories: true)
            try Data("half".utf8).write(to: URL(fileURLWithPath: target + ".partial/events.lmdb"))
            try Data("half".utf8).write(to: URL(fileURLWithPath: target + ".partial/archive/x.segment"))
            try backUp(data, to: target)
            let before = try files(below: target)
            let fault = #expect(throws: BackupFault.self) { try backUp(data, to: target) }
            #expect(fault?.sentence.contains("is not empty") == true)
            #expect(try files(below: target) == before)
            let nowhere = #expect(throws: BackupFault.self) {
                try backUp(data, to: directory + "/no/such/place")
            }
            #expect(nowhere?.sentence.contains("/no/such/place") == true)
            let nothing = #expect(throws: BackupFault.self) {
                try backUp(directory + "/none", to: directory + "/other")
            }
            #expect(nothing?.sentence.contains("holds no log") == true)
            #expect(!FileManager.default.fileExists(atPath: directory + "/other.partial"))
        }
    }

    @Test("A log that holds more than the backup is replaced only if that is said, and is kept aside")
    func newer() async throws {
        try await withTemporaryDirectory { directory in
            let data = try await makeLog(in: directory)
            let target = directory + "/backup"
            try backUp(data, to: target)
            let end = try facts(of: data).head.position
            // The same log is restored over itself.
            let same = try restore(target, to: data)
            #expect(same.replaced != nil)
            try await withConductor(in: data) { try await $0.register("late") }
            let before = try facts(of: data)
            let fault = #expect(throws: BackupFault.self) { try restore(target, to: data) }
            #expect(fault?.sentence.contains("is newer: the backup ends at position \(end)") == true)
            #expect(fault?.sentence.contains("--discard-present-log") == true)
            #expect(try facts(of: data).head == before.head)
            #expect(!FileManager.default.fileExists(atPath: data + "/restore.staged"))

            let report = try restore(target, to: data, discarding: true)
            let kept = try #require(report.replaced)
            #expect(try facts(of: kept).head == before.head)
            #expect(try await names(in: data) == ["a", "b", "c"])
        }
    }

    @Test("A log of another history, or one that cannot be read, is replaced only if that is said")
    func otherHistory() async throws {
        try await withTemporaryDirectory { directory in
            let data = try await makeLog(in: directory)
            let target = directory + "/backup"
            try backUp(data, to: target)
            let other = try await makeLog(in: directory + "/other", names: ["x", "y"])
            let fault = #expect(throws: BackupFault.self) { try restore(target, to: other) }
            #expect(fault?.sentence.contains("has another history") == true)

            try Data(repeating: 7, count: 20_000).write(to: URL(fileURLWithPath: other + "/events.lmdb"))
            let damaged = #expect(throws: BackupFault.self) { try restore(target, to: other) }
            #expect(damaged?.sentence.contains("cannot be read") == true)
            _ = try restore(target, to: other, discarding: true)
            #expect(try facts(of: other).head == facts(of: data).head)
        }
    }

    @Test("A log that has dropped events is newer than a backup that ends among them")
    func dropped() async throws {
        try await withTemporaryDirectory { directory in
            let data = try await makeLog(in: directory)
            let (early, late) = (directory + "/early", directory + "/late")
            try backUp(data, to: early)
            let end = try facts(of: data).head.position
            let gone = try await withConductor(in: data) { conductor in
                try await conductor.register("d")
                _ = try await conductor.archive(before: Timestamp.systemNow.advanced(by: .seconds(1)))
                return try await conductor.drop(upTo: .max, actor: Actor(userName: "ada")).droppedEnd
            }
            #expect(gone > end)
            try backUp(data, to: late)
            let before = try facts(of: data)
            let newer = #expect(throws: BackupFault.self) { try restore(early, to: data) }
            #expect(
                newer?.sentence.contains(
                    "is newer: it has dropped everything up to position \(gone), and the backup ends at "
                        + "position \(end)") == true, "\(newer?.sentence ?? "")")
            #expect(newer?.sentence.contains("--discard-present-log") == true)
            #expect(try facts(of: data).head == before.head)
            #expect(!FileManager.default.fileExists(atPath: data + "/restore.staged"))

            // Told to, it brings back what was dropped, and keeps the log that had dropped it.
            let kept = try #require(try restore(early, to: data, discarding: true).replaced)
            #expect(try facts(of: data).head.position == end)
            #expect(try EventLog(directory: data, access: .read).droppedPart() == nil)
            #expect(try EventLog(directory: kept, access: .read).droppedPart()?.lastPosition == gone)
            for directory in [data, kept] {
                let log = try EventLog(directory: directory, access: .read)
                #expect(Verifier(of: log).run().damage == nil, "\(directory)")
            }
            // Now the present log holds what the late backup has lost.
            let less = #expect(throws: BackupFault.self) { try restore(late, to: data) }
            #expect(
                less?.sentence.contains("everything up to position \(gone) was dropped") == true,
                "\(less?.sentence ?? "")")
            try restore(late, to: data, discarding: true)
            #expect(try facts(of: data).head == before.head)
            try restore(late, to: directory + "/elsewhere")
            #expect(try await names(in: data) == ["a", "b", "c", "d"])
        }
    }

    @Test("An older state of the same log is replaced without asking")
    func older() async throws {
        try await withTemporaryDirectory { directory in
            let data = try await makeLog(in: directory)
            let (first, second) = (directory + "/first", directory + "/second")
            try backUp(data, to: first)
            try await withConductor(in: data) { try await $0.register("late") }
            try backUp(data, to: second)
            let elsewhere = directory + "/elsewhere"
            try restore(first, to: elsewhere)
            try restore(second, to: elsewhere)
            #expect(try facts(of: elsewhere).head == facts(of: data).head)
        }
    }

    @Test("Any flipped bit of a backup is found before anything is exchanged")
    func flippedBits() async throws {
        try await withTemporaryDirectory { directory in
            let data = try await makeLog(in: directory)
            let target = directory + "/backup"
            try backUp(data, to: target)
            let present = try await makeLog(in: directory + "/present", names: ["x", "y"])
            let before = try files(below: present)
            var random = SeededGenerator(seed: runSeed)
            let all = try files(below: target)
            for _ in 0..<60 {
                let name = try #require(all.keys.sorted().randomElement(using: &random))
                let whole = try #require(all[name])
                let bit = Int.random(in: 0..<whole.count * 8, using: &random)
                // Blanks between a manifest's parts say nothing.
                if name == "manifest.json", [0x20, 0x0A].contains(whole[bit / 8]) { continue }
                var flipped = whole
                flipped[bit / 8] ^= 1 << (bit % 8)
                let url = URL(fileURLWithPath: target + "/" + name)
                try flipped.write(to: url)
                let isTold = (try? restore(target, to: present, discarding: true)) == nil
                #expect(isTold, "SEED=\(runSeed), bit \(bit) of \(name)")
                guard isTold else { return }
                try whole.write(to: url)
            }
            #expect(try files(below: present) == before)
            try FileManager.default.removeItem(
                atPath: target + "/" + all.keys.filter { $0.hasSuffix("segment") }[0])
            #expect(throws: BackupFault.self) { try restore(target, to: present, discarding: true) }
            #expect(throws: BackupFault.self) { try restore(directory, to: present, discarding: true) }
            #expect(try files(below: present) == before)
        }
    }

    @Test("A log that was damaged before it was backed up is not restored")
    func damagedBefore() async throws {
        try await withTemporaryDirectory { directory in
            let data = try await makeLog(in: directory)
            // A byte of a VIM's name, wherever LMDB keeps it.
            let path = URL(fileURLWithPath: data + "/events.lmdb")
            var bytes = try Data(contentsOf: path)
            let name = Data("http://127.0.0.1:5000/v3".utf8)
            var start = bytes.startIndex
            while let place = bytes[start...].range(of: name) {
                bytes[place.lowerBound] = UInt8(ascii: "H")
                start = place.upperBound
            }
            try bytes.write(to: path)
            let target = directory + "/backup"
            try backUp(data, to: target)
            let fault = #expect(throws: BackupFault.self) {
                try restore(target, to: directory + "/elsewhere")
            }
            #expect(fault?.sentence.contains("does not verify: position") == true, "\(fault?.sentence ?? "")")
            #expect(!FileManager.default.fileExists(atPath: directory + "/elsewhere/events.lmdb"))
        }
    }

    @Test("Nobody restores where a conductor writes")
    func inUse() async throws {
        try await withTemporaryDirectory { directory in
            let data = try await makeLog(in: directory)
            let target = directory + "/backup"
            try backUp(data, to: target)
            let other = directory + "/other"
            try await withConductor(in: other) { conductor in
                let fault = #expect(throws: BackupFault.self) {
                    try restore(target, to: other, discarding: true)
                }
                #expect(fault?.sentence.contains("already used by process") == true)
                try await conductor.register("goes-on")
            }
        }
    }
}
