import HashTreeCollections
import PumiceCoordinator
import PumiceModel
import Synchronization

/// What users do to the fleet: random orders, straight to the coordinator's use cases, and a memory of what was promised.
final class Workload: Sendable {
  struct Promises: Sendable {
    /// Volumes whose creation was acknowledged.
    var created: Set<VolumeID> = []
    /// Volumes whose deletion was acknowledged or may have been: asked for, without an answer.
    var deleted: Set<VolumeID> = []
    /// The same for snapshots; they are also deleted with their volume.
    var snapshots: Set<SnapshotID> = []
    var deletedSnapshots: Set<SnapshotID> = []
    /// The largest size that was acknowledged.
    var sizes: [VolumeID: ByteCount] = [:]
  }

  let fleet: Fleet
  let contents: Contents
  let promises = Mutex(Promises())
  /// The keys of offers, for those who were told them.
  let keys = Mutex<[TransferID: String]>([:])

  init(fleet: Fleet, contents: Contents) {
    self.fleet = fleet
    self.contents = contents
  }

  var made: Promises { promises.withLock { $0 } }

  /// One order. Refusals are as good an answer as any; a coordinator that dies meanwhile gives none.
  func order() {
    guard let coordinator = fleet.coordinator else { return }
    let desk = OrderDesk(workload: self, coordinator: coordinator)
    if fleet.world.chance(40) { goOn(at: desk) } else { anything(at: desk) }
  }

  private func anything(at desk: OrderDesk) {
    let (world, tables) = (fleet.world, desk.tables)
    let volumes = tables.volumes.values.filter { $0.state != .deleted }.sorted { $0.id < $1.id }
    let snapshots = tables.snapshots.values.filter { $0.state != .deleted }.sorted { $0.id < $1.id }
    switch world.random(0...38) {
    case 0...5: desk.create()
    case 6...11:
      // Mostly one that may be attached, sometimes one that must be refused.
      let free = volumes.filter { $0.state == .available && ($0.isMultiattach || tables.holders(of: $0.id).isEmpty) }
      if let volume = world.pick(world.chance(85) ? free : volumes), let instance = world.pick(instances(tables)) {
        desk.attach(volume, to: instance)
      }
    case 12...13: if let volume = world.pick(volumes) { desk.extend(volume) }
    case 14...17:
      let held = tables.attachments.values.filter(\.holdsVolume).sorted { $0.id < $1.id }
      if let attachment = world.pick(held) { desk.detach(attachment) }
    case 18...19: if let volume = world.pick(volumes) { desk.delete(volume, cascades: world.chance(50)) }
    case 20...22: if let volume = world.pick(volumes) { desk.takeSnapshot(of: volume, mayBeAttached: world.chance(70)) }
    case 23...24: if let snapshot = world.pick(snapshots) { desk.copy(snapshot) }
    case 25: if let volume = world.pick(volumes) { desk.copy(volume) }
    case 26...27: if let snapshot = world.pick(snapshots) { desk.revert(to: snapshot) }
    case 28: if let snapshot = world.pick(snapshots) { desk.delete(snapshot) }
    case 29...30:
      let offers = tables.transfers.values.sorted { $0.id < $1.id }
      if let transfer = world.pick(offers) {
        desk.end(transfer)
      } else if let volume = world.pick(volumes) {
        desk.offer(volume)
      }
    case 31...32:
      guard let volume = world.pick(volumes) else { return }
      if let group = volume.group { desk.takeOut(volume, of: group) } else { desk.putIntoGroup(volume) }
    case 33...34:
      let groups = tables.groups.values.sorted { $0.id < $1.id }
      if let group = world.pick(groups) { desk.takeSnapshot(of: group) }
    case 35...37:
      let free = volumes.filter { $0.state == .available && tables.holders(of: $0.id).isEmpty }
      if let volume = world.pick(world.chance(85) ? free : volumes) { desk.connect(volume) }
    default:
      let taken = tables.groupSnapshots.values.sorted { $0.id < $1.id }
      if let snapshot = world.pick(taken) { desk.delete(snapshot) }
    }
  }

  /// One step more in the eventful life of one volume: attached, written to, kept, written to, taken back, and so on.
  private func goOn(at desk: OrderDesk) {
    let (world, tables) = (fleet.world, desk.tables)
    guard let volume = tables.volumes.values.filter({ $0.state == .available }).min(by: { $0.id < $1.id }) else {
      return desk.create()
    }
    let snapshots = tables.snapshots(of: volume.id)
    let latest = snapshots.max { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
    guard !snapshots.contains(where: { $0.state == .creating || $0.state == .deleting }) else { return }
    if let holder = tables.holders(of: volume.id).first {
      guard holder.state == .attached else { return }
      if latest?.state == .available { desk.detach(holder) } else { desk.takeSnapshot(of: volume, mayBeAttached: true) }
    } else if let latest, latest.state == .available, world.chance(65) {
      switch world.random(0...9) {
      case 0: desk.delete(latest)
      case 1: desk.copy(latest)
      default: desk.revert(to: latest)
      }
    } else if let instance = world.pick(instances(tables, running: true)) {
      desk.attach(volume, to: instance)
    }
  }

  private func instances(_ tables: Tables, running: Bool = false) -> [InstanceID] {
    tables.observations.values.flatMap { $0.report.instances.filter { !running || $0.status == .active }.map(\.id) }
      .sorted()
  }
}
