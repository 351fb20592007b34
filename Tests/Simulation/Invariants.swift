import HashTreeCollections
import PumiceAgent
import PumiceCoordinator
import PumiceModel

/// What must hold at every step, and what must hold once all is quiet. Each violation is a sentence.
struct Invariants {
  let fleet: Fleet

  /// At every step: no volume is in two running instances or hosts, unless it is for several; none that the store calls available is in any, and none is in
  /// an instance without a target or a record that keeps it.
  func duringTheRun() -> String? {
    let tables = fleet.coordinator?.store.tables
    var seen: [VolumeID: InstanceID] = [:]
    for node in fleet.nodes where node.isPartOfTheFleet {
      for slot in node.livingDisks() {
        let (volume, instance) = (slot.disk.volume, slot.instance)
        if slot.isLocal, !node.exportRecords().contains(slot.disk.attachment) {
          return "Volume \(volume) is a device of instance \(instance), and \(node.name) has no record of that."
        }
        if let other = seen.updateValue(instance, forKey: volume), other != instance,
          !(tables?.volumes[volume]?.isMultiattach ?? slot.disk.isShareable)
        {
          return "Volume \(volume) is in instances \(other) and \(instance)."
        }
        if let tables, tables.volumes[volume]?.state == .available, tables.holders(of: volume).isEmpty {
          return "Volume \(volume) is available, and still in instance \(instance)."
        }
      }
    }
    return tables.flatMap { ofClients($0, instances: seen) }
  }

  /// Nobody who connects by itself has what is another's, or is said to be free.
  private func ofClients(_ tables: Tables, instances: [VolumeID: InstanceID]) -> String? {
    var hosts: [VolumeID: AttachmentID] = [:]
    for session in fleet.fabric.sessions where session.isOfClient {
      guard let volume = fleet.fabric.volume(of: session) else { continue }
      if tables.attachments[session.attachment]?.holdsVolume != true {
        return "Volume \(volume) is let go, and \(session.initiator) still has it."
      }
      if tables.volumes[volume]?.isMultiattach == true { continue }
      if let other = hosts.updateValue(session.attachment, forKey: volume), other != session.attachment {
        return "Volume \(volume) is in two hosts."
      }
      if let instance = instances[volume] {
        return "Volume \(volume) is in instance \(instance) and in host \(session.initiator)."
      }
    }
    return nil
  }

  /// When all is quiet.
  func atTheEnd(_ promises: Workload.Promises) -> [String] {
    guard let tables = fleet.coordinator?.store.tables else { return ["The coordinator is not there."] }
    var violations: [String] = []
    for key in tables.pending { violations.append("Still pending: \(key) \(describe(key, tables)).") }

    for node in fleet.nodes where node.isPartOfTheFleet {
      let stored = node.storedVolumes()
      let pools = Set(stored.map { "\($0.id) \(PoolName(node: node.name, backend: $0.backend, pool: $0.pool))" })
      let rows = Set(
        tables.volumes.values.filter { $0.occupiesPool && $0.pool?.node == node.name }
          .map { "\($0.id) \($0.pool?.description ?? "")" })
      for extra in pools.subtracting(rows) { violations.append("On \(node.name), and not in the store: \(extra).") }
      for missing in rows.subtracting(pools) { violations.append("Not on \(node.name): \(missing).") }

      for (id, project) in node.owners() {
        if let row = tables.volumes[id], row.state == .available, row.project != project {
          violations.append("Volume \(id) says on \(node.name) that it is of \(project), and is of \(row.project).")
        }
      }

      let snapshots = node.storedSnapshots()
      let kept = Set(snapshots.map { "\($0.id) of \($0.volume) \(node.pool($0.pool)) \($0.size)" })
      let taken = Set(
        tables.snapshots.values.filter { $0.occupiesPool && $0.pool.node == node.name }
          .map { "\($0.id) of \($0.volume) \($0.pool) \($0.size)" })
      for extra in kept.subtracting(taken) {
        violations.append("Snapshot on \(node.name), and not in the store: \(extra).")
      }
      for missing in taken.subtracting(kept) { violations.append("Snapshot not on \(node.name): \(missing).") }

      let exports = node.exportedAttachments()
      let here = tables.attachments.values.filter { tables.volumes[$0.volume]?.pool?.node == node.name }
      let attached = here.filter { $0.state == .attached && $0.hasExport }
      // Of a client whose coordinator died meanwhile, it can't be said whether the volume was exported.
      let connecting = here.filter { $0.client != nil && $0.hasExport && $0.state != .attached }
      let targets = Set(attached.filter { $0.isLocal != true }.map(\.id))
      for extra in exports.subtracting(targets).subtracting(connecting.map(\.id)) {
        violations.append("Exported by \(node.name) without an attachment: \(extra).")
      }
      for missing in targets.subtracting(exports) {
        violations.append("Attached, and not exported by \(node.name): \(missing).")
      }
      let active = Set(node.disk.active).subtracting(connecting.map(\.volume))
      if node.hasDevices, active != Set(attached.map(\.volume)).subtracting(connecting.map(\.volume)) {
        violations.append("The devices of \(node.name) are not its attached volumes.")
      }

      if node.exportRecords().subtracting(connecting.map(\.id)) != Set(attached.map(\.id)) {
        violations.append("The export records of \(node.name) are not its exports.")
      }

      let disks = node.pluggedAttachments()
      let expected = Set(tables.attachments.values.filter { $0.state == .attached && $0.node == node.name }.map(\.id))
      for extra in disks.subtracting(expected) {
        violations.append("In an instance of \(node.name) without an attachment: \(extra).")
      }
      for missing in expected.subtracting(disks) {
        violations.append("Attached, and in no instance of \(node.name): \(missing).")
      }
      if node.connectionRecords() != expected {
        violations.append("The connection records of \(node.name) are not its disks.")
      }
      for volume in stored {
        if let row = tables.volumes[volume.id], row.state == .available, volume.size < row.size {
          violations.append("Volume \(volume.id) has \(volume.size) on \(node.name), and \(row.size) in the store.")
        }
      }
    }

    for attachment in tables.attachments.values where attachment.state == .attached {
      let holders = tables.holders(of: attachment.volume)
      let isForSeveral = tables.volumes[attachment.volume]?.isMultiattach == true
      let instances = holders.compactMap(\.instance)
      if isForSeveral ? Set(instances).count < instances.count : holders.count > 1 {
        violations.append("Volume \(attachment.volume) is attached twice.")
      }
    }
    for volume in tables.volumes.values {
      if let group = volume.group, tables.groups[group]?.project != volume.project {
        violations.append("Volume \(volume.id) is in group \(group), which its project does not have.")
      }
    }
    for group in tables.groupSnapshots.values {
      let states = Set(tables.snapshots(in: group.id).map(\.state))
      if states.isEmpty || (group.state == .failed && states != [.error]) {
        violations.append("Group snapshot \(group.id) is \(group.state), and consists of \(states).")
      }
    }
    let offered = tables.transfers.values.map(\.volume)
    let awaiting = Set(tables.volumes.values.filter { $0.state == .awaitingTransfer }.map(\.id))
    if Set(offered) != awaiting || offered.count != awaiting.count {
      violations.append("The offers are not those of the volumes that await a transfer.")
    }
    for project in ["red", "blue"] {
      let rows = tables.volumes.values.filter { $0.project == project && $0.state != .deleted }.map(\.id)
      if Set(tables.volumeIDs(of: project)) != Set(rows) {
        violations.append("The index of \(project) does not have its volumes.")
      }
      var usage = QuotaUsage()
      usage.groups = tables.groups.values.count { $0.project == project }
      for volume in tables.volumes.values where volume.project == project { usage.count(volume) }
      for snapshot in tables.snapshots.values where snapshot.project == project { usage.count(snapshot) }
      if usage != tables.usage(of: project) { violations.append("The quota of \(project) is not the sum of its rows.") }
    }
    for id in promises.created {
      guard let row = tables.volumes[id] else {
        violations.append("Volume \(id) was acknowledged and is lost.")
        continue
      }
      if row.state == .deleted, !promises.deleted.contains(id) {
        violations.append("Volume \(id) is deleted, and nobody asked for that.")
      }
    }
    for id in promises.snapshots {
      guard let row = tables.snapshots[id] else {
        violations.append("Snapshot \(id) was acknowledged and is lost.")
        continue
      }
      if row.state == .deleted, !promises.deletedSnapshots.contains(id), !promises.deleted.contains(row.volume) {
        violations.append("Snapshot \(id) is deleted, and nobody asked for that.")
      }
    }
    for row in tables.snapshots.values where row.state == .available {
      if let volume = tables.volumes[row.volume], volume.state != .deleted { continue }
      violations.append("Snapshot \(row.id) is one of volume \(row.volume), which is gone.")
    }
    return violations
  }

  private func describe(_ key: WorkKey, _ tables: Tables) -> String {
    switch key {
    case .volume(let id): tables.volumes[id].map { "\($0.state) \($0.retry.lastError ?? "")" } ?? ""
    case .snapshot(let id): tables.snapshots[id].map { "\($0.state) \($0.retry.lastError ?? "")" } ?? ""
    case .attachment(let id): tables.attachments[id].map { "\($0.state) \($0.retry.lastError ?? "")" } ?? ""
    case .residue(let key): tables.residues[key]?.retry.lastError ?? ""
    case .groupSnapshot(let id): tables.groupSnapshots[id]?.state.rawValue ?? ""
    }
  }
}
