import HashTreeCollections
import PumiceModel
import Synchronization

@testable import PumiceCoordinator

/// Where a user's orders become transactions of the coordinator that is up now. What was promised is noted.
struct OrderDesk {
  let workload: Workload
  let coordinator: Fleet.Coordinator

  var fleet: Fleet { workload.fleet }
  private var world: World { fleet.world }
  private var store: Store { coordinator.store }
  var tables: Tables { store.tables }

  var surroundings: Surroundings { fleet.surroundings }
  var runner: PendingWorkRunner {
    PendingWorkRunner(
      store: store, directory: coordinator.watch.directory, policy: fleet.policy, surroundings: surroundings,
      logger: .silent)
  }

  // MARK: Volumes

  /// The name of the type whose volumes several instances may have.
  static let typeForSeveral = "several"

  func create() {
    var order = VolumeOrder(project: world.chance(50) ? "red" : "blue", size: .gibibytes(world.random(1...30)))
    if world.chance(20) { order.type = Self.typeForSeveral }
    create(order)
  }

  func copy(_ snapshot: Snapshot) {
    var order = VolumeOrder(project: snapshot.project, size: snapshot.size + .gibibytes(world.random(0...2)))
    order.source = .snapshot(snapshot.id)
    create(order)
  }

  func copy(_ volume: Volume) {
    var order = VolumeOrder(project: volume.project, size: volume.size + .gibibytes(world.random(0...2)))
    order.source = .volume(volume.id)
    create(order)
  }

  private func create(_ order: VolumeOrder) {
    let (surroundings, policy) = (surroundings, fleet.policy)
    give { tables, now in
      try tables.createVolume(order, policy: policy, at: now, in: surroundings)
    } then: { [workload] volume in
      if let volume { workload.promises.withLock { _ = $0.created.insert(volume.id) } }
    }
  }

  func extend(_ volume: Volume) {
    let size = volume.size + .gibibytes(world.random(1...4))
    give { tables, now in
      try tables.extendVolume(volume.id, of: nil, to: size, at: now)
    } then: { [workload] done in
      if done != nil { workload.promises.withLock { $0.sizes[volume.id] = size } }
    }
  }

  func delete(_ volume: Volume, cascades: Bool) {
    workload.promises.withLock { _ = $0.deleted.insert(volume.id) }
    give { tables, now in try tables.deleteVolume(volume.id, of: nil, cascades: cascades, at: now) }
  }

  // MARK: Transfers

  func offer(_ volume: Volume) {
    let (surroundings, leavesSnapshots) = (surroundings, world.chance(30))
    give { tables, now in
      try tables.offerVolume(volume.id, of: nil, leavesSnapshots: leavesSnapshots, at: now, in: surroundings)
    } then: { [workload] offer in
      if let offer { workload.keys.withLock { $0[offer.transfer.id] = offer.key } }
    }
  }

  /// Mostly somebody accepts it, sometimes it is taken back. Without the key, which a coordinator that died never told, there is
  /// nothing else.
  func end(_ transfer: Transfer) {
    if let key = workload.keys.withLock({ $0[transfer.id] }), world.chance(80) {
      let project = world.chance(70) ? (transfer.project == "red" ? "blue" : "red") : transfer.project
      give { tables, now in try tables.acceptTransfer(transfer.id, key: key, into: project, by: "", at: now) }
    } else {
      give { tables, now in try tables.withdrawTransfer(transfer.id, of: nil, at: now) }
    }
  }

  // MARK: Groups

  /// The type of groups whose snapshots must be of one moment.
  static let groupType = "of one moment"

  /// Into the group of its project, which is made where there is none.
  func putIntoGroup(_ volume: Volume) {
    let surroundings = surroundings
    give { tables, now in
      let present = tables.groups.values.filter { $0.project == volume.project }.min { $0.id < $1.id }
      let group =
        try present
        ?? tables.createGroup(
          GroupOrder(
            project: volume.project, type: Self.groupType, volumeTypes: [VolumeType.defaultName, Self.typeForSeveral]),
          at: now, in: surroundings)
      try tables.editGroup(group.id, of: nil, GroupChange(added: [volume.id]))
    }
  }

  func takeOut(_ volume: Volume, of group: GroupID) {
    give { tables, now in try tables.editGroup(group, of: nil, GroupChange(removed: [volume.id])) }
  }

  func takeSnapshot(of group: Group) {
    let (surroundings, policy) = (surroundings, fleet.policy)
    give { tables, now in
      try tables.createGroupSnapshot(
        of: group.id, of: nil, user: "", name: "", summary: "", policy: policy, at: now, in: surroundings)
    }
  }

  func delete(_ snapshot: GroupSnapshot) {
    for member in tables.snapshots(in: snapshot.id) {
      workload.promises.withLock { _ = $0.deletedSnapshots.insert(member.id) }
    }
    give { tables, now in try tables.deleteGroupSnapshot(snapshot.id, of: nil, at: now) }
  }

  // MARK: Attachments

  func attach(_ volume: Volume, to instance: InstanceID) {
    let (surroundings, attachesTwice) = (surroundings, fleet.planted == .attachesTwice)
    give { tables, now in
      if attachesTwice, volume.state == .available, let node = tables.nodeRunning(instance) {
        tables.put(
          Attachment(
            id: surroundings.newID(), volume: volume.id, project: volume.project, instance: instance, node: node,
            createdAt: now))
      } else {
        _ = try tables.attach(volume.id, to: instance, device: nil, of: nil, at: now, in: surroundings)
      }
    }
  }

  func detach(_ attachment: Attachment) {
    guard let instance = attachment.instance else { return letGo(attachment) }
    give { tables, now in try tables.detach(attachment.volume, from: instance, of: nil, at: now) }
  }

  // MARK: Snapshots

  func takeSnapshot(of volume: Volume, mayBeAttached: Bool) {
    let surroundings = surroundings
    var order = SnapshotOrder(of: volume.id)
    order.mayBeAttached = mayBeAttached
    give { [order] tables, now in
      try tables.createSnapshot(order, of: nil, at: now, in: surroundings)
    } then: { [workload] snapshot in
      if let snapshot { workload.promises.withLock { _ = $0.snapshots.insert(snapshot.id) } }
    }
  }

  func revert(to snapshot: Snapshot) {
    workload.contents.willOrderRevert(snapshot.volume, to: snapshot.id)
    give { tables, now in
      try tables.revertVolume(snapshot.volume, of: nil, to: snapshot.id, at: now)
    } then: { [workload] done in
      workload.contents.didOrderRevert(snapshot.volume, to: snapshot.id, accepted: done != nil)
    }
  }

  func delete(_ snapshot: Snapshot) {
    workload.promises.withLock { _ = $0.deletedSnapshots.insert(snapshot.id) }
    give { tables, now in try tables.deleteSnapshot(snapshot.id, of: nil, at: now) }
  }

  /// - Parameter then: Called with the outcome; `nil` for a refusal. Not at all when the coordinator dies before.
  private func give<Outcome: Sendable>(
    _ order: @escaping @Sendable (inout Tables, _ now: Timestamp) throws -> Outcome,
    then: @escaping @Sendable (Outcome?) -> Void = { _ in }
  ) {
    let (store, world) = (store, world)
    coordinator.process.start { then(try? await store.write { try order(&$0, world.now) }) }
  }
}
