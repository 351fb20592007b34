public import Logging
public import PumiceModel

/// Lets the kernel log in, through open-iscsi, so that an instance gets a block device of this node.
///
/// What it makes is found again by its names, so it keeps no records: an attachment's sessions and node records bear the
/// interface name `pumice-<attachment>`, its disk the link `<links>/<attachment>`. Devices are looked for in sysfs only,
/// below those sessions; udev is not waited for. Each attachment logs in under an initiator name of its own.
///
/// With several portals and a running multipathd, each portal is logged in to and the disk is the multipath map; without
/// multipathd it is the way through the first portal that answers.
public struct KernelISCSIConnector: Connector {
  /// Where on this machine it finds and makes things.
  struct Places: Sendable {
    var sysfs = Sysfs()
    var devices = "/dev"
    var database = NodeDatabase(root: NodeDatabase.standardRoot)
    var links = DeviceLinks<Attachment>(folder: "/run/pumice/disks")
  }

  public let description: ConnectorDescription
  let places: Places
  let admin: ISCSIAdmin
  let multipath = Multipath()
  let logger: Logger
  /// Held per target, by its name in lower case: attachments of different volumes don't wait for each other.
  let locks = KeyedLock<String>()

  /// - Parameter initiator: The first part of this node's initiator names, such as `iqn.2026-11.io.pumice:node-1`.
  public init(initiator: String, logger: Logger) {
    self.init(initiator: initiator, places: Places(), logger: logger)
  }

  init(initiator: String, places: Places, admin: ISCSIAdmin = ISCSIAdmin(), logger: Logger) {
    self.places = places
    self.admin = admin
    self.logger = logger
    description = ConnectorDescription(
      kind: "iscsi-kernel", protocolName: "iSCSI", initiator: initiator, namesInitiatorPerAttachment: true,
      authenticatesTargets: true)
  }

  // MARK: What is there

  /// The attachment's sessions, with their disks and what is built on those.
  func look(for attachment: AttachmentID) async throws(StorageError) -> KernelView {
    let sysfs = places.sysfs
    return try await BlockingCalls.run { () throws(StorageError) in KernelView(reading: sysfs, of: attachment) }
  }

  func session(_ number: Int) async throws(StorageError) -> KernelSession? {
    let sysfs = places.sysfs
    return try await BlockingCalls.run { () throws(StorageError) in KernelSession("session\(number)", sysfs) }
  }

  func entries(of attachment: AttachmentID) async throws(StorageError) -> [NodeDatabase.Entry] {
    let database = places.database
    return try await BlockingCalls.run { () throws(StorageError) in
      database.entries().filter { $0.attachment == attachment }
    }
  }

  /// Looks until there is something to see, with growing pauses, for about as long as `limit`.
  func wait<Value>(
    _ limit: Duration, for look: () async throws(StorageError) -> Value?
  ) async throws(StorageError) -> Value? {
    let end = ContinuousClock.now + limit
    var pause = Duration.milliseconds(10)
    while true {
      if let value = try await look() { return value }
      guard ContinuousClock.now < end else { return nil }
      do { try await Task.sleep(for: pause) } catch { throw StorageError.wrap(error, "Waiting for a device") }
      pause = min(pause * 2, .milliseconds(250))
    }
  }

  func device(_ name: String) -> BlockDevice { BlockDevice(path: "\(places.devices)/\(name)") }
}
