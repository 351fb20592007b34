import PumiceModel
import Synchronization

/// What a revision is about.
enum Resource: Hashable, Sendable, CustomStringConvertible {
  /// A volume on one pool: a removal from a pool it was tried on says nothing about the pool it is on.
  case volume(VolumeID, backend: String, pool: String)
  case snapshot(SnapshotID, backend: String, pool: String)
  case export(AttachmentID)
  case connection(AttachmentID)

  var description: String {
    switch self {
    case .volume(let id, let backend, let pool): "volume \(id) on \(backend)#\(pool)"
    case .snapshot(let id, let backend, let pool): "snapshot \(id) on \(backend)#\(pool)"
    case .export(let id): "export \(id)"
    case .connection(let id): "connection \(id)"
    }
  }
}

/// Lets no call through that is older than the newest one seen for its resource.
///
/// What is there carries its revision itself, in a sidecar or record. What is gone is remembered here, for the last 100,000
/// resources or more: a call that is late by more than that shows up in the inventory.
final class RevisionGate: Sendable {
  private struct Memory {
    /// Two generations: when the young one is full, it becomes the old one, and the old one is forgotten.
    var young: [Resource: Revision] = [:]
    var old: [Resource: Revision] = [:]
  }

  private let memory = Mutex(Memory())
  private let generationSize: Int

  init(generationSize: Int = 100_000) { self.generationSize = generationSize }

  /// Throws `stale` for a revision older than `recorded` or than one admitted before; else remembers it. Equal is not older.
  func admit(_ resource: Resource, _ revision: Revision, recorded: Revision?) throws(StorageError) {
    let newest = memory.withLock { memory in
      let newest = max(recorded ?? .min, memory.young[resource] ?? memory.old[resource] ?? .min)
      guard revision >= newest else { return newest }
      if memory.young.count >= generationSize, memory.young[resource] == nil {
        (memory.old, memory.young) = (memory.young, [:])
      }
      memory.young[resource] = revision
      return revision
    }
    guard revision >= newest else {
      throw StorageError(
        .stale, "The call about \(resource) has revision \(revision), but \(newest) has been seen already.")
    }
  }
}
