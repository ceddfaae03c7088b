// swift-tools-version: 6.2
import PackageDescription

// Apart from the root package, so that a user's build never pulls it in.
let package = Package(
    name: "benchmarks",
    dependencies: [
        .package(name: "vedette", path: "../.."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        // The peers in C: plain loops over LMDB, SQLite, libcrypto, libzstd and a plain file, and the endpoints that stand for VIMs.
        .target(
            name: "Reference", cSettings: [.unsafeFlags(["-O2", "-Wall", "-Wextra", "-Werror"])],
            linkerSettings: ["lmdb", "sqlite3", "crypto", "zstd"].map { .linkedLibrary($0) }),
        .executableTarget(
            name: "benchmarks",
            dependencies: [
                "Reference",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
                .product(name: "Conductor", package: "vedette"),
                .product(name: "EventLog", package: "vedette"),
                .product(name: "HighAvailability", package: "vedette"),
                .product(name: "Projections", package: "vedette"),
                .product(name: "Registry", package: "vedette"),
            ],
            swiftSettings: [
                .swiftLanguageMode(.v6),
                .treatAllWarnings(as: .error),
                .enableUpcomingFeature("ExistentialAny"),  // SE-0335
                .enableUpcomingFeature("InternalImportsByDefault"),  // SE-0409
                .enableUpcomingFeature("MemberImportVisibility"),  // SE-0444
            ]),
    ]
)
