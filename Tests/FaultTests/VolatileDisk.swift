/// A disk that may lose its power: knows of every file what is durable and what was only written.
///
/// The page cache writes pages back in any order and each at any time, so after a cut every page (4 KiB)
/// holds what it held after some number of its writes, and the write after those may be torn between sectors
/// (512 bytes). Names made or removed since the last sync of the directory are there up to some change in
/// their order. An O_DSYNC write is durable, with its pages, when it returns.
struct VolatileDisk {
    /// How much of what was only written is found after the cut.
    enum Survival: CaseIterable, Sendable {
        case nothing, everything, somePages, someSectors
    }

    private struct File {
        var durable: [UInt8] = []
        var pending: [(offset: Int, bytes: ArraySlice<UInt8>)] = []
    }

    private enum NameChange {
        case add(String, Int)
        case remove(String)
    }

    private static let pageByteCount = 4_096
    private static let sectorByteCount = 512

    private var files: [File] = []
    private var durableNames: [String: Int] = [:]
    private var pendingNames: [NameChange] = []

    /// Begins a step: what it writes is on its way.
    mutating func begin(_ step: DiskStep) {
        switch step {
        case .write(let file, let offset, let bytes, _):
            // One write a page: each reaches the disk by itself.
            var start = 0
            while start < bytes.count {
                let room = VolatileDisk.pageByteCount - (offset + start) % VolatileDisk.pageByteCount
                let end = min(bytes.count, start + room)
                files[file].pending.append((offset + start, bytes[start..<end]))
                start = end
            }
        case .create(let path, let file):
            files.append(File())
            precondition(file == files.count - 1, "files are numbered as they are made")
            pendingNames.append(.add(path, file))
        case .link(let path, let file): pendingNames.append(.add(path, file))
        case .rename(let from, let to):
            guard let file = names(upTo: pendingNames.count)[from] else { return }
            pendingNames += [.add(to, file), .remove(from)]
        case .unlink(let path): pendingNames.append(.remove(path))
        case .sync, .syncDirectory, .said: break
        }
    }

    /// Ends a step: what it promised is durable.
    mutating func end(_ step: DiskStep) {
        switch step {
        case .sync(let file): settle(file) { _ in true }
        case .write(let file, let offset, let bytes, isDurable: true):
            let pages =
                offset / VolatileDisk.pageByteCount...(offset + bytes.count) / VolatileDisk.pageByteCount
            settle(file) { pages.contains($0 / VolatileDisk.pageByteCount) }
        case .syncDirectory:
            durableNames = names(upTo: pendingNames.count)
            pendingNames = []
        default: break
        }
    }

    private mutating func settle(_ file: Int, _ concerns: (Int) -> Bool) {
        for write in files[file].pending where concerns(write.offset) {
            VolatileDisk.put(write.bytes, at: write.offset, into: &files[file].durable)
        }
        files[file].pending.removeAll { concerns($0.offset) }
    }

    /// What is found after the power was cut now: files by their paths.
    func image(_ survival: Survival, _ random: inout Seeded) -> [String: [UInt8]] {
        let nameCount =
            switch survival {
            case .nothing: 0
            case .everything: pendingNames.count
            case .somePages, .someSectors: Int.random(in: 0...pendingNames.count, using: &random)
            }
        // In the order of their names, so that a seed gives the same image again.
        var contents: [Int: [UInt8]] = [:]
        var image: [String: [UInt8]] = [:]
        for (path, file) in names(upTo: nameCount).sorted(by: { $0.key < $1.key }) {
            if contents[file] == nil { contents[file] = content(files[file], survival, &random) }
            image[path] = contents[file]
        }
        return image
    }

    private func names(upTo count: Int) -> [String: Int] {
        var names = durableNames
        for change in pendingNames[..<count] {
            switch change {
            case .add(let path, let file): names[path] = file
            case .remove(let path): names[path] = nil
            }
        }
        return names
    }

    private func content(_ file: File, _ survival: Survival, _ random: inout Seeded) -> [UInt8] {
        var bytes = file.durable
        if survival == .nothing { return bytes }
        // The length may have grown before the pages came.
        if survival != .everything, Bool.random(using: &random) {
            let length = file.pending.map { $0.offset + $0.bytes.count }.max() ?? 0
            bytes += repeatElement(0, count: max(0, length - bytes.count))
        }
        let pages = Dictionary(grouping: file.pending) { $0.offset / VolatileDisk.pageByteCount }
        for (_, writes) in pages.sorted(by: { $0.key < $1.key }) {
            let count =
                survival == .everything ? writes.count : Int.random(in: 0...writes.count, using: &random)
            for write in writes[..<count] { VolatileDisk.put(write.bytes, at: write.offset, into: &bytes) }
            guard survival == .someSectors, count < writes.count else { continue }
            VolatileDisk.tear(writes[count], into: &bytes, &random)
        }
        return bytes
    }

    /// Puts some of the sectors of a write.
    private static func tear(
        _ write: (offset: Int, bytes: ArraySlice<UInt8>), into bytes: inout [UInt8], _ random: inout Seeded
    ) {
        var start = write.bytes.startIndex
        while start < write.bytes.endIndex {
            let offset = write.offset + start - write.bytes.startIndex
            let end = min(write.bytes.endIndex, start + sectorByteCount - offset % sectorByteCount)
            if Bool.random(using: &random) { put(write.bytes[start..<end], at: offset, into: &bytes) }
            start = end
        }
    }

    private static func put(_ part: ArraySlice<UInt8>, at offset: Int, into bytes: inout [UInt8]) {
        let end = offset + part.count
        if bytes.count < end { bytes += repeatElement(0, count: end - bytes.count) }
        bytes.replaceSubrange(offset..<end, with: part)
    }
}
