import Foundation

/// A disk between a volume group and /dev/ubdb, which fails when it is told to.
struct FailingDisk: Sendable {
  enum State {
    case healthy
    /// Neither reads nor writes work.
    case dead
    /// Reads work, writes don't.
    case readOnly
    /// Each block takes a minute.
    case hanging
  }

  static let path = "/dev/mapper/failing"

  /// Lends a volume group on one.
  static func with(_ body: (FailingDisk, VolumeGroupOfATest) async throws -> Void) async throws {
    try await sh("modprobe -a dm-flakey dm-delay; dmsetup remove --force failing 2>/dev/null; true")
    let disk = FailingDisk()
    try await sh("dmsetup create failing --table '\(disk.table(.healthy))' && udevadm settle")
    do {
      try await VolumeGroupOfATest.with("vgt", disks: [path]) { group in
        do {
          try await body(disk, group)
        } catch {
          try await disk.become(.healthy)
          throw error
        }
      }
    } catch {
      try await sh("dmsetup remove --retry failing")
      throw error
    }
    try await sh("dmsetup remove --retry failing")
  }

  func become(_ state: State) async throws {
    try await sh(
      """
      dmsetup suspend --noflush --nolockfs failing && dmsetup load failing --table '\(table(state))' &&
      dmsetup resume --noudevsync failing
      """)
  }

  private func table(_ state: State) -> String {
    // In sectors; /dev/ubdb has 4 GiB. It begins later, or LVM would find each physical volume twice.
    let (start, sectors) = (2048, 4000 * 2048)
    return switch state {
    case .healthy: "0 \(sectors) linear /dev/ubdb \(start)"
    case .dead: "0 \(sectors) error"
    case .readOnly: "0 \(sectors) flakey /dev/ubdb \(start) 0 3600 1 error_writes"
    case .hanging: "0 \(sectors) delay /dev/ubdb \(start) 60000"
    }
  }
}
