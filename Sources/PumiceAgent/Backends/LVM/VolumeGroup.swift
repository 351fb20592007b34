import PumiceModel

/// A volume group and all that is in it, as of one moment.
struct VolumeGroup: Sendable, Equatable {
  var name: String
  var uuid: String
  var size: ByteCount
  var free: ByteCount
  var extentSize: ByteCount
  /// What is left of the room for metadata on each physical volume.
  var metadataFree: ByteCount
  var metadataSize: ByteCount
  /// Why nothing can be changed in it, such as a system id of another host.
  var obstacle: String?
  var physicalVolumes: [PhysicalVolume]
  /// By name, hidden ones included.
  var logicalVolumes: [String: LogicalVolume]

  subscript(_ name: LVMName) -> LogicalVolume? { logicalVolumes[name.description] }
  subscript(_ name: String) -> LogicalVolume? { logicalVolumes[name] }

  func extents(for size: ByteCount) -> Int64 {
    size.bytes / extentSize.bytes + (size.bytes % extentSize.bytes == 0 ? 0 : 1)
  }

  /// The least size of a logical volume that holds so many bytes.
  func roundedUp(_ size: ByteCount) -> ByteCount {
    let (bytes, overflow) = extents(for: size).multipliedReportingOverflow(by: extentSize.bytes)
    return ByteCount(overflow ? .max : bytes)
  }

  /// Where the kernel has an active logical volume: stable, and there without udev's help. device-mapper doubles hyphens.
  func path(of name: String) -> String { "/dev/mapper/\(Self.mangled(self.name))-\(Self.mangled(name))" }

  static func mangled(_ name: String) -> String {
    name.split(separator: "-", omittingEmptySubsequences: false).joined(separator: "--")
  }

  /// The thick snapshots of a volume, those being merged included.
  func thickSnapshots(of name: String) -> [LogicalVolume] {
    logicalVolumes.values.filter { $0.origin == name && $0.kind == .thickSnapshot }.sorted { $0.name < $1.name }
  }
}
