import HashTreeCollections
import Logging
import PumiceModel
import PumiceWire

/// Does one piece of pending work: reads the row, makes the call, writes the outcome.
struct PendingWorkRunner: Sendable {
  let store: Store
  let directory: any NodeDirectory
  let policy: Policy
  let surroundings: Surroundings
  let logger: Logger

  /// Does what the row asks for now, once. Never throws: a failure is written beside the row, and a store that refuses
  /// to be written is the store's to report.
  func perform(_ key: WorkKey) async {
    let tables = store.tables
    do {
      switch key {
      case .volume(let id):
        guard let volume = tables.volumes[id], let work = volume.pendingWork else { return }
        try await perform(work, of: volume)
      case .snapshot(let id):
        guard let snapshot = tables.snapshots[id], let work = snapshot.pendingWork else { return }
        try await perform(work, of: snapshot)
      case .attachment(let id):
        guard let attachment = tables.attachments[id], let work = attachment.pendingWork else { return }
        try await perform(work, of: attachment)
      case .residue(let key):
        guard let residue = tables.residues[key] else { return }
        try await erase(residue)
      case .groupSnapshot(let id):
        guard let snapshot = tables.groupSnapshots[id], snapshot.isPending else { return }
        try await take(snapshot)
      }
    } catch {
      guard !Task.isCancelled else { return }
      logger.error("An outcome could not be stored", metadata: ["work": "\(key)", "error": "\(error)"])
      // The row still says what to do; without a pause this would spin while the disk is full.
      try? await surroundings.sleep(.seconds(1))
    }
  }

  /// What the node said last; its calls are meant for the agent that said so.
  func observation(of name: NodeName) throws(StorageError) -> NodeReport {
    guard let observation = store.tables.observations[name] else {
      throw StorageError(.unavailable, "Node \(name) has not reported yet.")
    }
    return observation.report
  }

  func node(_ name: NodeName) throws(StorageError) -> any NodeAPI {
    guard let node = store.tables.nodes[name] else {
      throw StorageError(.unavailable, "Node \(name) is not registered.")
    }
    if node.isLost { throw StorageError(.unavailable, "Node \(name) was declared lost.") }
    return directory.node(name, at: node.address)
  }

  /// Whether an operator said that the node will not come back: it holds nothing then that anybody can reach.
  func isLost(_ name: NodeName) -> Bool { store.tables.nodes[name]?.isLost == true }
}
