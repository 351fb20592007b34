public import PumiceModel
import PumiceWire
import Synchronization

/// The storage behind an `InMemoryBackend`: what is on it outlives the agent, as a disk outlives a process.
public final class InMemoryDisk: Sendable {
  struct Entry: Sendable {
    let pool: String
    var size: ByteCount
    var revision: Revision
    var description: VolumeDescription
    /// A half-made one takes space and is no volume.
    var isWhole: Bool
  }

  private struct Content: Sendable {
    var volumes: [VolumeID: Entry] = [:]
    /// Bytes that are none of ours, and those of thick volumes, by pool.
    var used: [String: ByteCount] = [:]
  }

  /// The size of each pool.
  public let pools: [String: ByteCount]
  private let content = Mutex(Content())

  public init(pools: [String: ByteCount]) { self.pools = pools }

  /// Ids of everything that is there, half-made leavings included, in their order.
  public var contents: [VolumeID] { content.withLock { $0.volumes.keys.sorted() } }

  /// Takes space on a pool that is no volume of ours; negative gives it back.
  public func occupy(_ size: ByteCount, of pool: String) {
    content.withLock { $0.used[pool, default: .zero] += size }
  }

  /// What is physically free; `nil` for an unknown pool.
  func free(_ pool: String) -> ByteCount? {
    pools[pool].map { total in max(.zero, total - content.withLock { $0.used[pool] ?? .zero }) }
  }

  func entry(_ id: VolumeID) -> Entry? { content.withLock { $0.volumes[id] } }

  var entries: [(VolumeID, Entry)] {
    content.withLock { content in content.volumes.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } }
  }

  /// Every whole volume, in the order of their ids.
  public var volumes: [(id: VolumeID, pool: String, size: ByteCount)] {
    entries.compactMap { id, entry in entry.isWhole ? (id, entry.pool, entry.size) : nil }
  }

  /// Takes the space for a volume: a new one is there as a leaving, an existing one keeps its size until it is finished.
  func begin(_ id: VolumeID, _ request: VolumeRequest, takesSpace: Bool) throws(StorageError) {
    try content.withLock { content throws(StorageError) in
      let existing = content.volumes[id]
      if let existing, existing.pool != request.pool {
        throw StorageError(
          .conflict, "Volume \(id) lies on pool \(existing.pool), so it can't be made on pool \(request.pool).")
      }
      let growth = request.size - (existing?.size ?? .zero)
      let free = (pools[request.pool] ?? .zero) - (content.used[request.pool] ?? .zero)
      guard growth <= .zero || (takesSpace ? growth <= free : free > .zero) else {
        throw StorageError(
          .noSpace, "Pool \(request.pool) has \(max(.zero, free)) free, not enough for \(growth) more of volume \(id).")
      }
      if existing == nil {
        content.volumes[id] = Entry(
          pool: request.pool, size: request.size, revision: request.revision, description: request.description,
          isWhole: false)
        if takesSpace { content.used[request.pool, default: .zero] += request.size }
      }
    }
  }

  /// Makes the volume whole, as large as asked for, with the request's description.
  func finish(_ id: VolumeID, _ request: VolumeRequest, takesSpace: Bool) {
    content.withLock { content in
      guard var entry = content.volumes[id] else { return }
      let size = max(entry.size, request.size)
      if takesSpace { content.used[entry.pool, default: .zero] += size - entry.size }
      entry.size = size
      entry.revision = request.revision
      entry.description = request.description
      entry.isWhole = true
      content.volumes[id] = entry
    }
  }

  /// Makes it a leaving.
  func unmake(_ id: VolumeID, pool: String) {
    content.withLock { if $0.volumes[id]?.pool == pool { $0.volumes[id]?.isWhole = false } }
  }

  func erase(_ id: VolumeID, pool: String, givesSpace: Bool) {
    content.withLock { content in
      guard let entry = content.volumes[id], entry.pool == pool else { return }
      content.volumes[id] = nil
      if givesSpace { content.used[pool, default: .zero] -= entry.size }
    }
  }
}
