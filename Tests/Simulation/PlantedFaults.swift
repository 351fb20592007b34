import PumiceAgent
import PumiceCoordinator
import PumiceModel
import PumiceWire
import Synchronization

/// Mistakes to put into a run on purpose, one of each class: the invariants must notice every one.
struct PlantedFaults: Sendable {
  /// A commit is acknowledged and not kept.
  var forgetsCommits = false
  /// The agent says that an export is fenced and leaves it standing.
  var skipsFence = false
  /// The agent says that a disk is unplugged and leaves it in the instance.
  var skipsUnplug = false
  /// The agent says that a volume is erased and keeps it.
  var keepsErasedVolumes = false
  /// The agent says that a volume is made and makes none.
  var skipsProvisioning = false
  /// Two attachments of one volume are let through, by the store and by the agents.
  var attachesTwice = false
  /// The agent works on a volume for ever.
  var neverFinishes = false
  /// The agent says that a snapshot is taken and has none.
  var losesSnapshots = false
  /// The agent says that a snapshot is erased and keeps it.
  var keepsErasedSnapshots = false
  /// The agent reverts a volume once more when somebody uses it again.
  var repeatsOldReverts = false
  /// The agent says that a volume is reverted and does nothing.
  var skipsReverts = false
  /// The agent makes zeros where it is asked for a copy.
  var copiesNothing = false
  /// The agent takes away the devices of all instances when one is plugged.
  var dropsDevices = false
}

/// The last revert of each volume on a node.
final class RevertMemory: Sendable {
  private let snapshots = Mutex<[VolumeID: SnapshotID]>([:])

  func remember(_ volume: VolumeID, _ snapshot: SnapshotID) { snapshots.withLock { $0[volume] = snapshot } }
  func snapshot(of volume: VolumeID) -> SnapshotID? { snapshots.withLock { $0[volume] } }
}

/// A journal that acknowledges some commits and does not keep them.
struct ForgetfulJournal: Journal {
  private let journal: InMemoryJournal
  private let world: World

  init(_ journal: InMemoryJournal, world: World) {
    self.journal = journal
    self.world = world
  }

  func load() async throws -> [Row] { try await journal.load() }

  func commit(_ changes: [Change]) async throws {
    if world.chance(5) { return }
    try await journal.commit(changes)
  }
}

/// An agent that does what its planted faults say, and otherwise what it is told.
struct LyingNode: NodeAPI {
  let honest: any NodeAPI
  let faults: PlantedFaults
  let disk: InMemoryDisk
  let reverts: RevertMemory

  func report() async throws(StorageError) -> NodeReport { try await honest.report() }
  func inventory() async throws(StorageError) -> Inventory { try await honest.inventory() }

  func ensureVolume(_ id: VolumeID, _ request: VolumeRequest) async throws(StorageError) -> Progress {
    if faults.skipsProvisioning { return .complete }
    if faults.neverFinishes { return Progress(done: 0.5) }
    var request = request
    if faults.copiesNothing { request.source = nil }
    if faults.attachesTwice { request.multiattach = true }
    return try await honest.ensureVolume(id, request)
  }

  func removeVolume(_ id: VolumeID, _ request: VolumeRemoval) async throws(StorageError) -> Progress {
    faults.keepsErasedVolumes ? .complete : try await honest.removeVolume(id, request)
  }

  func revertVolume(_ id: VolumeID, _ request: RevertRequest) async throws(StorageError) -> Progress {
    if faults.skipsReverts { return .complete }
    let progress = try await honest.revertVolume(id, request)
    if progress.isComplete { reverts.remember(id, request.snapshot) }
    return progress
  }

  func ensureSnapshot(_ id: SnapshotID, _ request: SnapshotRequest) async throws(StorageError) -> Progress {
    let progress = try await honest.ensureSnapshot(id, request)
    if faults.losesSnapshots, progress.isComplete { disk.lose(id) }
    return progress
  }

  func removeSnapshot(_ id: SnapshotID, _ request: SnapshotRemoval) async throws(StorageError) -> Progress {
    faults.keepsErasedSnapshots ? .complete : try await honest.removeSnapshot(id, request)
  }

  func ensureExport(_ id: AttachmentID, _ request: ExportRequest) async throws(StorageError) -> ExportedTarget {
    let target = try await honest.ensureExport(id, request)
    if faults.repeatsOldReverts, let snapshot = reverts.snapshot(of: request.volume),
      let old = disk.snapshots.first(where: { $0.id == snapshot })
    {
      disk.write(old.content.stamp, to: request.volume)
    }
    return target
  }

  func removeExport(_ id: AttachmentID, _ request: ExportRemoval) async throws(StorageError) {
    if !faults.skipsFence { try await honest.removeExport(id, request) }
  }

  func ensureConnection(
    _ id: AttachmentID, _ request: ConnectionRequest
  ) async throws(StorageError) -> ConnectedDisk {
    let disk = try await honest.ensureConnection(id, request)
    if faults.dropsDevices, request.target.protocolName == ConnectorDescription.localProtocol {
      self.disk.deactivateAll()
    }
    return disk
  }

  func removeConnection(_ id: AttachmentID, _ request: ConnectionRemoval) async throws(StorageError) {
    if !faults.skipsUnplug { try await honest.removeConnection(id, request) }
  }

  func freezeInstance(_ id: InstanceID, _ request: FreezeRequest) async throws(StorageError) -> FreezeAnswer {
    try await honest.freezeInstance(id, request)
  }

  func thawInstance(_ id: InstanceID, _ request: ThawRequest) async throws(StorageError) -> ThawAnswer {
    try await honest.thawInstance(id, request)
  }
}
