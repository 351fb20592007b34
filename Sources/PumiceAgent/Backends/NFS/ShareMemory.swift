import PumiceModel
import PumiceWire
import Synchronization

/// What this process remembers of a share between calls. Nothing is lost with it: a copy begins anew, a name is found again by
/// the sweep at start.
final class ShareMemory: Sendable {
  /// Where a copy stands that is made in slices.
  struct Copy: Sendable, Equatable {
    /// The file that is being written.
    let layer: String
    /// Empty while that is still to be pinned.
    var source: [SharedImage.Layer]
    /// Up to where it is durable.
    var position: Int64
  }

  private struct State {
    var attempts: [VolumeID: Set<String>] = [:]
    var descriptions: [VolumeID: (volume: NFSVolume, status: ShareFolder.FileStatus)] = [:]
    var copies: [VolumeID: Copy] = [:]
    var merges: [VolumeID: (name: String, writer: QCOW2Writer)] = [:]
    /// Where the next description is written to, of those whose writing has failed.
    var slots: [VolumeID: Int] = [:]
    var mayShare = true
  }

  private let state = Mutex(State())

  /// Whether the server may yet turn out to let files share their bytes.
  var mayShare: Bool { state.withLock(\.mayShare) }

  func forgetSharing() { state.withLock { $0.mayShare = false } }

  /// Which of a volume's temporary names to use next: never one that a request may still be on its way for.
  func slot(of id: VolumeID) -> Int { state.withLock { $0.slots[id] ?? 0 } }

  func skipSlot(of id: VolumeID) { state.withLock { $0.slots[id, default: 0] += 1 } }

  /// Temporary names that may be there.
  func attempts(of id: VolumeID) -> Set<String> { state.withLock { $0.attempts[id] ?? [] } }

  func note(_ name: String, of id: VolumeID) {
    _ = state.withLock { $0.attempts[id, default: []].insert(name) }
  }

  func forget(_ name: String, of id: VolumeID) {
    state.withLock { state in
      state.attempts[id]?.remove(name)
      if state.attempts[id]?.isEmpty == true { state.attempts[id] = nil }
    }
  }

  /// The description that was read from a file of this status.
  func description(of id: VolumeID, as status: ShareFolder.FileStatus) -> NFSVolume? {
    state.withLock { $0.descriptions[id].flatMap { $0.status == status ? $0.volume : nil } }
  }

  func remember(_ volume: NFSVolume, as status: ShareFolder.FileStatus) {
    state.withLock { $0.descriptions[volume.id] = (volume, status) }
  }

  /// Drops the descriptions of all others.
  func keep(_ ids: Set<VolumeID>) {
    state.withLock { state in state.descriptions = state.descriptions.filter { ids.contains($0.key) } }
  }

  /// The volume that a snapshot is one of, as far as is known.
  func owner(of snapshot: SnapshotID) -> VolumeID? {
    state.withLock { $0.descriptions.values.first { $0.volume.snapshot(snapshot) != nil }?.volume.id }
  }

  func merge(into name: String, of id: VolumeID) -> QCOW2Writer? {
    state.withLock { $0.merges[id].flatMap { $0.name == name ? $0.writer : nil } }
  }

  func set(_ writer: QCOW2Writer?, into name: String, of id: VolumeID) {
    state.withLock { $0.merges[id] = writer.map { (name, $0) } }
  }

  func copy(for id: VolumeID) -> Copy? { state.withLock { $0.copies[id] } }

  /// Lets copies begin anew that are being made of a layer.
  func forgetCopies(of layer: String) {
    state.withLock { state in
      state.copies = state.copies.filter { copy in !copy.value.source.contains { $0.name == layer } }
    }
  }

  func set(_ copy: Copy?, for id: VolumeID) { state.withLock { $0.copies[id] = copy } }
}
