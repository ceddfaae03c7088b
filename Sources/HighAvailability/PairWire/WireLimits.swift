import NIOCore

/// Bounds, each with its reason.
public enum WireLimits {
    /// A frame has at most so many bytes: a batch of the log takes up to 12 MiB, and what travels with it.
    public static let frameByteMax = 64 * 1_024 * 1_024
    /// What a greeting may enclose.
    public static let enclosureByteMax = 1_024 * 1_024
    /// Each text of a greeting, in UTF-8.
    public static let textByteMax = 255
    /// The sentence of a refusal: it names two nodes and their pairs.
    static let refusalByteMax = 2_048
    /// What a stranger can make a node hold: a frame before the greeting has at most so many bytes.
    static let greetingByteMax = enclosureByteMax + 4_096
    /// So many connections may be without a greeting at once; more are closed.
    static let ungreetedMax = 32
    /// When more bytes wait for the peer the link is dropped: it must not catch up from memory.
    public static let waitingByteMax = 256 * 1_024 * 1_024
    /// So many bytes are written before other things get a turn.
    static let turnByteMax = 1_024 * 1_024

    /// So many bytes of a copied file travel in a frame.
    public static let copyByteMax = 1_024 * 1_024
    /// So many frames of a copy are on their way at once: what is read ahead waits in memory.
    static let copyFramesMax = 8
    /// Who is brought a copy may be busy with its disk for so long.
    static let copySilenceSeconds = 60

    /// A connection that has not greeted by then is closed.
    static let greetingPatience = TimeAmount.seconds(5)
    /// A connection that does not stand by then is tried anew: who comes back is found within a second.
    static let connectPatience = TimeAmount.seconds(1)
    /// The pause after the first failure; it doubles with each.
    static let pauseMin = Duration.milliseconds(50)
    /// The longest pause, for the same reason as `connectPatience`.
    static let pauseMax = Duration.seconds(1)
    /// A link that stood for less says nothing new when it breaks as it did before.
    static let steadyMin = Duration.seconds(10)
    /// A cut network is noticed after so many seconds without an acknowledgement by the peer's system.
    static let silenceSeconds = 5
}
