import Logging
import PumiceModel
import PumiceWire
import Synchronization

/// An agent in memory: does at once what it is asked, or fails as told.
final class FakeNode: LoggingNodeAPI {
  private struct State {
    var instances: [Instance]
    var volumes: [VolumeID: ByteCount] = [:]
    var owners: [VolumeID: ProjectID] = [:]
    var snapshots: [SnapshotID: VolumeID] = [:]
    var exports: [AttachmentID: VolumeID] = [:]
    var initiators: [AttachmentID: String] = [:]
    var isLocal = false
    var protocolName = "memory"
    var connections: [AttachmentID: (volume: VolumeID, instance: InstanceID, device: String)] = [:]
    var volumeFailure: StorageError?
    var revertFailure: StorageError?
    /// How many calls a copy, and how many a removal, answers as unfinished.
    var copySlices = 0
    var wipeSlices = 0
    /// The same for calls about a volume that is there.
    var ensureSlices = 0
    var slicesDone: [String: Int] = [:]
    /// What calls about a volume or snapshot answer first, one after the other.
    var answers: [String: [Progress]] = [:]
    var connects: [AttachmentID] = []
    var limits: [VolumeID: DiskLimits] = [:]
    var connectionFailure: StorageError?
    var calls: [String] = []
    var freezeAnswer = FreezeAnswer(frozen: true)
    var freezeFailure: StorageError?
    var holdsStill = true
    var logLevel = Logger.Level.info
    var logFailure: StorageError?
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

  /// From now on the volumes are devices that the node's own instances can use, or not.
  func setLocal(_ isLocal: Bool) { state.withLock { $0.isLocal = isLocal } }

  /// From now on its pool speaks this.
  func setProtocol(_ name: String) { state.withLock { $0.protocolName = name } }

  /// For whom the volume of this attachment was exported last.
  func initiator(of attachment: AttachmentID) -> String? { state.withLock { $0.initiators[attachment] } }

  /// From now on making a volume fails so.
  func failVolumes(with error: StorageError?) { state.withLock { $0.volumeFailure = error } }

  /// From now on reverting a volume fails so.
  func failReverts(with error: StorageError?) { state.withLock { $0.revertFailure = error } }

  /// From now on copying and wiping take that many calls more than one.
  func setSlices(copy: Int = 0, wipe: Int = 0, ensure: Int = 0) {
    state.withLock { state in
      state.ensureSlices = ensure
      state.copySlices = copy
      state.wipeSlices = wipe
      state.slicesDone = [:]
    }
  }

  /// From now on calls about this volume or snapshot answer so, one after the other, and then as always.
  func answer(_ answers: [Progress], about id: some CustomStringConvertible) {
    state.withLock { $0.answers["\(id)"] = answers }
  }

  /// From now on connecting an instance fails so.
  func failConnections(with error: StorageError?) { state.withLock { $0.connectionFailure = error } }

  /// From now on guests answer so when they are asked to hold still, and hold it or not.
  func setGuests(
    _ answer: FreezeAnswer = FreezeAnswer(frozen: true), failure: StorageError? = nil, holdStill: Bool = true
  ) {
    state.withLock { state in
      state.freezeAnswer = answer
      state.freezeFailure = failure
      state.holdsStill = holdStill
    }
  }

  /// From now on its log is neither shown nor set.
  func failLogs(with error: StorageError?) { state.withLock { $0.logFailure = error } }

  var logLevel: Logger.Level { state.withLock { $0.logLevel } }
  /// What was asked of volumes and snapshots, in its order.
  var calls: [String] { state.withLock { $0.calls } }
  /// The attachments that were to be connected, in their order.
  var connects: [AttachmentID] { state.withLock { $0.connects } }
  /// What was ordered for the disks of volumes, the last time that one was connected.
  var limits: [VolumeID: DiskLimits] { state.withLock { $0.limits } }
  var volumes: [VolumeID: ByteCount] { state.withLock { $0.volumes } }
  /// Whose volumes are, as it was told last.
  var owners: [VolumeID: ProjectID] { state.withLock { $0.owners } }
  var snapshots: [SnapshotID: VolumeID] { state.withLock { $0.snapshots } }
  var exports: [AttachmentID: VolumeID] { state.withLock { $0.exports } }
  var connections: Int { state.withLock { $0.connections.count } }

  /// Puts a volume there that nobody asked for.
  func plant(_ id: VolumeID) { state.withLock { $0.volumes[id] = .gibibytes(1) } }

  /// Takes a volume away behind everybody's back.
  func forget(_ id: VolumeID) { state.withLock { $0.volumes[id] = nil } }

  /// Puts a snapshot there that nobody asked for, or takes one away.
  func plant(_ id: SnapshotID, of volume: VolumeID?) { state.withLock { $0.snapshots[id] = volume } }

  var currentReport: NodeReport {
    let inventory = currentInventory
    return state.withLock { state in
      NodeReport(
        name: name, version: "1.0", address: "http://\(name):9776", availabilityZone: zone,
        connectors: [
          ConnectorDescription(
            kind: "memory", protocolName: "memory", initiator: "iqn.2026-11.test:\(name)",
            namesInitiatorPerAttachment: false)
        ] + (state.isLocal ? [.local(on: name)] : []), hypervisor: "memory",
        pools: [
          PoolReport(
            backend: "ssd", pool: "ssd", total: poolSize, free: poolSize, isThin: false,
            capabilities: [
              "storage_protocol": [state.protocolName] + (state.isLocal ? ["local"] : []), "media": ["ssd"],
              "multiattach": ["True"],
            ])
        ], instances: state.instances, inventoryDigest: inventory.digest)
    }
  }

  private var currentInventory: Inventory {
    state.withLock { state in
      Inventory(
        volumes: state.volumes.map { .init(id: $0.key, backend: "ssd", pool: "ssd", size: $0.value, revision: 3) },
        snapshots: state.snapshots.map {
          .init(
            id: $0.key, volume: $0.value, backend: "ssd", pool: "ssd", size: state.volumes[$0.value] ?? .zero,
            revision: 1)
        },
        exports: state.exports.map {
          .init(
            attachment: $0.key, volume: $0.value, initiator: state.initiators[$0.key] ?? "iqn.2026-11.test:\(name)")
        },
        connections: state.connections.map {
          .init(attachment: $0.key, volume: $0.value.volume, instance: $0.value.instance, device: $0.value.device)
        })
    }
  }

  func report() async throws(StorageError) -> NodeReport { currentReport }
  func inventory() async throws(StorageError) -> Inventory { currentInventory }

  /// What was to be answered next, if anything was.
  private func answer(
    _ call: String, about id: some CustomStringConvertible, _ request: some FollowedRequest, _ state: inout State
  ) -> Progress? {
    guard let answer = state.answers["\(id)"]?.first else { return nil }
    state.answers["\(id)"]?.removeFirst()
    let reply = request.adopted.map { " adopted \($0)" } ?? request.declined.map { " declined \($0)" } ?? ""
    state.calls.append("\(call) \(id)\(reply)")
    return answer
  }

  /// Does one slice of the work with this name; the last one is complete.
  private func slice(_ name: String, of total: Int, _ state: inout State) -> Progress {
    let done = state.slicesDone[name, default: 0]
    state.calls.append(name)
    guard done < total else {
      state.slicesDone[name] = nil
      return .complete
    }
    state.slicesDone[name] = done + 1
    return Progress(done: Double(done) / Double(total))
  }

  func ensureVolume(_ id: VolumeID, _ request: VolumeRequest) async throws(StorageError) -> Progress {
    try state.withLock { state throws(StorageError) in
      if let failure = state.volumeFailure { throw failure }
      if request.mustExist == true, state.volumes[id] == nil { throw StorageError(.notFound, "No such volume.") }
      switch request.source {
      case .snapshot(let snapshot, let volume):
        guard state.snapshots[snapshot] == volume else { throw StorageError(.notFound, "No such snapshot.") }
      case .volume(let volume):
        guard state.volumes[volume] != nil else { throw StorageError(.notFound, "No such volume.") }
      case nil: break
      }
      state.owners[id] = request.description.project
      if let answer = answer("ensure volume", about: id, request, &state) {
        if answer.isComplete { state.volumes[id] = max(request.size, state.volumes[id] ?? .zero) }
        return answer
      }
      let slices = state.volumes[id] != nil ? state.ensureSlices : request.source == nil ? 0 : state.copySlices
      let progress = slice("ensure volume \(id)", of: slices, &state)
      if progress.isComplete { state.volumes[id] = max(request.size, state.volumes[id] ?? .zero) }
      return progress
    }
  }

  func removeVolume(_ id: VolumeID, _ request: VolumeRemoval) async throws(StorageError) -> Progress {
    try state.withLock { state throws(StorageError) in
      guard !state.snapshots.values.contains(id) else { throw StorageError(.inUse, "It has snapshots.") }
      state.volumes[id] = nil
      return slice("remove volume \(id)", of: state.wipeSlices, &state)
    }
  }

  func revertVolume(_ id: VolumeID, _ request: RevertRequest) async throws(StorageError) -> Progress {
    try state.withLock { state throws(StorageError) in
      if let failure = state.revertFailure { throw failure }
      guard state.volumes[id] != nil, state.snapshots[request.snapshot] == id else {
        throw StorageError(.notFound, "No such volume or snapshot.")
      }
      return slice("revert volume \(id) to \(request.snapshot)", of: state.copySlices, &state)
    }
  }

  func ensureSnapshot(_ id: SnapshotID, _ request: SnapshotRequest) async throws(StorageError) -> Progress {
    try state.withLock { state throws(StorageError) in
      if let failure = state.volumeFailure { throw failure }
      guard state.volumes[request.volume] != nil else { throw StorageError(.notFound, "No such volume.") }
      let progress = slice("ensure snapshot \(id)", of: state.copySlices, &state)
      if progress.isComplete { state.snapshots[id] = request.volume }
      return progress
    }
  }

  func removeSnapshot(_ id: SnapshotID, _ request: SnapshotRemoval) async throws(StorageError) -> Progress {
    state.withLock { state in
      if let answer = answer("remove snapshot", about: id, request, &state) { return answer }
      state.snapshots[id] = nil
      return slice("remove snapshot \(id)", of: state.wipeSlices, &state)
    }
  }

  func freezeInstance(_ id: InstanceID, _ request: FreezeRequest) async throws(StorageError) -> FreezeAnswer {
    try state.withLock { state throws(StorageError) in
      state.calls.append("freeze \(request.holder) for \(request.seconds)")
      if let failure = state.freezeFailure { throw failure }
      return state.freezeAnswer
    }
  }

  func thawInstance(_ id: InstanceID, _ request: ThawRequest) async throws(StorageError) -> ThawAnswer {
    state.withLock { state in
      state.calls.append("thaw \(request.holder)")
      return ThawAnswer(stillFrozen: state.holdsStill)
    }
  }

  func ensureExport(_ id: AttachmentID, _ request: ExportRequest) async throws(StorageError) -> ExportedTarget {
    state.withLock { state in
      state.exports[id] = request.volume
      state.initiators[id] = request.initiator
    }
    return ExportedTarget(
      protocolName: "memory", portals: ["192.0.2.1:3260"], iqn: "iqn.2026-11.test:\(request.volume)", lun: 1,
      initiator: request.initiator, chapUser: "user", chapSecret: "secret-secret")
  }

  func removeExport(_ id: AttachmentID, _ request: ExportRemoval) async throws(StorageError) {
    state.withLock { $0.exports[id] = nil }
  }

  func ensureConnection(
    _ id: AttachmentID, _ request: ConnectionRequest
  ) async throws(StorageError) -> ConnectedDisk {
    let device = request.device ?? "vdb"
    try state.withLock { state throws(StorageError) in
      state.connects.append(id)
      if let failure = state.connectionFailure { throw failure }
      state.connections[id] = (request.volume, request.instance, device)
      state.limits[request.volume] = request.limits
    }
    return ConnectedDisk(device: device)
  }

  func removeConnection(_ id: AttachmentID, _ request: ConnectionRemoval) async throws(StorageError) {
    state.withLock { $0.connections[id] = nil }
  }

  func logSetting() async throws(StorageError) -> LogSetting {
    try state.withLock { state throws(StorageError) in
      if let failure = state.logFailure { throw failure }
      return LogSetting(level: state.logLevel, logger: LogSetting.agentLogger)
    }
  }

  func setLog(_ setting: LogSetting) async throws(StorageError) {
    try state.withLock { state throws(StorageError) in
      if let failure = state.logFailure { throw failure }
      state.logLevel = setting.level
    }
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
  func freezeInstance(_ id: InstanceID, _ request: FreezeRequest) async throws(StorageError) -> FreezeAnswer {
    throw away
  }
  func thawInstance(_ id: InstanceID, _ request: ThawRequest) async throws(StorageError) -> ThawAnswer { throw away }
}
