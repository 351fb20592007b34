import PumiceModel

/// One volume group: what it is, and what changes it. The port between the backend, which decides, and LVM.
///
/// | driver        | speaks to                                   |
/// |---------------|---------------------------------------------|
/// | `LVM`         | the `lvm` program                           |
/// | `InMemoryLVM` | nobody; in the tests, to crash at each step |
protocol LogicalVolumeManager: Sendable {
  /// The group with all that is in it.
  ///
  /// Throws `notFound` when there is none of that name, `unavailable` while somebody else has it locked.
  func group(_ freshness: Freshness) async throws(StorageError) -> VolumeGroup

  /// Runs these one after another, with no other change of the group by this agent in between, up to the first that fails.
  func run(_ commands: LVMCommand...) async throws(StorageError)

  /// Does the work, which makes one slow change, unless that would come to its turn too late: then, after some seconds,
  /// `nil`. For calls that can be asked for again.
  func whenThereIsRoom<Value: Sendable>(
    _ work: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value?

  /// The extents of a plain logical volume, such as "/dev/sda:5-9".
  func extents(of name: String) async throws(StorageError) -> [String]
}

/// How old a group may be.
enum Freshness: Sendable {
  /// Nobody has changed its metadata since; how full pools are, and what is active, may be half a minute old.
  case known
  /// As it is now: read within the last two seconds.
  case live
}

extension LogicalVolumeManager {
  func whenThereIsRoom<Value: Sendable>(
    _ work: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value? {
    try await work()
  }
}
