import PumiceModel

/// What the kernel shows of iSCSI sessions, their units and device maps: one look, as a value.
struct KernelView: Sendable, Equatable {
  var sessions: [KernelSession] = []
  var maps: [DeviceMap] = []
  /// Every SCSI disk, of whatever origin.
  var disks: [SCSIDisk] = []

  func map(named name: String) -> DeviceMap? { maps.first { $0.name == name } }

  /// The multipath map that has taken a disk.
  func multipathMap(over disk: SCSIDisk) -> DeviceMap? {
    disk.holders.lazy.compactMap { map(named: $0) }.first { $0.isMultipath }
  }
}

/// A login of this machine to a target, as `/sys/class/iscsi_session` shows it.
struct KernelSession: Sendable, Equatable {
  /// The N of `sessionN`; another one for each login until the machine starts anew.
  var number: Int
  /// The SCSI host that stands for it; iscsi_tcp makes one per session.
  var host: Int
  var target: String
  var initiator: String
  /// The name of the interface record under which open-iscsi logged in.
  var interface: String
  /// `LOGGED_IN`, `FAILED` or `FREE`.
  var state: String
  /// As it was asked for, not as it was resolved.
  var portal: ISCSIPortal?
  var units: [SCSIUnit] = []

  var name: String { "session\(number)" }
  var isLoggedIn: Bool { state == "LOGGED_IN" }
  var attachment: AttachmentID? { NodeRecord.attachment(ofInterface: interface) }
  var disks: [SCSIDisk] { units.compactMap(\.disk) }

  /// iSCSI names are compared without regard to case (RFC 3722).
  func leads(to target: String, at portal: ISCSIPortal) -> Bool {
    self.target.lowercased() == target.lowercased() && self.portal == portal
  }
}

/// A logical unit that the kernel has found behind a session.
struct SCSIUnit: Sendable, Equatable {
  /// `host:channel:target:lun`, its name in `/sys/class/scsi_device`.
  var address: String
  var lun: Int
  /// `running`, `blocked`, `offline`, `transport-offline` …
  var state: String
  /// `nil` for a unit that is no disk, or not yet.
  var disk: SCSIDisk?
}

struct SCSIDisk: Sendable, Equatable {
  /// Such as `sdb`; another disk may bear it after this one has gone.
  var name: String
  /// `major:minor`.
  var number: String
  /// `major:minor` of each.
  var partitions: [String] = []
  var size: ByteCount
  /// Such as `dm-3`: block devices that are built on this one.
  var holders: [String]
  /// As the kernel read it when it found the disk; `nil` where it has none.
  var serial: String?
  /// The N of the session behind it, whether that still stands or not.
  var session: Int?
}

/// A device-mapper device.
struct DeviceMap: Sendable, Equatable {
  /// `dm-N`.
  var name: String
  /// What dmsetup calls it.
  var label: String
  var uuid: String
  var number: String
  var size: ByteCount
  var parts: [String]
  var holders: [String]

  /// multipathd's maps have `mpath-` and the disk's WWID as their uuid.
  var isMultipath: Bool { uuid.hasPrefix("mpath-") }
  /// kpartx makes one for each partition that it finds on a multipath map; it goes with that unless somebody uses it.
  var isPartitionOfMultipath: Bool { uuid.wholeMatch(of: /part\d+-mpath-.*/) != nil }
}

/// Where a target listens.
struct ISCSIPortal: Sendable, Hashable, CustomStringConvertible {
  /// A name or an address, IPv6 without brackets.
  let host: String
  let port: Int

  /// Reads `host:port`, IPv6 in brackets. Throws `invalid` for what can't stand in a file name or an argument.
  init(_ text: String) throws(StorageError) {
    (host, port) = try DiskLocation.split(portal: text)
    let isPlain = host.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "%"): true
      case UInt8(ascii: "-"): true
      default: false
      }
    }
    guard isPlain, !host.hasPrefix("-"), !host.hasPrefix("."), host.utf8.count <= 255 else {
      throw .invalid("portal", "must be a name or an address with a port, not \"\(text)\".")
    }
  }

  init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

  static func == (left: Self, right: Self) -> Bool {
    left.port == right.port && left.host.lowercased() == right.host.lowercased()
  }

  func hash(into hasher: inout Hasher) {
    hasher.combine(host.lowercased())
    hasher.combine(port)
  }
}
