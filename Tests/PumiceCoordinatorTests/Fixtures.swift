import Foundation
import PumiceCoordinator
import PumiceModel
import Synchronization

extension Timestamp {
  static let start = Timestamp(milliseconds: 1_000_000_000_000)
}

extension PoolName {
  static func make(node: String = "n1", backend: String = "ssd", pool: String = "ssd") -> Self {
    Self(node: node, backend: backend, pool: pool)
  }
}

extension VolumeTypeID {
  /// The type of every volume that a test does not say more about.
  static let standard = VolumeTypeID(high: 1, low: 1)
}

extension VolumeType {
  static func make(
    id: VolumeTypeID = .standard, name: String = VolumeType.defaultName, extraSpecs: [String: String] = [:]
  ) -> Self {
    Self(id: id, name: name, extraSpecs: extraSpecs, createdAt: .start)
  }
}

extension Volume {
  static func make(
    id: VolumeID = .random(), project: ProjectID = "admin", name: String = "", size: ByteCount = .gibibytes(1),
    zone: String? = nil
  ) -> Self {
    Self(
      id: id, project: project, name: name, size: size, type: .standard, availabilityZone: zone, createdAt: .start)
  }
}

extension Snapshot {
  static func make(of volume: Volume, on pool: PoolName = .make(), at moment: Timestamp = .start) -> Self {
    Self(id: .random(), of: volume, on: pool, name: "", createdAt: moment)
  }
}

extension Attachment {
  static func make(volume: VolumeID, instance: InstanceID = .random(), node: NodeName = "n1") -> Self {
    Self(
      id: .random(), volume: volume, project: "admin", instance: instance, node: node, device: nil, createdAt: .start)
  }
}

/// Runs the body with a store that is being served, and ends it afterwards.
func withStore(_ journal: any Journal, _ body: (Store) async throws -> Void) async throws {
  let store = try await Store.open(journal)
  try await withThrowingTaskGroup(of: Void.self) { group in
    group.addTask { try await store.run() }
    try await body(store)
    group.cancelAll()
  }
}

func withTemporaryFolder(_ body: (String) async throws -> Void) async throws {
  let folder = NSTemporaryDirectory() + "pumice-\(UUID().uuidString)"
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(atPath: folder) }
  try await body(folder)
}

final class Counter: Sendable {
  private let count = Mutex(0)

  var value: Int { count.withLock { $0 } }

  func next() -> Int {
    count.withLock { count in
      count += 1
      return count
    }
  }
}

final class Flag: Sendable {
  private let state: Mutex<Bool>

  init(_ value: Bool) { state = Mutex(value) }

  var value: Bool {
    get { state.withLock { $0 } }
    set { state.withLock { $0 = newValue } }
  }
}

/// Holds everybody who waits until it is opened.
final class Gate: Sendable {
  private struct State {
    var isOpen = false
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Mutex(State())

  var isWaitedFor: Bool { state.withLock { !$0.waiting.isEmpty } }

  func wait() async {
    await withCheckedContinuation { continuation in
      let isOpen = state.withLock { state in
        if !state.isOpen { state.waiting.append(continuation) }
        return state.isOpen
      }
      if isOpen { continuation.resume() }
    }
  }

  func open() {
    let waiting = state.withLock { state in
      state.isOpen = true
      defer { state.waiting = [] }
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }
}
