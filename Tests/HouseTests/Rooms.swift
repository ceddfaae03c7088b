/// A room of the house: a folder of sources, and what it may see.
struct Room: Sendable {
    /// The module's name.
    var name: String
    /// Its folder, below Sources.
    var folder: String
    /// The modules of ours that it may import; nil means all.
    var mayImport: Set<String>?
    /// The modules of others that it may import; nil means any.
    ///
    /// Given for the rooms that must stay pure.
    var mayImportForeign: Set<String>?

    init(_ name: String, in folder: String, sees mayImport: Set<String>?, foreign: Set<String>? = nil) {
        self.name = name
        self.folder = folder
        self.mayImport = mayImport
        self.mayImportForeign = foreign
    }
}

/// Who may import whom.
///
/// Arrows point one way: doors and watchers see the domain, the conductor sees domain, log and projections,
/// bindings and foreign wires see nothing of ours, and only programs see everything. Some of these rooms are
/// not built yet; they stand here so that whoever builds one finds its place and its rules.
let house: [Room] = [
    // Programs wire everything and decide nothing.
    Room("vedette", in: "Programs/vedette", sees: nil),
    Room("vedette_simulate", in: "Programs/vedette-simulate", sees: ["PairProtocol", "Simulation"]),
    // Stands for a program outside this package: it sees the library products alone.
    Room(
        "embedding_example", in: "Programs/embedding-example",
        sees: ["Registry", "EventLog", "Projections", "Conductor"]),
    // The same for a program that is one of a pair.
    Room(
        "pair_example", in: "Programs/pair-example",
        sees: [
            "Registry", "EventLog", "Projections", "Conductor", "HighAvailability", "PairWire", "EtcdClient",
        ]),

    // Doors see commands, projections and the submitter's protocol, never the log or the conductor.
    Room(
        "RESTRequests", in: "Requests/RESTRequests",
        sees: ["Registry", "Projections", "VIMDrivers", "Encodings"]),
    Room(
        "RPCRequests", in: "Requests/RPCRequests",
        sees: ["Registry", "Projections", "OsloMessaging", "AMQP", "Encodings"]),
    Room("OperatorRequests", in: "Requests/OperatorRequests", sees: ["Registry"]),

    // The domain is pure: no disk, network, clock or thread, so no Foundation either.
    // Generated code holds bytes as Data; that stays in one folder.
    Room(
        "Registry", in: "Registry/Payloads", sees: [],
        foreign: ["SwiftProtobuf", "Foundation", "FoundationEssentials"]),
    Room("Registry", in: "Registry", sees: [], foreign: []),
    // The log knows no VIM.
    Room("EventLog", in: "EventLog", sees: ["LMDB", "Zstd"]),
    Room("Projections", in: "Projections", sees: ["Registry", "EventLog"]),
    Room(
        "Conductor", in: "Conductor",
        sees: ["Registry", "EventLog", "Projections", "Identity", "Threads"]),
    // The auditor reads the file with code of its own, so it sees the binding, too.
    Room(
        "Auditing", in: "Auditing", sees: ["Registry", "EventLog", "Projections", "Threads", "LMDB"]),
    Room(
        "Backups", in: "Backups",
        sees: ["Registry", "EventLog", "Projections", "Identity", "Auditing", "Threads"]),
    // The pair's state machine is pure: no disk, network, clock or thread.
    Room("PairProtocol", in: "HighAvailability/PairProtocol", sees: [], foreign: []),
    // What the pair keeps in etcd.
    Room(
        "PairEtcd", in: "HighAvailability/PairEtcd", sees: ["PairProtocol", "EtcdClient", "Encodings"]),
    Room("PairWire", in: "HighAvailability/PairWire", sees: ["PairProtocol"]),
    Room(
        "HighAvailability", in: "HighAvailability/Pair",
        sees: [
            "PairProtocol", "PairWire", "PairEtcd", "EtcdClient", "Registry", "EventLog", "Projections",
            "Identity", "Conductor", "Backups", "Threads",
        ]),
    Room("Identity", in: "Identity", sees: ["Registry", "KeystoneClient"]),

    // Those who watch see the conductor only through the protocols that Registry declares.
    Room("Monitoring", in: "Monitoring", sees: ["Registry"]),
    Room(
        "Workflows", in: "Workflows",
        sees: ["Registry", "Monitoring", "AMQP", "OsloMessaging", "MistralClient", "Encodings"]),
    Room("VIMDrivers", in: "VIMDrivers", sees: ["Registry", "Encodings"]),

    // Foreign wires know nothing of us.
    Room("Encodings", in: "Protocols/Encodings", sees: [], foreign: []),
    Room("OsloMessaging", in: "Protocols/OsloMessaging", sees: ["AMQP", "Encodings", "Threads"]),
    Room("EtcdClient", in: "Protocols/EtcdClient", sees: ["Encodings"]),
    Room("KeystoneClient", in: "Protocols/KeystoneClient", sees: []),
    Room("MistralClient", in: "Protocols/MistralClient", sees: ["KeystoneClient"]),

    // C libraries and their safe faces; the system's threads are one.
    Room("Threads", in: "Bindings/Threads", sees: []),
    Room("CLMDB", in: "Bindings/CLMDB", sees: []),
    Room("LMDB", in: "Bindings/LMDB", sees: ["CLMDB"]),
    Room("CZstd", in: "Bindings/CZstd", sees: []),
    Room("Zstd", in: "Bindings/Zstd", sees: ["CZstd"]),
    Room("CRabbitMQ", in: "Bindings/CRabbitMQ", sees: []),
    Room("AMQP", in: "Bindings/AMQP", sees: ["CRabbitMQ", "Threads", "Encodings"]),

    // The whole pair in one thread, on simulated devices.
    Room(
        "Simulation", in: "Simulation", sees: ["PairProtocol", "Threads"],
        foreign: ["HeapModule", "Synchronization"]),
]

/// What may stand at the top of the repository, besides files whose names begin with a dot.
let topLevelEntries: Set<String> = [
    "Package.swift", "Package.resolved", "Sources", "Tests", "tools", "Design.md", "README.md", "LICENSE",
]
