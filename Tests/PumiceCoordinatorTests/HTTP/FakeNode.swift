import PumiceModel
import PumiceWire
import Synchronization

/// An agent in memory: does at once what it is asked, or fails as told.
final class FakeNode: NodeAPI {
  private struct State {
    var instances: [Instance]
    var volumes: [VolumeID: ByteCount] = [:]
    var snapshots: [SnapshotID: VolumeID] = [:]
    var exports: [AttachmentID: VolumeID] = [:]
    var connections: [AttachmentID: (volume: VolumeID, instance: InstanceID, device: String)] = [:]
    var volumeFailure: StorageError?
  }

  let name: NodeName
  let zone: String
  let poolSize: ByteCount
  private let state: Mutex<State>

  init(_ name: NodeName, zone: String = "nova", poolSize: ByteCount = .gibibytes(1000), instances: [Instance] = []) {
    self.name = name
    self.zone = zone
    self.poolSize = poolSize
    state = Mutex(State(instances: instances))
  }

  /// From now on making a volume fails so.
  func failVolumes(with error: StorageError?) { state.withLock { $0.volumeFailure = error } }

  var volumes: [VolumeID: ByteCount] { state.withLock { $0.volumes } }
  var connections: Int { state.withLock { $0.connections.count } }

  /// Puts a volume there that nobody asked for.
  func plant(_ id: VolumeID) { state.withLock { $0.volumes[id] = .gibibytes(1) } }

  var currentReport: NodeReport {
    let inventory = currentInventory
    return state.withLock { state in
      NodeReport(
        name: name, version: "1.0", address: "http://\(name):9776", availabilityZone: zone,
        connectors: [
          ConnectorDescription(
            kind: "memory", protocolName: "memory", initiator: "iqn.2026-11.test:\(name)",
            namesInitiatorPerAttachment: false)
        ], hypervisor: "memory",
        pools: [
          PoolReport(
            backend: "ssd", pool: "ssd", total: poolSize, free: poolSize, isThin: false,
            capabilities: ["storage_protocol": ["memory"], "media": ["ssd"]])
        ], instances: state.instances, inventoryDigest: inventory.digest)
    }
  }

  private var currentInventory: Inventory {
    state.withLock { state in
      Inventory(
        volumes: state.volumes.map { .init(id: $0.key, backend: "ssd", pool: "ssd", size: $0.value) },
        snapshots: state.snapshots.map {
          .init(id: $0.key, volume: $0.value, backend: "ssd", pool: "ssd", size: state.volumes[$0.value] ?? .zero)
        },
        exports: state.exports.map {
          .init(attachment: $0.key, volume: $0.value, initiator: "iqn.2026-11.test:\(name)")
        },
        connections: state.connections.map {
          .init(attachment: $0.key, volume: $0.value.volume, instance: $0.value.instance, device: $0.value.device)
        })
    }
  }

  func report() async throws(StorageError) -> NodeReport { currentReport }
  func inventory() async throws(StorageError) -> Inventory { currentInventory }

  func ensureVolume(_ id: VolumeID, _ request: VolumeRequest) async throws(StorageError) -> Progress {
    let failure = state.withLock { state in
      if state.volumeFailure == nil { state.volumes[id] = request.size }
      return state.volumeFailure
    }
    if let failure { throw failure }
    return .complete
  }

  func removeVolume(_ id: VolumeID, _ request: VolumeRemoval) async throws(StorageError) -> Progress {
    state.withLock { $0.volumes[id] = nil }
    return .complete
  }

  func revertVolume(_ id: VolumeID, _ request: RevertRequest) async throws(StorageError) -> Progress {
    let isThere = state.withLock { $0.volumes[id] != nil && $0.snapshots[request.snapshot] == id }
    guard isThere else { throw StorageError(.notFound, "No such volume or snapshot.") }
    return .complete
  }

  func ensureSnapshot(_ id: SnapshotID, _ request: SnapshotRequest) async throws(StorageError) -> Progress {
    let failure = state.withLock { state in
      if state.volumeFailure == nil { state.snapshots[id] = request.volume }
      return state.volumeFailure
    }
    if let failure { throw failure }
    return .complete
  }

  func removeSnapshot(_ id: SnapshotID, _ request: SnapshotRemoval) async throws(StorageError) -> Progress {
    state.withLock { $0.snapshots[id] = nil }
    return .complete
  }

  func ensureExport(_ id: AttachmentID, _ request: ExportRequest) async throws(StorageError) -> ExportedTarget {
    state.withLock { $0.exports[id] = request.volume }
    return ExportedTarget(
      protocolName: "memory", portals: [], iqn: "iqn.2026-11.test:\(request.volume)", lun: 1,
      initiator: request.initiator, chapUser: "user", chapSecret: "secret-secret")
  }

  func removeExport(_ id: AttachmentID, _ request: ExportRemoval) async throws(StorageError) {
    state.withLock { $0.exports[id] = nil }
  }

  func ensureConnection(
    _ id: AttachmentID, _ request: ConnectionRequest
  ) async throws(StorageError) -> ConnectedDisk {
    let device = request.device ?? "vdb"
    state.withLock { $0.connections[id] = (request.volume, request.instance, device) }
    return ConnectedDisk(device: device)
  }

  func removeConnection(_ id: AttachmentID, _ request: ConnectionRemoval) async throws(StorageError) {
    state.withLock { $0.connections[id] = nil }
  }
}

/// The agents that there are; every other is away.
struct FakeFleet: NodeDirectory {
  let nodes: [FakeNode]

  func node(_ name: NodeName, at address: String) -> any NodeAPI {
    nodes.first { $0.name == name } ?? AbsentNode(name: name)
  }
}

private struct AbsentNode: NodeAPI {
  let name: NodeName
  private var away: StorageError { StorageError(.unavailable, "Node \(name) does not answer.") }

  func report() async throws(StorageError) -> NodeReport { throw away }
  func inventory() async throws(StorageError) -> Inventory { throw away }
  func ensureVolume(_ id: VolumeID, _ request: VolumeRequest) async throws(StorageError) -> Progress { throw away }
  func removeVolume(_ id: VolumeID, _ request: VolumeRemoval) async throws(StorageError) -> Progress { throw away }
  func revertVolume(_ id: VolumeID, _ request: RevertRequest) async throws(StorageError) -> Progress { throw away }
  func ensureSnapshot(_ id: SnapshotID, _ request: SnapshotRequest) async throws(StorageError) -> Progress {
    throw away
  }
  func removeSnapshot(_ id: SnapshotID, _ request: SnapshotRemoval) async throws(StorageError) -> Progress {
    throw away
  }
  func ensureExport(_ id: AttachmentID, _ request: ExportRequest) async throws(StorageError) -> ExportedTarget {
    throw away
  }
  func removeExport(_ id: AttachmentID, _ request: ExportRemoval) async throws(StorageError) { throw away }
  func ensureConnection(
    _ id: AttachmentID, _ request: ConnectionRequest
  ) async throws(StorageError) -> ConnectedDisk { throw away }
  func removeConnection(_ id: AttachmentID, _ request: ConnectionRemoval) async throws(StorageError) { throw away }
}
