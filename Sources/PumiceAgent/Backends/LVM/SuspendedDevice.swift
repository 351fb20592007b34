/// A device of device-mapper that holds all I/O back.
struct SuspendedDevice: Equatable {
  let name: String
  /// Whether it belongs to a logical volume of ours, or to the pool that holds some.
  let isOurs: Bool

  /// Reads `dmsetup info -c --noheadings --separator '|' -o name,uuid,suspended` (dmsetup(8)).
  ///
  /// The UUID of an LVM device is "LVM-", the UUIDs of group and logical volume without hyphens, and for a part "-" with a
  /// suffix.
  static func list(_ output: String, in group: VolumeGroup) -> [SuspendedDevice] {
    func plain(_ uuid: String) -> String { uuid.filter { $0 != "-" } }
    let pools = Set(group.logicalVolumes.values.filter(\.isOurs).compactMap(\.pool))
    func isOurs(_ volume: LogicalVolume) -> Bool {
      // A pool's parts are called after it: pool_tdata and pool_tmeta.
      volume.isOurs || pools.contains(volume.name)
        || volume.kind == .hidden && pools.contains(where: { volume.name.hasPrefix("\($0)_t") })
    }
    let ours = Set(group.logicalVolumes.values.filter(isOurs).map { plain($0.uuid) })
    let prefix = "LVM-\(plain(group.uuid))"
    return output.split(separator: "\n").compactMap { line in
      let words = line.split(separator: "|", omittingEmptySubsequences: false).map { $0.drop(while: \.isWhitespace) }
      guard words.count == 3, words[1].hasPrefix(prefix), words[2].hasPrefix("Suspended") else { return nil }
      let volume = words[1].dropFirst(prefix.count).prefix(32)
      return SuspendedDevice(name: String(words[0]), isOurs: ours.contains(String(volume)))
    }
  }
}
