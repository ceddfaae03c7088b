// swift-tools-version: 6.2
import PackageDescription

/// One list of settings for all targets: warnings are errors, imports are internal unless said otherwise.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),  // SE-0335
    .enableUpcomingFeature("InternalImportsByDefault"),  // SE-0409
    .enableUpcomingFeature("MemberImportVisibility"),  // SE-0444
]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let asyncHTTPClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let collections = Target.Dependency.product(name: "Collections", package: "swift-collections")
let heap = Target.Dependency.product(name: "HeapModule", package: "swift-collections")
let configuration = Target.Dependency.product(name: "Configuration", package: "swift-configuration")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let hummingbirdTesting = Target.Dependency.product(name: "HummingbirdTesting", package: "hummingbird")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioFoundation = Target.Dependency.product(name: "NIOFoundationCompat", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let serviceLifecycle = Target.Dependency.product(
    name: "ServiceLifecycle", package: "swift-service-lifecycle")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")
let systemPackage = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")

/// A library or program of ours; `path` says in which room it stands.
func room(_ name: String, _ path: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/\(path)", swiftSettings: settings)
}

/// The tests of a room.
///
/// In an optimized build they themselves are not optimized: that takes longer than they run.
func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource]? = nil) -> Target {
    .testTarget(
        name: name, dependencies: dependencies, path: "Tests/\(name)", resources: resources,
        swiftSettings: settings + [.unsafeFlags(["-Onone"], .when(configuration: .release))])
}

let package = Package(
    name: "vedette",
    products: [
        .library(name: "Registry", targets: ["Registry"]),
        .library(name: "EventLog", targets: ["EventLog"]),
        .library(name: "Projections", targets: ["Projections"]),
        .library(name: "Conductor", targets: ["Conductor"]),
        .library(name: "HighAvailability", targets: ["HighAvailability", "PairWire", "EtcdClient"]),
        .executable(name: "vedette", targets: ["vedette"]),
        .executable(name: "vedette-simulate", targets: ["vedette-simulate"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: ["YAML"]),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0"),
    ],
    targets: [
        // Bindings: C libraries and their safe Swift faces.
        .systemLibrary(
            name: "CLMDB", path: "Sources/Bindings/CLMDB", providers: [.apt(["liblmdb-dev"])]),
        .systemLibrary(
            name: "CXXHash", path: "Sources/Bindings/CXXHash", providers: [.apt(["libxxhash-dev"])]),
        room("LMDB", "Bindings/LMDB", ["CLMDB", "CXXHash"]),
        .systemLibrary(
            name: "CZstd", path: "Sources/Bindings/CZstd", providers: [.apt(["libzstd-dev"])]),
        room("Zstd", "Bindings/Zstd", ["CZstd"]),
        room("Threads", "Bindings/Threads", []),
        .systemLibrary(
            name: "CRabbitMQ", path: "Sources/Bindings/CRabbitMQ", providers: [.apt(["librabbitmq-dev"])]),
        room("AMQP", "Bindings/AMQP", ["CRabbitMQ", "Threads", "Encodings"]),

        // How foreign wires write values: JSON, percent-encoding.
        room("Encodings", "Protocols/Encodings", []),

        // Wires of others that know nothing of us.
        room("OsloMessaging", "Protocols/OsloMessaging", ["AMQP", "Encodings", collections, logging]),

        // The domain, and the log that remembers it.
        room("Registry", "Registry", [protobuf]),
        room("EventLog", "EventLog", ["LMDB", "Zstd", crypto]),
        room("Projections", "Projections", ["Registry", "EventLog", crypto]),
        room("Identity", "Identity", ["Registry", crypto]),
        room(
            "Conductor", "Conductor",
            ["Registry", "EventLog", "Projections", "Identity", "Threads", logging]),

        // The auditor: reads what is stored with code of its own, proves it and hands it out.
        room("Auditing", "Auditing", ["Registry", "EventLog", "Projections", "Threads", "LMDB", crypto]),

        // Foreign wires, which know nothing of us.
        room(
            "KeystoneClient", "Protocols/KeystoneClient",
            [asyncHTTPClient, nioCore, nioPosix, nioHTTP1, nioSSL]),
        room("MistralClient", "Protocols/MistralClient", ["KeystoneClient", nioHTTP1]),

        room(
            "EtcdClient", "Protocols/EtcdClient",
            ["Encodings", asyncHTTPClient, nioCore, nioPosix, nioHTTP1, nioSSL]),

        // Copies of the log: made beside its writer, verified before they are put back.
        room(
            "Backups", "Backups",
            ["Registry", "EventLog", "Projections", "Identity", "Auditing", "Threads", crypto]),

        // The pair: its protocol as a value, and two of them in one thread on simulated devices.
        room("PairProtocol", "HighAvailability/PairProtocol", []),
        room(
            "PairEtcd", "HighAvailability/PairEtcd", ["PairProtocol", "EtcdClient", "Encodings", logging]),
        room(
            "PairWire", "HighAvailability/PairWire", ["PairProtocol", logging, nioCore, nioPosix, nioSSL]),
        room(
            "HighAvailability", "HighAvailability/Pair",
            [
                "PairProtocol", "PairWire", "PairEtcd", "EtcdClient", "Registry", "EventLog", "Projections",
                "Identity", "Conductor", "Backups", "Threads", logging,
            ]),
        room("Simulation", "Simulation", ["PairProtocol", "Threads", heap]),

        // Those who watch.
        room(
            "Monitoring", "Monitoring",
            ["Registry", collections, logging, nioCore, nioPosix, nioHTTP1, nioSSL]),
        room(
            "Workflows", "Workflows",
            [
                "Registry", "Monitoring", "AMQP", "OsloMessaging", "Encodings", "MistralClient", collections,
                crypto, logging, yams,
            ]),

        // Those who ask.
        room(
            "VIMDrivers", "VIMDrivers",
            ["Registry", "Encodings", asyncHTTPClient, nioCore, nioPosix, nioHTTP1, nioSSL, logging]),
        room(
            "RESTRequests", "Requests/RESTRequests",
            [
                "Registry", "Projections", "VIMDrivers", "Encodings", hummingbird, logging, nioCore,
                nioHTTP1, serviceLifecycle,
            ]),

        room(
            "RPCRequests", "Requests/RPCRequests",
            ["Registry", "Projections", "OsloMessaging", "AMQP", "Encodings", logging]),
        room(
            "OperatorRequests", "Requests/OperatorRequests",
            [
                "Registry", asyncHTTPClient, hummingbird, logging, nioCore, nioFoundation, nioHTTP1,
                serviceLifecycle,
            ]),

        // Programs wire everything and decide nothing.
        .executableTarget(
            name: "vedette",
            dependencies: [
                "Registry", "EventLog", "Projections", "Identity", "Conductor", "Monitoring", "Workflows",
                "VIMDrivers", "RESTRequests", "RPCRequests", "OperatorRequests", "OsloMessaging", "AMQP",
                "KeystoneClient", "MistralClient", "Encodings", "Auditing", "Backups", "HighAvailability",
                "PairProtocol", "PairWire", "PairEtcd", "EtcdClient", argumentParser,
                asyncHTTPClient,
                configuration,
                crypto, logging, nioCore, nioHTTP1, nioPosix, serviceLifecycle, systemPackage, unixSignals,
                yams,
            ],
            path: "Sources/Programs/vedette", swiftSettings: settings),
        .executableTarget(
            name: "embedding-example",
            dependencies: ["Registry", "EventLog", "Projections", "Conductor", logging],
            path: "Sources/Programs/embedding-example", packageAccess: false, swiftSettings: settings),

        .executableTarget(
            name: "pair-example",
            dependencies: [
                "Registry", "EventLog", "Projections", "Conductor", "HighAvailability", "PairWire",
                "EtcdClient", logging,
            ],
            path: "Sources/Programs/pair-example", packageAccess: false, swiftSettings: settings),

        .executableTarget(
            name: "vedette-simulate", dependencies: ["PairProtocol", "Simulation", argumentParser],
            path: "Sources/Programs/vedette-simulate", swiftSettings: settings),

        .target(
            name: "Samples", dependencies: ["Registry", logging], path: "Tests/Fixtures/Samples",
            swiftSettings: settings),
        .target(
            name: "Recording", dependencies: ["Registry", "EventLog", "Projections", "Samples"],
            path: "Tests/Fixtures/Recording", swiftSettings: settings),
        tests("EncodingsTests", ["Encodings"]),
        tests("AMQPTests", ["AMQP", "CRabbitMQ"]),
        tests("OsloMessagingTests", ["OsloMessaging", "AMQP", "Encodings", "Samples"]),
        tests(
            "RPCRequestsTests",
            ["RPCRequests", "OsloMessaging", "Registry", "Projections", "Encodings", "Samples"]),
        .executableTarget(
            name: "conductor-load",
            dependencies: ["Registry", "Projections", "Conductor", "Samples", "Recording", logging],
            path: "Tests/Fixtures/ConductorLoad", swiftSettings: settings),
        tests("LMDBTests", ["LMDB", "Samples"]),
        tests(
            "AuditingTests",
            ["Auditing", "Registry", "EventLog", "Projections", "LMDB", "Samples", "Recording", crypto]),
        tests("EventLogTests", ["EventLog", "LMDB", "Samples", crypto]),
        tests("RegistryTests", ["Registry", "Samples"]),
        tests("ProjectionsTests", ["Projections", "Registry", "EventLog", "LMDB", "Samples", "Recording"]),
        tests("IdentityTests", ["Identity", "Registry", "Samples"]),
        tests(
            "ConductorTests",
            ["Conductor", "Registry", "EventLog", "Projections", "Identity", "Threads", "Samples", logging]),
        tests("MonitoringTests", ["Monitoring", "Registry", logging, nioCore, nioPosix, nioSSL]),
        tests(
            "WorkflowsTests",
            [
                "Workflows", "Monitoring", "Registry", "MistralClient", "AMQP", "OsloMessaging", "Encodings",
                "Samples", logging, nioCore, nioPosix, yams,
            ]),
        tests(
            "MistralClientTests",
            ["MistralClient", "KeystoneClient", hummingbird, hummingbirdTesting, nioCore, nioHTTP1]),
        tests(
            "VIMDriversTests",
            [
                "VIMDrivers", "Registry", "Encodings", hummingbird, hummingbirdTesting,
                .product(name: "HummingbirdTLS", package: "hummingbird"), nioCore, nioPosix, nioSSL,
            ]),
        tests(
            "RESTRequestsTests",
            [
                "RESTRequests", "VIMDrivers", "Registry", "Projections", "Encodings", hummingbird,
                hummingbirdTesting, logging, nioCore, nioPosix, serviceLifecycle, "Samples",
            ]),

        tests(
            "EtcdClientTests",
            ["EtcdClient", "Encodings", "Harness", hummingbird, hummingbirdTesting, nioCore, nioHTTP1]),
        tests("PairEtcdTests", ["PairEtcd", "PairProtocol", "EtcdClient", "Harness", logging]),
        tests("PairProtocolTests", ["PairProtocol"]),
        tests(
            "PairWireTests", ["PairWire", "PairProtocol", "Samples", "Harness", logging, nioCore, nioPosix]),
        tests(
            "HighAvailabilityTests",
            [
                "HighAvailability", "PairProtocol", "PairWire", "EtcdClient", "Conductor", "EventLog",
                "Projections", "Registry", "Identity", "LMDB", "Harness", "Recording", "Samples", logging,
            ]),
        tests("SimulationTests", ["PairProtocol", "Simulation"]),
        tests(
            "BackupsTests",
            [
                "Backups", "Conductor", "Registry", "EventLog", "Projections", "Auditing", "Samples", logging,
            ]),
        tests(
            "OperatorRequestsTests",
            ["OperatorRequests", "Registry", "Samples", logging, serviceLifecycle, nioCore]),

        // Tests of the whole: the house's rules, and the real program with its real neighbours.
        .target(
            name: "Harness", dependencies: [asyncHTTPClient, nioCore, nioHTTP1, subprocess],
            path: "Tests/Fixtures/Harness", swiftSettings: settings),
        .target(name: "ClientHistory", path: "Tests/Fixtures/ClientHistory", swiftSettings: settings),
        tests("ClientHistoryTests", ["ClientHistory"]),
        tests("HouseTests", []),
        tests(
            "IntegrationTests",
            ["Harness", "ClientHistory", "EventLog", "OsloMessaging", "AMQP", "Encodings", logging]),
        tests(
            "FaultTests",
            [
                "Harness", "Recording", "Registry", "EventLog", "LMDB", "Projections", "Conductor", "Backups",
                logging,
            ]),
    ]
)
