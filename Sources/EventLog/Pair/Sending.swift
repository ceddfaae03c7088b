import Synchronization

/// Stored batches for the pair's other log.
public struct TravellingPortion: Hashable, Sendable {
    /// The batches in order; empty if there is nothing behind the position.
    public var batches: [TravellingBatch]
    /// Whether the last of them, or the position itself if there are none, was the durable end of the log at
    /// the moment as of which the vault is told.
    public var isEnd: Bool
    /// Names the vault that the receiver has after them, as long as this log stays open; nil if it was told
    /// none.
    public var vaultRevision: UInt64?
}

// What a leader sends of what it has stored.
extension EventLog {
    /// Stored batches behind a position, hot or cold, at least one if there is one, the rest as long as all
    /// have at most so many bytes.
    ///
    /// The log does not keep what single commits did to the vault, so the first batch brings the whole vault
    /// as it is after all of them were read. It comes first, since whoever is cut off between two batches may
    /// be the one to lead, and then must open all that was acknowledged: a receiver has at least the keys of
    /// what is alive both where its log ends and where this one does. Where it has caught up it has exactly
    /// this log's; batches from memory then follow with their own changes. So is mended, too, what a cut did:
    /// it takes back a batch, but not the destroying of a key in the same commit.
    ///
    /// Runs beside the writer, on any thread.
    ///
    /// - Parameters:
    ///   - position: the end of a batch.
    ///   - byteMax: bytes of the batches' values; the vault comes on top.
    ///   - revision: ``TravellingPortion/vaultRevision`` of the portion before this one, if the same receiver
    ///     has it, or will have when this one comes; if the vault is still that one, it is left out. Nil for
    ///     a session's first portion.
    /// - Throws: ``TravelError/doesNotFollow(end:what:)`` if no batch ends at the position, and
    ///   ``EventLogError/dropped(path:upTo:time:)`` if what follows it is partly gone.
    public func travellingBatches(
        after position: UInt64, byteMax: Int, knowingVault revision: UInt64? = nil
    ) throws(TravelError) -> TravellingPortion {
        try undisturbedByDrops { () throws(TravelError) in
            do throws(EventLogError) {
                if let dropped = try droppedPart(), position < dropped.lastPosition {
                    throw eventLogError(.dropped(dropped))
                }
            } catch { throw .log(error) }
            var batches = try storedBatches(after: position, byteMax: byteMax)
            // After the batches: a change that came with one of them is seen. Before the vault: one that
            // comes later is told again.
            let present = vaultRevision.load(ordering: .sequentiallyConsistent)
            do throws(EventLogError) {
                // A log's vault may have an entry a VIM: it is read when it is to be told.
                let (vault, end) = try vaultAndEnd(isWanted: !batches.isEmpty && present != revision)
                let isEnd = (batches.last?.lastPosition ?? position) == end
                if batches.isEmpty {
                    return TravellingPortion(batches: [], isEnd: isEnd, vaultRevision: revision)
                }
                if let vault { batches[0] = batches[0].with(.whole(vault)) }
                return TravellingPortion(batches: batches, isEnd: isEnd, vaultRevision: present)
            } catch { throw .log(error) }
        }
    }

    private func storedBatches(
        after position: UInt64, byteMax: Int
    ) throws(TravelError) -> [TravellingBatch] {
        guard position < .max else { return [] }
        var batches: [TravellingBatch] = []
        var byteCount = 0
        do throws(ReadError<TravelError>) {
            try readBatches(from: position + 1) { (batch) throws(TravelError) -> Bool in
                if batches.isEmpty, batch.firstPosition != position + 1 {
                    throw .doesNotFollow(end: position, what: "no batch of the other log ends there")
                }
                byteCount += batch.bytes.count
                guard batches.isEmpty || byteCount <= byteMax else { return false }
                batches.append(TravellingBatch(batch, vault: .untold))
                return byteCount < byteMax
            }
        } catch {
            switch error {
            case .log(let error): throw .log(error)
            case .body(let error): throw error
            }
        }
        return batches
    }
}
