/// A worker process as the conductor sees it.
public struct WorkerSighting: Hashable, Sendable {
    /// This run of the worker; the next one of the same name has another id.
    public var id: UniqueID
    /// What the operator calls it.
    public var name: String
    /// The machine.
    public var host: String
    /// The process on the machine.
    public var processID: UInt32
    /// The program's version.
    public var version: String
    /// How many monitor actions it carries.
    public var load: Int
    /// It takes actions while it carries fewer: its fair share and a little more.
    public var loadMax: Int
    /// How many it would carry at most.
    public var capacity: Int
    /// How long ago it was last heard.
    public var silence: Duration

    /// All parts at once.
    public init(
        id: UniqueID, name: String, host: String, processID: UInt32, version: String, load: Int,
        loadMax: Int, capacity: Int, silence: Duration
    ) {
        self.id = id
        self.name = name
        self.host = host
        self.processID = processID
        self.version = version
        self.load = load
        self.loadMax = loadMax
        self.capacity = capacity
        self.silence = silence
    }
}
