public import PumiceModel

extension Guest {
  /// A disk as the guest's own `lsblk` shows it.
  public struct Disk: Sendable, Equatable {
    public let name: String
    public let size: ByteCount
    /// virtio-blk shows the first 20 characters of the volume's id.
    public let serial: String
    /// The whole line, for people.
    public let line: String
  }

  /// What `lsblk` says in the guest.
  public func disks() async throws -> [Disk] {
    let output = try await run("lsblk --bytes --nodeps --noheadings --output NAME,SIZE,SERIAL")
    return output.split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ")
      guard words.count >= 2, let size = Int64(words[1]) else { return nil }
      return Disk(
        name: String(words[0]), size: ByteCount(size), serial: words.count > 2 ? String(words[2]) : "",
        line: String(line))
    }
  }

  /// The disk that carries the volume's id as its serial number, or `nil`.
  public func disk(of volume: VolumeID) async throws -> Disk? {
    try await disks().first { !$0.serial.isEmpty && volume.description.hasPrefix($0.serial) }
  }

  /// Returns when the guest sees the volume with this size, and with its id as serial number.
  public func waitForDisk(
    of volume: VolumeID, size: ByteCount, within deadline: Duration = .seconds(60)
  ) async throws -> Disk {
    try await eventually("\(name) sees volume \(volume) with \(size)", within: deadline, every: .milliseconds(100)) {
      try await disk(of: volume).flatMap { $0.size == size ? $0 : nil }
    }
  }

  /// Returns when the guest does not see the volume any more.
  public func waitUntilUnplugged(_ volume: VolumeID, within deadline: Duration = .seconds(60)) async throws {
    try await eventually("volume \(volume) is gone from \(name)", within: deadline, every: .milliseconds(100)) {
      try await disk(of: volume) == nil
    }
  }

  /// The guest's own view of one disk, as it prints it: name, size and serial.
  public func lsblk(_ disk: Disk) async throws -> String {
    try await run("lsblk --nodeps --output NAME,SIZE,SERIAL /dev/\(disk.name)")
  }

  /// Writes random bytes, durably, and returns the sha256 that they had before they were written.
  public func writeRandom(_ size: ByteCount, to disk: Disk, at offset: ByteCount = .zero) async throws -> String {
    let megabytes = size.bytes >> 20
    precondition(megabytes << 20 == size.bytes && offset.bytes & 0xFFFFF == 0, "whole mebibytes only")
    let file = "/tmp/random-\(disk.name)"
    let output = try await run(
      """
      set -e
      dd if=/dev/urandom of=\(file) bs=1M count=\(megabytes) 2>/dev/null
      dd if=\(file) of=/dev/\(disk.name) bs=1M seek=\(offset.bytes >> 20) conv=fsync,notrunc 2>/dev/null
      sha256sum <\(file)
      rm \(file)
      """, within: .seconds(120))
    return String(output.prefix(64))
  }

  /// The sha256 of a part of the disk, read past the guest's own cache.
  public func sha256(of disk: Disk, count: ByteCount, at offset: ByteCount = .zero) async throws -> String {
    let output = try await run(
      """
      echo 3 >/proc/sys/vm/drop_caches
      dd if=/dev/\(disk.name) bs=1M skip=\(offset.bytes >> 20) count=\(count.bytes >> 20) 2>/dev/null | sha256sum
      """, within: .seconds(120))
    return String(output.prefix(64))
  }
}
