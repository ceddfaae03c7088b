/// A batch on its way from one log of a pair to the other: its value byte for byte, and what the same commit,
/// or those up to now, did to the vault.
///
/// It is kept in the form in which it travels (``TravelFormat``), so that a leader copies a batch once and a
/// standby never before it is stored.
public struct TravellingBatch: Hashable, Sendable {
    /// The form in which it travels.
    public let bytes: [UInt8]
    /// The position of its first event.
    public let firstPosition: UInt64
    /// The front of its value.
    public let header: BatchHeader
    /// What becomes of the vault in the commit that stores it.
    public let vault: TravellingVault

    /// A leader's batch, sealed and perhaps not yet durable, with the changes of the vault that go with it.
    public init(_ sealed: BatchBuilder, vault changes: [VaultChange]) {
        precondition(sealed.sealing != nil, "a batch is sealed before it travels")
        self = sealed.withView { TravellingBatch($0, vault: .changes(changes)) }
    }

    /// A stored batch.
    init(_ batch: BatchView, vault: TravellingVault) {
        (firstPosition, header, self.vault) = (batch.firstPosition, batch.header, vault)
        bytes = TravelFormat.encode(batch.bytes, at: batch.firstPosition, vault)
    }

    /// Reads what came over a wire.
    ///
    /// That its value has the seal that it should have is seen when it is appended.
    ///
    /// - Throws: ``TravelError/newerFormat(found:known:)`` or ``TravelError/damaged(position:what:)``.
    public init(bytes: [UInt8]) throws(TravelError) {
        (firstPosition, header, vault) = try TravelFormat.decode(bytes)
        self.bytes = bytes
    }

    /// The same batch with another say on the vault.
    func with(_ vault: TravellingVault) -> TravellingBatch { withView { TravellingBatch($0, vault: vault) } }

    /// Whether its sender read it from the log, so that the receiver lacks more than what is new.
    public var isFromLog: Bool { if case .changes = vault { false } else { true } }

    /// The position of its last event.
    public var lastPosition: UInt64 { firstPosition + UInt64(header.eventCount) - 1 }

    /// The head of a log that ends with it.
    public var end: Head {
        Head(position: lastPosition, seal: header.seal, time: header.time, epoch: header.epoch)
    }

    /// Hands the batch to the body as readers of the log find it.
    public func withView<Result, Failure: Error>(
        _ body: (BatchView) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // withUnsafeBytes rethrows untyped, hence the detour through Result.
        let result = bytes.withUnsafeBytes { bytes in
            Swift.Result { () throws(Failure) in
                let range = TravelFormat.valueRange(byteCount: header.valueByteCount)
                let value = UnsafeRawBufferPointer(rebasing: bytes[range])
                let batch: BatchView
                do throws(FormatFault) {
                    batch = try BatchView(firstPosition: firstPosition, bytes: value)
                } catch { preconditionFailure("a batch was read that cannot be read: \(error.sentence)") }
                return try body(batch)
            }
        }
        return try result.get()
    }

    /// Two are equal if they travel as the same bytes.
    public static func == (left: TravellingBatch, right: TravellingBatch) -> Bool {
        left.bytes == right.bytes
    }

    /// Feeds what makes two equal.
    public func hash(into hasher: inout Hasher) { hasher.combine(bytes) }
}

/// What a travelling batch says of the vault.
public enum TravellingVault: Hashable, Sendable {
    /// Nothing: it was read from a log, which does not keep what single commits changed.
    case untold
    /// What its own commit changed.
    case changes([VaultChange])
    /// All entries, none destroyed, as of this batch or a later one: the receiver's vault becomes that.
    case whole([VaultChange])
}

extension BatchHeader {
    /// Bytes of the batch's value, header included.
    var valueByteCount: Int { Format.headerByteCount + Int(eventByteCount) }
}
