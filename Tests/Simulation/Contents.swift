import HashTreeCollections
import PumiceAgent
import PumiceCoordinator
import PumiceModel
import Synchronization

/// What every volume and snapshot may hold, from what guests have written and users have ordered.
///
/// Each write has a number of its own, and overwrites the whole volume; a new one is written to when it is first seen. So whatever a volume holds tells where it came from,
/// and a write that is gone without an order, or a copy of something else than its source, shows.
final class Contents: Sendable {
  private struct Record {
    /// What it has held, and since when; the last one is what it holds.
    var held: [(since: Timestamp, stamp: Int)]
    /// What reverts that were ordered may give it.
    var targets: Set<Int> = []
    /// What the last acknowledged revert must give it, unless it is given up.
    var promised: (stamp: Int, at: Timestamp)?
    /// Orders to revert that have not been answered. One whose coordinator dies never is.
    var openOrders = 0

    func stamps(since moment: Timestamp) -> Set<Int> {
      var stamps: Set<Int> = []
      for (index, entry) in held.enumerated() where index + 1 == held.count || held[index + 1].since >= moment {
        stamps.insert(entry.stamp)
      }
      return stamps
    }
  }

  private struct State {
    var lastStamp = 0
    var volumes: [VolumeID: Record] = [:]
    var snapshots: [SnapshotID: Int] = [:]
  }

  private let fleet: Fleet
  private let state = Mutex(State())

  init(fleet: Fleet) { self.fleet = fleet }

  // MARK: What happens

  /// Guests, and hosts without an agent, write to some of the disks that they have.
  func writeFromGuests() {
    let sessions = Dictionary(
      fleet.fabric.sessions.map { ($0.attachment, $0.portal) }, uniquingKeysWith: { first, _ in first })
    for node in fleet.nodes where node.isPartOfTheFleet {
      for slot in node.livingDisks() where fleet.world.chance(60) {
        let volume = slot.disk.volume
        let disk =
          slot.isLocal
          ? (node.disk.active.contains(volume) ? node.disk : nil)
          : sessions[slot.disk.attachment].flatMap { fleet.node($0)?.disk }
        if let disk { state.withLock { write(to: volume, on: disk, &$0) } }
      }
    }
    for session in fleet.fabric.sessions where session.isOfClient && fleet.world.chance(60) {
      guard let volume = fleet.fabric.volume(of: session), let disk = fleet.node(session.portal)?.disk else { continue }
      state.withLock { write(to: volume, on: disk, &$0) }
    }
  }

  /// To be called before the order to revert is given.
  func willOrderRevert(_ volume: VolumeID, to snapshot: SnapshotID) {
    state.withLock { state in
      guard let stamp = state.snapshots[snapshot] else { return }
      state.volumes[volume]?.targets.insert(stamp)
      state.volumes[volume]?.openOrders += 1
    }
  }

  /// To be called when it is answered.
  func didOrderRevert(_ volume: VolumeID, to snapshot: SnapshotID, accepted: Bool) {
    state.withLock { state in
      guard let stamp = state.snapshots[snapshot], let open = state.volumes[volume]?.openOrders, open > 0 else {
        return
      }
      state.volumes[volume]?.openOrders -= 1
      if accepted { state.volumes[volume]?.promised = (stamp, fleet.world.now) }
    }
  }

  // MARK: What must hold

  /// A violation as a sentence. To be called before anything is ordered or written.
  func violation() -> String? {
    guard let tables = fleet.coordinator?.store.tables else { return nil }
    return state.withLock { state in
      for node in fleet.nodes where node.isPartOfTheFleet {
        for stored in node.disk.volumes {
          guard let row = tables.volumes[stored.id], row.pool == node.pool(stored.pool), row.isThere,
            let content = node.disk.content(of: stored.id)
          else { continue }
          if let violation = check(row, content.stamp, on: node.disk, tables, &state) { return violation }
        }
      }
      for node in fleet.nodes where node.isPartOfTheFleet {
        for stored in node.disk.snapshots {
          guard let row = tables.snapshots[stored.id], row.state == .available, row.pool == node.pool(stored.pool)
          else { continue }
          if let violation = check(row, stored.content.stamp, &state) { return violation }
        }
      }
      return nil
    }
  }

  private func check(
    _ row: Volume, _ stamp: Int, on disk: InMemoryDisk, _ tables: Tables, _ state: inout State
  ) -> String? {
    guard var record = state.volumes[row.id] else {
      state.volumes[row.id] = Record(held: [(row.createdAt, stamp)])
      guard let source = row.source else {
        if stamp == 0 { write(to: row.id, on: disk, &state) }
        return stamp == 0 ? nil : "Volume \(row.id) is new, and holds \(stamp)."
      }
      let expected = source.snapshot.map { state.snapshots[$0].map { [$0] } }
      let stamps = expected ?? state.volumes[source.volume].map { Array($0.stamps(since: row.createdAt)) }
      guard let stamps, !stamps.contains(stamp) else { return nil }
      return "Volume \(row.id) was made from \(source), which held \(stamps), and holds \(stamp)."
    }
    if let current = record.held.last?.stamp, current != stamp {
      guard record.targets.contains(stamp) else {
        return "Volume \(row.id) held \(current), and holds \(stamp), which nobody wrote or ordered."
      }
      record.held.append((fleet.world.now, stamp))
    }
    if row.state == .available, record.openOrders == 0 {
      if let promised = record.promised, promised.stamp != stamp,
        !tables.messages.values.contains(where: {
          $0.volume == row.id && $0.action == .revert && $0.createdAt >= promised.at
        })
      {
        return "Volume \(row.id) is reverted to \(promised.stamp), and holds \(stamp)."
      }
      record.promised = nil
      record.targets = []
    }
    state.volumes[row.id] = record
    return nil
  }

  private func write(to volume: VolumeID, on disk: InMemoryDisk, _ state: inout State) {
    guard var record = state.volumes[volume] else { return }
    state.lastStamp += 1
    disk.write(state.lastStamp, to: volume)
    record.held.append((fleet.world.now, state.lastStamp))
    // Nothing that was ordered before may change it now.
    record.targets = []
    record.promised = nil
    record.openOrders = 0
    state.volumes[volume] = record
  }

  private func check(_ row: Snapshot, _ stamp: Int, _ state: inout State) -> String? {
    if let first = state.snapshots[row.id] {
      return first == stamp ? nil : "Snapshot \(row.id) held \(first), and holds \(stamp)."
    }
    state.snapshots[row.id] = stamp
    guard let stamps = state.volumes[row.volume]?.stamps(since: row.createdAt), !stamps.contains(stamp) else {
      return nil
    }
    return "Snapshot \(row.id) holds \(stamp), and its volume held \(stamps) since it was ordered."
  }
}

extension Volume {
  /// Whether its pool must have it.
  fileprivate var isThere: Bool {
    switch state {
    case .available, .extending, .errorExtending, .reverting, .awaitingTransfer: true
    case .creating, .error, .deleting, .deleted: false
    }
  }
}
