import PumiceAgent
import PumiceCoordinator
import PumiceModel
import PumiceWire
import Synchronization

/// A mistake to put into a run on purpose, one of each class: the invariants must notice every one.
enum PlantedFault: String, CaseIterable, Sendable {
  /// A commit is acknowledged and not kept.
  case forgetsCommits
  /// The agent says that an export is fenced and leaves it standing.
  case skipsFence
  /// The same for hosts without an agent alone.
  case skipsFenceOfClients
  /// The agent says that a disk is unplugged and leaves it in the instance.
  case skipsUnplug
  /// The agent says that a volume is erased and keeps it.
  case keepsErasedVolumes
  /// The agent says that a volume is made and makes none.
  case skipsProvisioning
  /// Two attachments of one volume are let through, by the store and by the agents.
  case attachesTwice
  /// The agent works on a volume for ever.
  case neverFinishes
  /// The agent says that a snapshot is taken and has none.
  case losesSnapshots
  /// The agent says that a snapshot is erased and keeps it.
  case keepsErasedSnapshots
  /// The agent reverts a volume once more when somebody uses it again.
  case repeatsOldReverts
  /// The agent says that a volume is reverted and does nothing.
  case skipsReverts
  /// The agent makes zeros where it is asked for a copy.
  case copiesNothing
  /// The agent takes away the devices of all instances when one is plugged.
  case dropsDevices
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

/// An agent that makes the planted mistake, and otherwise does what it is told.
struct LyingNode: NodeAPI {
  let honest: any NodeAPI
  let planted: PlantedFault?
  let disk: InMemoryDisk
  let reverts: RevertMemory

  func report() async throws(StorageError) -> NodeReport { try await honest.report() }
  func inventory() async throws(StorageError) -> Inventory { try await honest.inventory() }

  func ensureVolume(_ id: VolumeID, _ request: VolumeRequest) async throws(StorageError) -> Progress {
    if planted == .skipsProvisioning { return .complete }
    if planted == .neverFinishes { return Progress(done: 0.5) }
    var request = request
    if planted == .copiesNothing { request.source = nil }
    if planted == .attachesTwice { request.multiattach = true }
    return try await honest.ensureVolume(id, request)
  }

  func removeVolume(_ id: VolumeID, _ request: VolumeRemoval) async throws(StorageError) -> Progress {
    planted == .keepsErasedVolumes ? .complete : try await honest.removeVolume(id, request)
  }

  func revertVolume(_ id: VolumeID, _ request: RevertRequest) async throws(StorageError) -> Progress {
    if planted == .skipsReverts { return .complete }
    let progress = try await honest.revertVolume(id, request)
    if progress.isComplete { reverts.remember(id, request.snapshot) }
    return progress
  }

  func ensureSnapshot(_ id: SnapshotID, _ request: SnapshotRequest) async throws(StorageError) -> Progress {
    let progress = try await honest.ensureSnapshot(id, request)
    if planted == .losesSnapshots, progress.isComplete { disk.lose(id) }
    return progress
  }

  func removeSnapshot(_ id: SnapshotID, _ request: SnapshotRemoval) async throws(StorageError) -> Progress {
    planted == .keepsErasedSnapshots ? .complete : try await honest.removeSnapshot(id, request)
  }

  func ensureExport(_ id: AttachmentID, _ request: ExportRequest) async throws(StorageError) -> ExportedTarget {
    let target = try await honest.ensureExport(id, request)
    if planted == .repeatsOldReverts, let snapshot = reverts.snapshot(of: request.volume),
      let old = disk.snapshots.first(where: { $0.id == snapshot })
    {
      disk.write(old.content.stamp, to: request.volume)
    }
    return target
  }

  func removeExport(_ id: AttachmentID, _ request: ExportRemoval) async throws(StorageError) {
    if planted == .skipsFence { return }
    if planted == .skipsFenceOfClients {
      let exports = try await honest.inventory().exports
      if exports.contains(where: { $0.attachment == id && $0.initiator.hasPrefix(OrderDesk.clients) }) { return }
    }
    try await honest.removeExport(id, request)
  }

  func ensureConnection(
    _ id: AttachmentID, _ request: ConnectionRequest
  ) async throws(StorageError) -> ConnectedDisk {
    let disk = try await honest.ensureConnection(id, request)
    if planted == .dropsDevices, request.target.protocolName == ConnectorDescription.localProtocol {
      self.disk.deactivateAll()
    }
    return disk
  }

  func removeConnection(_ id: AttachmentID, _ request: ConnectionRemoval) async throws(StorageError) {
    if planted != .skipsUnplug { try await honest.removeConnection(id, request) }
  }

  func freezeInstance(_ id: InstanceID, _ request: FreezeRequest) async throws(StorageError) -> FreezeAnswer {
    try await honest.freezeInstance(id, request)
  }

  func thawInstance(_ id: InstanceID, _ request: ThawRequest) async throws(StorageError) -> ThawAnswer {
    try await honest.thawInstance(id, request)
  }
}
