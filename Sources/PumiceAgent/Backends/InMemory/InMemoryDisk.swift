public import PumiceModel
import PumiceWire
import Synchronization

/// The storage behind an `InMemoryBackend`: what is on it outlives the agent, as a disk outlives a process.
public final class InMemoryDisk: Sendable {
  /// Stands for bytes: what was written last, up to `length`, and zeros from there on. A number is enough to tell one
  /// content from another.
  public struct Content: Sendable, Hashable {
    public let stamp: Int
    public let length: ByteCount

    public static let zeros = Content(stamp: 0, length: .zero)
  }

  struct Entry: Sendable {
    let pool: String
    var size: ByteCount
    var revision: Revision
    var description: VolumeDescription
    var isMultiattach: Bool
    /// A half-made one takes space and is no volume.
    var isWhole: Bool
    var source: VolumeSource?
    var content: Content
    /// The revision of the last revert.
    var reverted: Revision?
    /// Whether it is a device now, where volumes are.
    var isActive = false
  }

  struct SnapshotEntry: Sendable {
    let volume: VolumeID
    let pool: String
    let size: ByteCount
    let revision: Revision
    let description: VolumeDescription
    let content: Content
    /// A half-made one takes space and is no snapshot.
    var isWhole: Bool
  }

  /// Work that takes more than one call.
  enum LongWork: Hashable {
    case copy(VolumeID, VolumeSource)
    case removal(VolumeID)
    case snapshot(SnapshotID)
    case snapshotRemoval(SnapshotID)
    case revert(VolumeID, SnapshotID, Revision)
  }

  struct State: Sendable {
    var volumes: [VolumeID: Entry] = [:]
    var snapshots: [SnapshotID: SnapshotEntry] = [:]
    /// Bytes that are none of ours, and those of thick volumes and their snapshots, by pool.
    var used: [String: ByteCount] = [:]
    /// How many calls about it have been answered.
    var slices: [LongWork: Int] = [:]
  }

  /// The size of each pool.
  public let pools: [String: ByteCount]
  let state = Mutex(State())

  public init(pools: [String: ByteCount]) { self.pools = pools }

  /// Ids of every volume that is there, half-made leavings included, in their order.
  public var contents: [VolumeID] { state.withLock { $0.volumes.keys.sorted() } }

  /// Takes space on a pool that is no volume of ours; negative gives it back.
  public func occupy(_ size: ByteCount, of pool: String) {
    state.withLock { $0.used[pool, default: .zero] += size }
  }

  /// Overwrites the whole volume, as a guest does. Nothing happens where there is none.
  public func write(_ stamp: Int, to id: VolumeID) {
    state.withLock { state in
      guard let entry = state.volumes[id], entry.isWhole else { return }
      state.volumes[id]?.content = Content(stamp: stamp, length: entry.size)
    }
  }

  /// What a guest reads; `nil` where there is no such volume.
  public func content(of id: VolumeID) -> Content? { entry(id).flatMap { $0.isWhole ? $0.content : nil } }

  /// The volumes that are devices now, in the order of their ids.
  public var active: [VolumeID] { entries.compactMap { id, entry in entry.isActive ? id : nil } }

  /// What a reboot of the machine does.
  public func deactivateAll() { for id in contents { setActive(id, false) } }

  /// Whether there is such a volume.
  @discardableResult
  func setActive(_ id: VolumeID, _ isActive: Bool) -> Bool {
    state.withLock { state in
      guard state.volumes[id]?.isWhole == true else { return false }
      state.volumes[id]?.isActive = isActive
      return true
    }
  }

  /// What is physically free; `nil` for an unknown pool.
  func free(_ pool: String) -> ByteCount? {
    pools[pool].map { total in max(.zero, total - state.withLock { $0.used[pool] ?? .zero }) }
  }

  func entry(_ id: VolumeID) -> Entry? { state.withLock { $0.volumes[id] } }

  var entries: [(VolumeID, Entry)] {
    state.withLock { state in state.volumes.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } }
  }

  /// Every whole volume, in the order of their ids.
  public var volumes: [(id: VolumeID, pool: String, size: ByteCount)] {
    entries.compactMap { id, entry in entry.isWhole ? (id, entry.pool, entry.size) : nil }
  }

  /// Whose every whole volume says that it is.
  public var owners: [VolumeID: ProjectID] {
    Dictionary(uniqueKeysWithValues: entries.compactMap { $1.isWhole ? ($0, $1.description.project) : nil })
  }

  /// Erases everything half-made.
  func sweep(givesSpace: Bool) {
    for (id, entry) in entries where !entry.isWhole { erase(id, pool: entry.pool, givesSpace: givesSpace) }
    for (id, entry) in snapshotEntries where !entry.isWhole { erase(id, pool: entry.pool, givesSpace: givesSpace) }
    state.withLock { $0.slices = [:] }
  }

  /// Counts a call about long work that takes `slices` of them; `nil` when this was the last.
  func advance(_ work: LongWork, slices: Int) -> Progress? {
    state.withLock { state in
      let count = (state.slices[work] ?? 0) + 1
      state.slices[work] = count < slices ? count : nil
      return count < slices ? Progress(done: Double(count) / Double(slices)) : nil
    }
  }

  /// Takes the space for a volume and reads its source: a new one is there as a leaving, an existing one keeps its size
  /// until it is finished.
  func begin(_ id: VolumeID, _ request: VolumeRequest, takesSpace: Bool) throws(StorageError) {
    try state.withLock { state throws(StorageError) in
      guard var entry = state.volumes[id] else {
        let content = try state.content(for: id, request)
        try require(request.size, for: "volume \(id)", of: request.pool, state, takesSpace: takesSpace)
        if takesSpace { state.used[request.pool, default: .zero] += request.size }
        state.volumes[id] = Entry(
          pool: request.pool, size: request.size, revision: request.revision, description: request.description,
          isMultiattach: request.multiattach == true, isWhole: false, source: request.source, content: content)
        return
      }
      guard entry.pool == request.pool else {
        throw StorageError(
          .conflict, "Volume \(id) lies on pool \(entry.pool), so it can't be made on pool \(request.pool).")
      }
      if !entry.isWhole, entry.source != request.source {
        entry.content = try state.content(for: id, request)
        entry.source = request.source
        state.volumes[id] = entry
      }
      try require(
        request.size - entry.size, for: "volume \(id)", of: request.pool, state, takesSpace: takesSpace)
    }
  }

  /// Makes the volume whole, as large as asked for, with the request's description.
  func finish(_ id: VolumeID, _ request: VolumeRequest, takesSpace: Bool) {
    state.withLock { state in
      guard var entry = state.volumes[id] else { return }
      let size = max(entry.size, request.size)
      if takesSpace { state.used[entry.pool, default: .zero] += size - entry.size }
      entry.size = size
      entry.revision = request.revision
      entry.description = request.description
      entry.isWhole = true
      state.volumes[id] = entry
    }
  }
}

extension InMemoryDisk {
  /// Makes it a leaving. Throws `inUse` while it has snapshots.
  func unmake(_ id: VolumeID, pool: String) throws(StorageError) {
    try state.withLock { state throws(StorageError) in
      guard state.volumes[id]?.pool == pool else { return }
      if let snapshot = state.snapshots.first(where: { $0.value.volume == id && $0.value.isWhole })?.key {
        throw StorageError(.inUse, "Volume \(id) can't be removed: it has snapshot \(snapshot).")
      }
      state.volumes[id]?.isWhole = false
      state.volumes[id]?.source = nil
      state.volumes[id]?.content = .zeros
      state.volumes[id]?.reverted = nil
    }
  }

  /// Erases the volume and what is half-made of its snapshots.
  func erase(_ id: VolumeID, pool: String, givesSpace: Bool) {
    state.withLock { state in
      guard let entry = state.volumes[id], entry.pool == pool else { return }
      state.volumes[id] = nil
      if givesSpace { state.used[pool, default: .zero] -= entry.size }
      for (snapshot, entry) in state.snapshots where entry.volume == id {
        state.snapshots[snapshot] = nil
        if givesSpace { state.used[pool, default: .zero] -= entry.size }
      }
    }
  }

  /// Throws `noSpace` where the pool is too full to give that much more.
  func require(
    _ growth: ByteCount, for thing: String, of pool: String, _ state: State, takesSpace: Bool
  ) throws(StorageError) {
    let free = (pools[pool] ?? .zero) - (state.used[pool] ?? .zero)
    guard growth <= .zero || (takesSpace ? growth <= free : free > .zero) else {
      throw StorageError(
        .noSpace, "Pool \(pool) has \(max(.zero, free)) free, not enough for \(growth) more of \(thing).")
    }
  }
}
