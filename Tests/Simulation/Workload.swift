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
    /// The largest size that was acknowledged.
    var sizes: [VolumeID: ByteCount] = [:]
  }

  private let fleet: Fleet
  private let promises = Mutex(Promises())

  init(fleet: Fleet) { self.fleet = fleet }

  var made: Promises { promises.withLock { $0 } }

  /// One random order. Refusals are as good an answer as any; a coordinator that dies meanwhile gives none.
  func order() {
    guard let coordinator = fleet.coordinator else { return }
    let (world, store, policy) = (fleet.world, coordinator.store, fleet.policy)
    let surroundings = Surroundings(
      now: { world.now }, sleep: { try await world.sleep($0) }, dice: Dice(world: world))
    let tables = store.tables
    let volumes = tables.volumes.values.filter { $0.state != .deleted }.sorted { $0.id < $1.id }
    switch world.random(0...19) {
    case 0...5:
      let size = ByteCount.gibibytes(world.random(1...30))
      let project = world.chance(50) ? "red" : "blue"
      coordinator.process.start { [self] in
        let volume = try? await store.write { tables in
          try tables.createVolume(
            VolumeOrder(project: project, size: size), policy: policy, at: world.now, in: surroundings)
        }
        if let volume { promises.withLock { _ = $0.created.insert(volume.id) } }
      }
    case 6...11:
      // Mostly one that may be attached, sometimes one that must be refused.
      let free = volumes.filter { $0.state == .available && tables.holders(of: $0.id).isEmpty }
      guard let volume = world.pick(world.chance(85) ? free : volumes), let instance = world.pick(instances(tables))
      else { return }
      let attachesTwice = fleet.faults.attachesTwice
      coordinator.process.start {
        _ = try? await store.write { tables in
          if attachesTwice, volume.state == .available, let node = tables.nodeRunning(instance) {
            let attachment = Attachment(
              id: surroundings.newID(), volume: volume.id, project: volume.project, instance: instance, node: node,
              createdAt: world.now)
            tables.put(attachment)
          } else {
            _ = try tables.attach(
              volume.id, to: instance, device: nil, of: nil, at: world.now, in: surroundings)
          }
        }
      }
    case 12...13:
      guard let volume = world.pick(volumes) else { return }
      let size = volume.size + .gibibytes(world.random(1...4))
      coordinator.process.start { [self] in
        let done: Void? = try? await store.write { tables in
          try tables.extendVolume(volume.id, of: nil, to: size, at: world.now)
        }
        if done != nil { promises.withLock { $0.sizes[volume.id] = size } }
      }
    case 14...17:
      let held = tables.attachments.values.filter(\.holdsVolume).sorted { $0.id < $1.id }
      guard let attachment = world.pick(held) else { return }
      coordinator.process.start {
        try? await store.write { tables in
          try tables.detach(attachment.volume, from: attachment.instance, of: nil, at: world.now)
        }
      }
    default:
      guard let volume = world.pick(volumes) else { return }
      promises.withLock { _ = $0.deleted.insert(volume.id) }
      coordinator.process.start {
        try? await store.write { try $0.deleteVolume(volume.id, of: nil, at: world.now) }
      }
    }
  }

  private func instances(_ tables: Tables) -> [InstanceID] {
    tables.observations.values.flatMap { $0.report.instances.map(\.id) }.sorted()
  }
}
