/// A place where a log is not what it should be.
public struct Damage: Error, Hashable, Sendable {
    /// The position of the event, or of the batch's first event; 0 if it is not in the events.
    public let position: UInt64
    /// One sentence, without the position.
    public let sentence: String
    /// The file that is damaged; nil if it is the data file.
    public var path: String?

    /// A damage at a position.
    public init(at position: UInt64, _ sentence: String) {
        self.position = position
        self.sentence = sentence
    }
}
