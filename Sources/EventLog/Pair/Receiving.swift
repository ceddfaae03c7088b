import LMDB

// What a standby does with the batches that the leader sends.
extension EventLog {
    /// Appends a batch of the pair's other log behind the head, byte for byte, and returns the new head once
    /// it is durable; see ``append(travelling:)-([TravellingBatch])``.
    @discardableResult
    public func append(travelling batch: TravellingBatch) throws(TravelError) -> Head {
        try append(travelling: [batch])
    }

    /// Appends batches of the pair's other log behind the head, byte for byte, and returns the new head once
    /// they are durable.
    ///
    /// One transaction, one sync, with all that they say of the vault. Before anything is written, it is
    /// verified that each follows the one before it and has the seal that its bytes deserve there, so that
    /// logs that took the same batches are the same. Must be called by the writer.
    ///
    /// - Parameter check: asked for each of them after that, also before anything is written: whether what it
    ///   says is understood.
    /// - Throws: any ``TravelError``; then nothing was stored, except as
    ///   ``EventLogError/deviceFailed(path:words:)`` says.
    @discardableResult
    public func append(
        travelling batches: [TravellingBatch],
        ifUnderstood check: (BatchView) throws(TravelError) -> Void = { _ in }
    ) throws(TravelError) -> Head {
        precondition(isWriter, "only the holder of the directory's lock appends")
        var end = head
        for batch in batches { end = try batch.verified(behind: end) }
        for batch in batches { try batch.withView(check) }
        guard !batches.isEmpty else { return end }
        do throws(EventLogError) {
            let changes = try vaultChanges(of: batches)
            try write(vault: changes) { (transaction) throws(LMDBError) in
                for batch in batches {
                    try batch.withView { (view) throws(LMDBError) in
                        try append(view.bytes, at: view.firstPosition, in: transaction)
                    }
                }
            }
            moveHead(to: end)
        } catch { throw .log(error) }
        return end
    }

    /// What the batches do to the vault together; of a whole one only what is not as it says.
    private func vaultChanges(of batches: [TravellingBatch]) throws(EventLogError) -> [VaultChange] {
        var changes: [VaultChange] = []
        for batch in batches {
            switch batch.vault {
            case .untold: break
            case .changes(let own): changes += own
            case .whole(let entries):
                // Only this thread writes: what is read here is what the transaction will find.
                var other = Dictionary(
                    try vaultEntries().map { ($0.key, $0.value) }, uniquingKeysWith: { _, last in last })
                changes = entries.filter { other.removeValue(forKey: $0.key) != $0.value }
                changes += other.keys.map { VaultChange(key: $0, value: nil) }
            }
        }
        return changes
    }
}

extension TravellingBatch {
    /// The head that it makes behind another one.
    func verified(behind head: Head) throws(TravelError) -> Head {
        guard firstPosition == head.position + 1 else {
            throw .doesNotFollow(end: head.position, what: "it begins at position \(firstPosition)")
        }
        guard header.time >= head.time else {
            throw .doesNotFollow(end: head.position, what: "its time \(header.time) is before \(head.time)")
        }
        guard header.epoch >= head.epoch else {
            throw .doesNotFollow(
                end: head.position, what: "its epoch \(header.epoch) is lower than \(head.epoch)")
        }
        try withView { (batch) throws(TravelError) in
            var events = batch.events
            var (offset, unknown): (Int, UInt64?) = (Format.headerByteCount, nil)
            do throws(FormatFault) {
                while let event = try events.next() {
                    // Type, format, and five bytes that nothing uses yet.
                    let kind: UInt64 = batch.bytes.load(at: offset + 24)
                    if kind >> 24 != 0, unknown == nil { unknown = event.position }
                    offset += Format.envelopeByteCount + event.payload.count
                    guard event.envelope.time == header.time,
                        event.envelope.previousInStream < event.position
                    else { throw FormatFault("event \(event.position) does not belong where it stands") }
                }
            } catch { throw .damaged(position: firstPosition, what: error.sentence) }
            guard batch.computedSeal(after: head.seal) == header.seal else {
                throw .damaged(position: firstPosition, what: "it does not match its seal behind this log's")
            }
            if let unknown {
                throw .unknown(position: unknown, what: "reserved bytes of the event's envelope are not zero")
            }
        }
        return end
    }
}
