import Conformance
import Foundation
import Logging
import PumiceModel
import PumiceWire
import Synchronization
import TestBed

@testable import PumiceAgent

/// A folder of volumes on a file system of a kind, for one test.
struct DirectoryFixture: Sendable {
  /// What the folder lies on.
  enum Storage: String, CaseIterable {
    /// The machine's own; blocks are copied.
    case plain
    /// The same, where nothing waits for a disk.
    case tmpfs
    /// Blocks are shared.
    case xfs, btrfs
  }

  let path: String
  let provisioning: DirectoryBackendConfiguration.Provisioning
  var slice = CopySlice()

  static func with(
    _ storage: Storage = .plain, _ provisioning: DirectoryBackendConfiguration.Provisioning = .thin,
    slice: CopySlice = CopySlice(), _ body: (DirectoryFixture) async throws -> Void
  ) async throws {
    try await Bed.with { bed in
      let path =
        storage == .plain
        ? try bed.folder.folder("pool") : try await bed.makeFileSystem(storage.rawValue, mebibytes: 512)
      try await body(DirectoryFixture(path: path, provisioning: provisioning, slice: slice))
    }
  }

  /// A freshly started agent's backend.
  func open(_ power: PowerSwitch = PowerSwitch()) async throws -> DirectoryBackend {
    try await DirectoryBackend.open(
      DirectoryBackendConfiguration(name: "files", path: path, provisioning: provisioning), logger: .silent,
      slice: slice, fault: { step throws(StorageError) in try power.reach(step) })
  }

  /// Every file whose name has the text in it.
  func files(_ text: String = "") throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: path).filter { text.isEmpty || $0.contains(text) }.sorted()
  }

  func json(_ name: String) throws -> [String: Any] {
    try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: "\(path)/\(name)"))) as? [String: Any] ?? [:]
  }

  // MARK: Requests

  func request(
    _ size: ByteCount = .mebibytes(4), revision: Revision = 1, source: VolumeSource? = nil
  ) -> VolumeRequest {
    VolumeRequest(
      revision: revision, backend: "files", pool: "files", size: size, source: source,
      description: VolumeDescription(name: "database", project: "project", type: "fast", metadata: ["a": "1"]))
  }

  func snapshotRequest(of volume: VolumeID) -> SnapshotRequest {
    SnapshotRequest(
      revision: 1, volume: volume, backend: "files", pool: "files",
      description: VolumeDescription(name: "before", project: "project", type: "fast", metadata: ["b": "2"]))
  }

  func revertRequest(_ revision: Revision, to snapshot: SnapshotID) -> RevertRequest {
    RevertRequest(revision: revision, snapshot: snapshot, backend: "files", pool: "files")
  }

  /// A new volume, overwritten with the stamp.
  func written(
    _ id: VolumeID, _ stamp: Int, _ size: ByteCount = .mebibytes(4), by backend: DirectoryBackend
  ) async throws -> StoredVolume {
    let volume = try await backend.ensured(id, request(size))
    try await StampedContent.write(stamp, volume)
    return volume
  }
}

extension CopySlice {
  /// One step per call, so that a few mebibytes take many.
  static let tiny = CopySlice(duration: .zero, step: ByteCount(64 << 10))
}

/// The power of a machine: once it is cut, no system call changes anything any more.
final class PowerSwitch: Sendable {
  private struct State {
    var remaining: Int?
    var name: String?
    var steps = 0
    var isOff: Bool { remaining == 0 }
  }

  private let state = Mutex(State())

  /// Cuts it after that many steps; with a name, after that many of this kind.
  func cut(after steps: Int, of name: String? = nil) {
    state.withLock { $0 = State(remaining: steps + 1, name: name) }
  }

  func restore() { state.withLock { $0 = State() } }

  /// The steps that were done since `cut`.
  var steps: Int { state.withLock(\.steps) }
  var isCut: Bool { state.withLock(\.isOff) }

  func reach(_ step: String) throws(StorageError) {
    let isOff = state.withLock { state in
      if let remaining = state.remaining, remaining > 0, state.name ?? step == step { state.remaining = remaining - 1 }
      if !state.isOff { state.steps += 1 }
      return state.isOff
    }
    if isOff { throw StorageError(.failed, "The power is off.") }
  }
}
