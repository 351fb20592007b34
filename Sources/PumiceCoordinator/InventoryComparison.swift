import HashTreeCollections
public import PumiceModel

/// A difference between the store and what a node has.
public struct Finding: Sendable, Equatable {
  public enum Kind: String, Sendable, CaseIterable {
    /// On the node, and not known to the store: never touched by itself.
    case orphanVolume, orphanSnapshot, orphanExport, orphanConnection
    /// On the node, and known to be gone: erased by itself.
    case deletedVolume, deletedSnapshot, detachedExport, detachedConnection
    /// In the store, and not on the node.
    case missingVolume, missingSnapshot, missingExport, missingConnection
    /// In a place where the store does not have it. Erased by itself where a volume was tried and given up; never touched
    /// anywhere else, since the disk may have been moved there.
    case misplacedVolume, misplacedSnapshot
    /// On the node, made for attachments, and none of what the store is about.
    case leakedSession, leakedRecord, zombieDisk, seizedDisk
    case nodeDown
  }

  public let kind: Kind
  public let node: NodeName
  public let resource: String
  public let detail: String
  public let remedy: String
}

/// Compares a node's inventory with the store.
///
/// `known` is a snapshot taken *before* the inventory was read. A row that was gone then and is still gone, and yet shows
/// in the inventory, was brought back by a late call: it is taken away once more. Anything younger is left alone.
struct InventoryComparison {
  let node: NodeName
  let inventory: Inventory
  let known: Tables

  /// Every difference, with what would mend it.
  func findings() -> [Finding] {
    var findings: [Finding] = []
    func add(_ kind: Finding.Kind, _ resource: String, _ detail: String, _ remedy: String) {
      findings.append(Finding(kind: kind, node: node, resource: resource, detail: detail, remedy: remedy))
    }
    for stored in inventory.volumes {
      let pool = pool(of: stored)
      guard let row = known.volumes[stored.id] else {
        add(
          .orphanVolume, "\(stored.id)", "\(pool) has a volume of \(stored.size) that the store does not know.",
          "Have it managed, or look at its description on the node; nothing unknown is ever erased by itself.")
        continue
      }
      if row.state == .deleted {
        add(.deletedVolume, "\(stored.id)", "\(pool) still has a deleted volume.", "It is erased by itself.")
      } else if row.triedPools.contains(pool) {
        add(
          .misplacedVolume, "\(stored.id)", "\(pool) has leavings of a volume that is elsewhere.",
          "They are erased by themselves.")
      } else if row.pool != pool, !isPlaceholder(row, pool) {
        add(
          .misplacedVolume, "\(stored.id)",
          "\(pool) has a volume that the store has on \(row.pool.map { "\($0)" } ?? "no pool").",
          "If its disks were moved here, give this node the name and backend that they had; it is never erased by itself."
        )
      }
    }
    let volumes = Set(inventory.volumes.map { Residue.Key(volume: $0.id, pool: pool(of: $0)) })
    for row in known.volumes.values {
      guard let pool = row.pool, pool.node == node, isSettled(row),
        !volumes.contains(Residue.Key(volume: row.id, pool: pool))
      else { continue }
      add(
        .missingVolume, "\(row.id)", "\(row.label) should be on \(pool) and is not there.",
        "Bring its backend back; if it is gone for good, delete the volume.")
    }
    findings += snapshotFindings()
    findings += attachmentFindings()
    findings += leftoverFindings()
    return findings
  }

  /// The rows to change, on the tables as they are now.
  func mend(_ tables: inout Tables, at now: Timestamp) {
    for stored in inventory.volumes {
      let pool = pool(of: stored)
      guard let before = known.volumes[stored.id], let row = tables.volumes[stored.id],
        before.revision == row.revision, row.state == .deleted || row.triedPools.contains(pool)
      else { continue }
      let residue = Residue(of: row, on: pool)
      if tables.residues[residue.key] == nil { tables.leave(residue) }
    }
    for stored in inventory.snapshots {
      let pool = pool(of: stored)
      guard let before = known.snapshots[stored.id], let row = tables.snapshots[stored.id],
        before.revision == row.revision, row.state == .deleted || (row.state == .error && row.pool == pool)
      else { continue }
      let residue = Residue(of: row, on: pool)
      if tables.residues[residue.key] == nil { tables.leave(residue) }
    }
    for id in inventory.exports.map(\.attachment) + inventory.connections.map(\.attachment) {
      guard let before = known.attachments[id], var row = tables.attachments[id], before.revision == row.revision,
        row.state == .detached
      else { continue }
      row.detachAgain(at: now)
      tables.put(row)
    }
    let exports = Set(inventory.exports.filter(\.isOffered).map(\.attachment))
    for before in known.attachments.values where before.state == .attached && !exports.contains(before.id) {
      guard known.volumes[before.volume]?.pool?.node == node, var row = tables.attachments[before.id],
        row.revision == before.revision
      else { continue }
      row.repair(at: now)
      tables.put(row)
    }
  }

  private func snapshotFindings() -> [Finding] {
    var findings: [Finding] = []
    func add(_ kind: Finding.Kind, _ resource: SnapshotID, _ detail: String, _ remedy: String) {
      findings.append(Finding(kind: kind, node: node, resource: "\(resource)", detail: detail, remedy: remedy))
    }
    var present: Set<SnapshotID> = []
    for stored in inventory.snapshots {
      let pool = pool(of: stored)
      guard let row = known.snapshots[stored.id] else {
        add(
          .orphanSnapshot, stored.id,
          "\(pool) has a snapshot of volume \(stored.volume), of \(stored.size), that the store does not know.",
          "Have it managed, or look at its description on the node; nothing unknown is ever erased by itself.")
        continue
      }
      if row.pool == pool { present.insert(row.id) }
      switch row.state {
      case .deleted:
        add(.deletedSnapshot, row.id, "\(pool) still has a deleted snapshot.", "It is erased by itself.")
      case .error where row.pool == pool:
        add(
          .deletedSnapshot, row.id, "\(pool) has leavings of a snapshot that failed.", "They are erased by themselves.")
      case .creating, .available, .error, .deleting:
        guard row.pool != pool else { continue }
        add(
          .misplacedSnapshot, row.id, "\(pool) has a snapshot that the store has on \(row.pool).",
          "If its disks were moved here, give this node the name and backend that they had; it is never erased by itself."
        )
      }
    }
    for row in known.snapshots.values where row.state == .available && row.pool.node == node {
      guard !present.contains(row.id) else { continue }
      add(
        .missingSnapshot, row.id, "\(row.label) of volume \(row.volume) should be on \(row.pool) and is not there.",
        "Bring its backend back; if it is gone for good, delete the snapshot.")
    }
    return findings
  }

  private func attachmentFindings() -> [Finding] {
    var findings: [Finding] = []
    for export in inventory.exports {
      guard let row = known.attachments[export.attachment] else {
        findings.append(
          Finding(
            kind: .orphanExport, node: node, resource: "\(export.attachment)",
            detail:
              "Volume \(export.volume) is exported to \(export.initiator) for an attachment the store does not know.",
            remedy: "Withdraw it on the node if nobody uses it."))
        continue
      }
      if row.state == .detached {
        findings.append(
          Finding(
            kind: .detachedExport, node: node, resource: "\(row.id)",
            detail: "Volume \(row.volume) is still exported for an attachment that has ended.",
            remedy: "It is withdrawn by itself."))
      }
    }
    for connection in inventory.connections {
      guard let row = known.attachments[connection.attachment] else {
        findings.append(
          Finding(
            kind: .orphanConnection, node: node, resource: "\(connection.attachment)",
            detail:
              "Instance \(connection.instance) has volume \(connection.volume) for an attachment the store does not know.",
            remedy: "Detach the disk on the node if nobody uses it."))
        continue
      }
      if row.state == .detached {
        findings.append(
          Finding(
            kind: .detachedConnection, node: node, resource: "\(row.id)",
            detail: "Volume \(row.volume) is still plugged into \(row.holder), for an attachment that has ended.",
            remedy: "It is unplugged by itself."))
      }
    }
    let exports = Set(inventory.exports.filter(\.isOffered).map(\.attachment))
    let connections = Set(inventory.connections.filter { $0.device != nil }.map(\.attachment))
    for row in known.attachments.values where row.state == .attached {
      if row.hasExport, known.volumes[row.volume]?.pool?.node == node, !exports.contains(row.id) {
        findings.append(
          Finding(
            kind: .missingExport, node: node, resource: "\(row.id)",
            detail: "Volume \(row.volume) is attached, but not exported.", remedy: "It is exported again by itself."))
      }
      if row.node == node, !connections.contains(row.id) {
        findings.append(
          Finding(
            kind: .missingConnection, node: node, resource: "\(row.id)",
            detail: "Volume \(row.volume) is attached, but \(row.holder) does not have the disk.",
            remedy: "Detach it: pumice detach \(row.volume) \(row.instance.map { "\($0)" } ?? "")"))
      }
    }
    return findings
  }

  private func pool(of stored: Inventory.StoredVolume) -> PoolName { PoolName(stored, on: node) }
  private func pool(of stored: Inventory.StoredSnapshot) -> PoolName { PoolName(stored, on: node) }

  /// A volume that is not placed may have been on any pool whose failure is not written yet.
  private func isPlaceholder(_ row: Volume, _ pool: PoolName) -> Bool {
    row.pool == nil && row.state == .creating && !row.triedPools.contains(pool)
  }

  private func isSettled(_ row: Volume) -> Bool {
    switch row.state {
    case .available, .extending, .errorExtending, .reverting, .awaitingTransfer: true
    case .creating, .error, .deleting, .deleted: false
    }
  }
}

extension Tables {
  /// What a node's inventory digest is when the node has what the rows say.
  func expectedDigest(of node: NodeName) -> UInt64 {
    var digest = InventoryDigest()
    for volume in volumes.values {
      guard let pool = volume.pool, pool.node == node, volume.occupiesPool else { continue }
      digest.add(volume: volume.id, on: pool.backend, pool.pool)
    }
    for snapshot in snapshots.values where snapshot.pool.node == node && snapshot.occupiesPool {
      digest.add(snapshot: snapshot.id, on: snapshot.pool.backend, snapshot.pool.pool)
    }
    for attachment in attachments.values where attachment.hasExport {
      if volumes[attachment.volume]?.pool?.node == node { digest.add(export: attachment.id) }
      if attachment.node == node, attachment.state != .withdrawing { digest.add(connection: attachment.id) }
    }
    return digest.value
  }
}
