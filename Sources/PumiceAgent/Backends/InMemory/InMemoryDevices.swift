public import PumiceModel

/// The volumes of an `InMemoryBackend` as devices of their node, such as those of LVM are: they have to be activated, and
/// instances of the node can have them without a target.
public struct InMemoryDevices: ForwardingBackend, ActivatingBackend {
  private let volumes: InMemoryBackend

  /// Steps of its own for the backend's `fault`: `activate`, `activate.done`, `deactivate`, `deactivate.done`.
  public init(_ volumes: InMemoryBackend) { self.volumes = volumes }

  public var name: String { volumes.name }
  public var backend: any VolumeBackend { volumes }

  public func pools() async -> [PoolReport] { await volumes.pools() }

  public func activate(_ id: VolumeID, pool: String) async throws(StorageError) {
    try await volumes.reach("activate")
    try volumes.require(pool: pool)
    guard volumes.disk.setActive(id, true) else {
      throw StorageError(.notFound, "Volume \(id) can't be activated: it is not on pool \(pool).")
    }
    try await volumes.reach("activate.done")
  }

  public func deactivate(_ id: VolumeID, pool: String) async throws(StorageError) {
    try await volumes.reach("deactivate")
    volumes.disk.setActive(id, false)
    try await volumes.reach("deactivate.done")
  }
}
