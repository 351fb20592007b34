import PumiceCoordinator
import PumiceModel
import PumiceWire

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
  /// Two attachments of one volume are let through.
  var attachesTwice = false
  /// The agent works on a volume for ever.
  var neverFinishes = false
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

  func report() async throws(StorageError) -> NodeReport { try await honest.report() }
  func inventory() async throws(StorageError) -> Inventory { try await honest.inventory() }

  func ensureVolume(_ id: VolumeID, _ request: VolumeRequest) async throws(StorageError) -> Progress {
    if faults.skipsProvisioning { return .complete }
    return faults.neverFinishes ? Progress(done: 0.5) : try await honest.ensureVolume(id, request)
  }

  func removeVolume(_ id: VolumeID, _ request: VolumeRemoval) async throws(StorageError) -> Progress {
    faults.keepsErasedVolumes ? .complete : try await honest.removeVolume(id, request)
  }

  func revertVolume(_ id: VolumeID, _ request: RevertRequest) async throws(StorageError) -> Progress {
    try await honest.revertVolume(id, request)
  }

  func ensureSnapshot(_ id: SnapshotID, _ request: SnapshotRequest) async throws(StorageError) -> Progress {
    try await honest.ensureSnapshot(id, request)
  }

  func removeSnapshot(_ id: SnapshotID, _ request: SnapshotRemoval) async throws(StorageError) -> Progress {
    try await honest.removeSnapshot(id, request)
  }

  func ensureExport(_ id: AttachmentID, _ request: ExportRequest) async throws(StorageError) -> ExportedTarget {
    try await honest.ensureExport(id, request)
  }

  func removeExport(_ id: AttachmentID, _ request: ExportRemoval) async throws(StorageError) {
    if !faults.skipsFence { try await honest.removeExport(id, request) }
  }

  func ensureConnection(
    _ id: AttachmentID, _ request: ConnectionRequest
  ) async throws(StorageError) -> ConnectedDisk {
    try await honest.ensureConnection(id, request)
  }

  func removeConnection(_ id: AttachmentID, _ request: ConnectionRemoval) async throws(StorageError) {
    if !faults.skipsUnplug { try await honest.removeConnection(id, request) }
  }
}
