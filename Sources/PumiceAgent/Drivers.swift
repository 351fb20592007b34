import Logging
import PumiceModel
import ServiceLifecycle

/// The drivers that a configuration asks for, with what has to run beside them. The one place where they are chosen.
struct Drivers {
  private(set) var node = NodeDrivers()
  /// Such as keeping a connection up.
  private(set) var services: [any Service] = []

  private let configuration: AgentConfiguration
  private let logger: Logger
  private let fabric = InMemoryFabric()
  private let mounts: ShareMounts

  /// - Parameter initiator: The first part of this node's initiator names.
  init(_ configuration: AgentConfiguration, initiator: String, logger: Logger) async throws(StorageError) {
    self.configuration = configuration
    self.logger = logger
    mounts = ShareMounts(configuration.shareMounts)
    for backend in configuration.backends {
      let driver = try await backend.open(on: configuration.name, mounts: mounts, logger: logger)
      node.backends.append(driver)
      if let service = driver as? any Service { services.append(service) }
    }
    node.exporter = try makeExporter()
    (node.hypervisor, node.connector) = try await makeHypervisor(initiator)
    switch configuration.hypervisor.kind {
    case .libvirt, .host: node.local = .local(on: configuration.name)
    case .memory, .none: break
    }
    if let hypervisor = node.hypervisor as? any LayeringHypervisor, configuration.hypervisor.kind != .memory {
      node.imageConnector = makeImageConnector(for: hypervisor)
    }
    if let service = node.hypervisor as? any Service { services.append(service) }
  }

  private func makeExporter() throws(StorageError) -> (any TargetExporter)? {
    let exporter = configuration.exporter
    let disks = node.backends.compactMap { $0 as? InMemoryBackend }.map { ($0.name, $0.disk) }
    return switch exporter.kind {
    case .none: nil
    case .lio:
      try LIOExporter(portals: exporter.portals, iqnPrefix: exporter.targetPrefix, logger: logger)
    case .tgt:
      TGTExporter(
        socketPath: exporter.socketPath, portals: exporter.portals, iqnPrefix: exporter.targetPrefix, logger: logger)
    case .memory:
      InMemoryExporter(
        fabric: fabric, portal: configuration.name, disks: Dictionary(disks, uniquingKeysWith: { first, _ in first }),
        iqnPrefix: exporter.targetPrefix)
    }
  }

  private func makeHypervisor(
    _ initiator: String
  ) async throws(StorageError) -> ((any Hypervisor)?, (any Connector)?) {
    switch configuration.hypervisor.kind {
    case .none: (nil, nil)
    case .libvirt:
      (LibvirtHypervisor(uri: configuration.hypervisor.uri, logger: logger), makeConnector(initiator))
    case .host:
      (
        HostHypervisor(
          id: try await HostIdentity.settle(in: configuration.stateDirectory), name: configuration.name,
          disks: try await FileRecordStore.open("\(configuration.stateDirectory)/disks", logger: logger)),
        makeConnector(initiator)
      )
    case .memory:
      (
        InMemoryHypervisor(instances: Self.instances(of: configuration.name)),
        InMemoryConnector(fabric: fabric, initiator: initiator)
      )
    }
  }

  private func makeConnector(_ initiator: String) -> any Connector {
    switch configuration.hypervisor.connector {
    case .qemu: QEMUISCSIConnector(initiator: initiator)
    case .kernel: KernelISCSIConnector(initiator: initiator, logger: logger)
    }
  }

  private func makeImageConnector(for hypervisor: any LayeringHypervisor) -> any Connector {
    let kind = configuration.hypervisor.nfsConnector
    guard kind == .mount || kind == .auto && KernelNFS.isThere else {
      return QEMUNFSConnector(node: configuration.name)
    }
    let description = ConnectorDescription.shares(on: configuration.name, kind: "nfs-mount")
    return NFSMountConnector(
      initiator: description.initiator, mounts: mounts,
      usage: { besides throws(StorageError) in try await hypervisor.files(besides: besides) }, logger: logger)
  }

  /// What looks after the target software, if it needs that. `whenFresh` is called when it may have forgotten everything.
  func exporterDaemon(log: String, whenFresh: @escaping @Sendable () async -> Void) -> (any Service)? {
    let exporter = configuration.exporter
    return switch exporter.kind {
    case .none, .memory: nil
    case .lio: (node.exporter as? LIOExporter).map { LIOWatch(exporter: $0, logger: logger, whenFresh: whenFresh) }
    case .tgt:
      TGTDaemon(
        socketPath: exporter.socketPath,
        launch: exporter.startsDaemon ? TGTDaemon.Launch(portals: exporter.portals, log: log) : nil, logger: logger,
        whenFresh: whenFresh)
    }
  }

  /// Two to play with, which have the same ids after each start.
  private static func instances(of node: NodeName) -> [Instance] {
    (1...2).map { number in
      let name = "\(node)-vm\(number)"
      let hash = name.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
      return Instance(
        id: InstanceID(high: (hash & 0xFFFF_FFFF_FFFF_0FFF) | 0x4000, low: (hash >> 2) | 0x8000_0000_0000_0000),
        name: name, status: .active, memory: .mebibytes(512))
    }
  }
}
