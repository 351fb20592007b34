import PumiceModel

extension KernelView {
  /// Reads it from sysfs, which asks no target and no daemon. What goes away meanwhile is left out.
  ///
  /// See the kernel's `drivers/scsi/scsi_transport_iscsi.c` and `Documentation/ABI/testing/sysfs-block`.
  init(reading sysfs: Sysfs) {
    sessions = KernelSession.names(sysfs).compactMap { KernelSession($0, sysfs) }
    disks = sysfs.names(in: "block").filter { $0.hasPrefix("sd") }.compactMap { SCSIDisk($0, sysfs) }
    maps = sysfs.names(in: "block").filter { $0.hasPrefix("dm-") }.compactMap { DeviceMap($0, sysfs) }
  }

  /// Reads only the sessions of one attachment, with their disks and what is built on those: a node may have hundreds.
  init(reading sysfs: Sysfs, of attachment: AttachmentID) {
    let interface = NodeRecord.interface(of: attachment)
    sessions = KernelSession.names(sysfs)
      .filter { sysfs.text("class/iscsi_session/\($0)/ifacename") == interface }
      .compactMap { KernelSession($0, sysfs) }
    disks = sessions.flatMap(\.disks)
    maps = Set(disks.flatMap(\.holders)).sorted().compactMap { DeviceMap($0, sysfs) }
  }
}

extension KernelSession {
  /// In the order in which they were made.
  fileprivate static func names(_ sysfs: Sysfs) -> [String] {
    sysfs.names(in: "class/iscsi_session").compactMap { number($0, after: "session") }.sorted().map { "session\($0)" }
  }

  init?(_ name: String, _ sysfs: Sysfs) {
    let folder = "class/iscsi_session/\(name)"
    guard let number = Self.number(name, after: "session"), let target = sysfs.text("\(folder)/targetname"),
      let device = sysfs.destination(of: "\(folder)/device"),
      let host = device.split(separator: "/").lazy.compactMap({ Self.number(String($0), after: "host") }).first
    else { return nil }
    self.init(
      number: number, host: host, target: target, initiator: sysfs.text("\(folder)/initiatorname") ?? "",
      interface: sysfs.text("\(folder)/ifacename") ?? "", state: sysfs.text("\(folder)/state") ?? "",
      portal: Self.portal(number, sysfs))
    for target in sysfs.names(in: "\(folder)/device") where target.hasPrefix("target") {
      for address in sysfs.names(in: "\(folder)/device/\(target)") {
        guard let unit = SCSIUnit(address, in: "\(folder)/device/\(target)/\(address)", sysfs) else { continue }
        units.append(unit)
      }
    }
  }

  private static func portal(_ number: Int, _ sysfs: Sysfs) -> ISCSIPortal? {
    let folder = "class/iscsi_connection/connection\(number):0"
    guard let host = sysfs.text("\(folder)/persistent_address"),
      let port = sysfs.number("\(folder)/persistent_port")
    else { return nil }
    return ISCSIPortal(host: host, port: Int(port))
  }

  fileprivate static func number(_ name: String, after prefix: String) -> Int? {
    name.hasPrefix(prefix) ? Int(name.dropFirst(prefix.count)) : nil
  }
}

extension SCSIUnit {
  fileprivate init?(_ address: String, in folder: String, _ sysfs: Sysfs) {
    let parts = address.split(separator: ":")
    guard parts.count == 4, let lun = Int(parts[3]), let state = sysfs.text("\(folder)/state") else { return nil }
    self.init(
      address: address, lun: lun, state: state,
      disk: sysfs.names(in: "\(folder)/block").first.flatMap { SCSIDisk($0, sysfs) })
  }
}

extension SCSIDisk {
  init?(_ name: String, _ sysfs: Sysfs) {
    guard let number = sysfs.text("block/\(name)/dev"), let sectors = sysfs.number("block/\(name)/size") else {
      return nil
    }
    let path = sysfs.destination(of: "block/\(name)")?.split(separator: "/") ?? []
    let partitions = sysfs.names(in: "block/\(name)").filter { $0.hasPrefix(name) }
    self.init(
      name: name, number: number, partitions: partitions.compactMap { sysfs.text("block/\(name)/\($0)/dev") },
      size: ByteCount(sectors * 512), holders: sysfs.names(in: "block/\(name)/holders"),
      serial: sysfs.bytes("block/\(name)/device/vpd_pg80").flatMap { UnitSerialPage($0)?.serial },
      session: path.lazy.compactMap { KernelSession.number(String($0), after: "session") }.first)
  }
}

extension DeviceMap {
  /// `nil` for what is no device map.
  init?(_ name: String, _ sysfs: Sysfs) {
    let folder = "block/\(name)"
    guard let number = sysfs.text("\(folder)/dev"), let uuid = sysfs.text("\(folder)/dm/uuid") else { return nil }
    self.init(
      name: name, label: sysfs.text("\(folder)/dm/name") ?? "", uuid: uuid, number: number,
      size: ByteCount((sysfs.number("\(folder)/size") ?? 0) * 512), parts: sysfs.names(in: "\(folder)/slaves"),
      holders: sysfs.names(in: "\(folder)/holders"))
  }
}

/// The answer to an INQUIRY for page 0x80, the unit's serial number (SPC-4, 7.8.15).
struct UnitSerialPage: Sendable, Equatable {
  let serial: String

  /// `nil` for what is another page, or cut off.
  init?(_ bytes: [UInt8]) {
    guard bytes.count >= 4, bytes[1] == 0x80 else { return nil }
    let length = Int(bytes[2]) << 8 | Int(bytes[3])
    guard bytes.count >= 4 + length else { return nil }
    let isPadding: (UInt8) -> Bool = { $0 <= 0x20 }
    let text = bytes[4..<4 + length].drop(while: isPadding).reversed().drop(while: isPadding).reversed()
    serial = String(decoding: text, as: UTF8.self)
  }
}
