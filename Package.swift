// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .treatAllWarnings(as: .error),
]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let asyncHTTPClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let configuration = Target.Dependency.product(name: "Configuration", package: "swift-configuration")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let cryptoExtras = Target.Dependency.product(name: "CryptoExtras", package: "swift-crypto")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let hashTrees = Target.Dependency.product(name: "HashTreeCollections", package: "swift-collections")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let hummingbirdTLS = Target.Dependency.product(name: "HummingbirdTLS", package: "hummingbird")
let hummingbirdTesting = Target.Dependency.product(name: "HummingbirdTesting", package: "hummingbird")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")
let systemPackage = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
  name: "pumice",
  products: [
    .executable(name: "pumice", targets: ["pumice"]),
    .executable(name: "pumice-agent", targets: ["pumice-agent"]),
    .executable(name: "pumice-coordinator", targets: ["pumice-coordinator"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(
      url: "https://github.com/apple/swift-configuration", from: "1.4.0",
      traits: [.defaults, "YAML", "CommandLineArguments"]),
    .package(url: "https://github.com/apple/swift-crypto.git", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-http-types.git", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
  ],
  targets: [
    .systemLibrary(name: "CLibvirt", pkgConfig: "libvirt", providers: [.apt(["libvirt-dev"])]),
    .systemLibrary(name: "CLibiscsi", pkgConfig: "libiscsi", providers: [.apt(["libiscsi-dev"])]),
    .systemLibrary(name: "CLibnfs", pkgConfig: "libnfs", providers: [.apt(["libnfs-dev"])]),
    .systemLibrary(name: "CSCSI"),
    .systemLibrary(name: "CFallocate"),
    .systemLibrary(name: "CLibxml2", pkgConfig: "libxml-2.0", providers: [.apt(["libxml2-dev"])]),

    .target(name: "PumiceModel", swiftSettings: settings),
    .target(
      name: "PumiceWire",
      dependencies: ["PumiceModel", asyncHTTPClient, nioCore, nioHTTP, nioSSL, logging, systemPackage],
      swiftSettings: settings),
    .target(
      name: "PumiceIdentity", dependencies: ["PumiceModel", "PumiceWire", crypto, cryptoExtras],
      swiftSettings: settings),
    .target(
      name: "PumiceCoordinator",
      dependencies: [
        "PumiceIdentity", "PumiceModel", "PumiceWire", asyncHTTPClient, configuration, crypto, grdb, hashTrees,
        httpTypes, hummingbird,
        hummingbirdTLS, lifecycle,
        logging, metrics, nioCore, nioHTTP, nioPosix, nioSSL, systemPackage, unixSignals, yams,
      ],
      swiftSettings: settings),
    .target(
      name: "PumiceAgent",
      dependencies: [
        "PumiceModel", "PumiceWire", "CFallocate", "CLibvirt", "CLibiscsi", "CLibnfs", "CLibxml2", "CSCSI",
        configuration, crypto, httpTypes, hummingbird, hummingbirdTLS,
        lifecycle, logging, metrics, nioCore, nioSSL, subprocess, systemPackage, unixSignals, yams,
      ],
      swiftSettings: settings),

    .executableTarget(
      name: "pumice-coordinator",
      dependencies: ["PumiceCoordinator", "PumiceModel", "PumiceWire", argumentParser, logging],
      swiftSettings: settings),
    .executableTarget(
      name: "pumice-agent",
      dependencies: ["PumiceAgent", "PumiceWire", argumentParser, configuration],
      swiftSettings: settings),
    .executableTarget(
      name: "pumice",
      dependencies: ["PumiceIdentity", "PumiceModel", argumentParser, asyncHTTPClient, nioCore, nioHTTP, nioPosix],
      swiftSettings: settings),

    .testTarget(
      name: "CommandLineTests",
      dependencies: [
        "pumice", "PumiceIdentity", "PumiceModel", "TestBed", argumentParser, httpTypes, hummingbird,
        hummingbirdTesting, nioCore,
      ],
      swiftSettings: settings),
    .testTarget(
      name: "PumiceIdentityTests", dependencies: ["PumiceIdentity", "PumiceModel"], swiftSettings: settings),
    .testTarget(name: "PumiceModelTests", dependencies: ["PumiceModel"], swiftSettings: settings),
    .testTarget(name: "PumiceWireTests", dependencies: ["PumiceWire", "PumiceModel"], swiftSettings: settings),
    .testTarget(
      name: "PumiceCoordinatorTests",
      dependencies: [
        "PumiceCoordinator", "PumiceIdentity", "PumiceModel", "PumiceWire", hashTrees, httpTypes, hummingbird,
        hummingbirdTesting, logging,
        nioCore,
      ],
      swiftSettings: settings),
    .testTarget(
      name: "PumiceAgentTests",
      dependencies: [
        "CLibvirt", "Conformance", "PumiceAgent", "PumiceModel", "PumiceWire", "TestBed", httpTypes, hummingbird,
        hummingbirdTesting, lifecycle, logging, nioCore, systemPackage,
      ],
      exclude: ["Backends/LVM/Fixtures", "Hypervisors/Fixtures"],
      swiftSettings: settings),
    .testTarget(
      name: "SimulationTests",
      dependencies: ["PumiceAgent", "PumiceCoordinator", "PumiceModel", "PumiceWire", hashTrees, logging],
      path: "Tests/Simulation", swiftSettings: settings),
    .testTarget(
      name: "EndToEndTests",
      dependencies: ["PumiceModel", "PumiceWire", "TestBed"],
      path: "Tests/EndToEnd", swiftSettings: settings),

    .testTarget(
      name: "OpenStackTests", dependencies: ["PumiceModel", "TestBed"], path: "Tests/OpenStack", exclude: ["Scripts"],
      swiftSettings: settings),

    .testTarget(
      name: "LabTests",
      dependencies: ["LabBed", "PumiceModel", "PumiceWire", "TestBed"],
      path: "Tests/Lab", exclude: ["Scripts"], swiftSettings: settings),
    // The suites that run inside the nodes of the lab. Those of LabTests have them run there.
    .testTarget(
      name: "LabNodeTests",
      dependencies: ["Conformance", "PumiceAgent", "PumiceModel", "PumiceWire", "TestBed", logging],
      path: "Tests/LabNode", swiftSettings: settings),

    // What every driver of a port is held to.
    .target(
      name: "Conformance",
      dependencies: ["PumiceAgent", "PumiceModel", "PumiceWire"],
      path: "Tests/Conformance", swiftSettings: settings),
    // Private libvirtd, tgtd, guests and daemons, for tests, demo and benchmarks.
    .target(
      name: "TestBed",
      dependencies: ["PumiceModel", asyncHTTPClient, nioCore, nioHTTP],
      path: "Tests/TestBed", exclude: ["Scripts"], swiftSettings: settings),
    // Machines with kernel parts that the one that runs the tests may lack.
    .target(
      name: "LabBed", dependencies: ["PumiceModel", "TestBed"], path: "Tests/LabBed", swiftSettings: settings),
    .executableTarget(
      name: "pumice-demo",
      dependencies: ["TestBed", "PumiceModel", "PumiceWire"],
      path: "Tests/Demo", swiftSettings: settings),
    .executableTarget(
      name: "pumice-bench",
      dependencies: [
        "LabBed", "TestBed", "PumiceAgent", "PumiceCoordinator", "PumiceModel", "PumiceWire", asyncHTTPClient,
        hummingbird,
        logging,
        nioCore,
      ],
      path: "Tests/Bench", swiftSettings: settings),
  ],
  swiftLanguageModes: [.v6]
)
