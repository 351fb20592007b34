import PumiceModel

/// The bytes of active logical volumes: the port between the backend and the kernel's block devices.
///
/// Each call does a part that takes seconds at most, and throws `timeout` when the device does not move at all; it is then
/// left alone until it does. Ranges are in bytes, and multiples of the device's blocks.
protocol BlockDevices: Sendable {
  /// Whether the logical volume of that path is active and has this size. Then the path can be opened, and leads to it.
  func isReady(_ path: String, size: ByteCount) async -> Bool

  /// Makes the range read as zeros.
  func zero(_ range: Range<Int64>, of path: String) async throws(StorageError)

  /// Gives the range back to the storage below. Throws `unsupported` where that has no use for it.
  func discard(_ range: Range<Int64>, of path: String) async throws(StorageError)

  /// Copies the range to the same place of another device.
  func copy(_ range: Range<Int64>, from source: String, to target: String) async throws(StorageError)

  /// When it returns, what was written is on stable storage.
  func flush(_ path: String) async throws(StorageError)
}
