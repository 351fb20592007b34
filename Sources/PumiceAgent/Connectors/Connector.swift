public import PumiceModel
public import PumiceWire

/// Turns an exported target into a disk that a hypervisor can plug: the port between network and domain XML.
///
/// | driver               | kind         | the disk is                                          |
/// |----------------------|--------------|------------------------------------------------------|
/// | `QEMUISCSIConnector` | `iscsi-qemu` | `<disk type='network'>`, QEMU's libiscsi logs in      |
/// | `KernelISCSIConnector` | `iscsi-kernel` | `<disk type='block'>`, open-iscsi logs in         |
/// | `NFSMountConnector`  | `nfs-mount`  | files below a share that the kernel has mounted       |
/// | `InMemoryConnector`  | `memory`     | a name in `InMemoryFabric`                            |
///
/// `ConnectorConformance` holds a driver to what stands here.
public protocol Connector: Sendable {
  /// How this node reaches targets; part of the node's report.
  var description: ConnectorDescription { get }

  /// When it returns, the target has let this node in and the disk behind it is the volume: its serial is the volume's
  /// id and it has at least `size`. Throws `wrongDevice` when another disk answered. Harmless when repeated.
  func connect(_ attachment: AttachmentID, _ request: ConnectionRequest) async throws(StorageError) -> DiskSource

  /// Undoes `connect`: nothing on this node holds the target any more. Content when nothing was there.
  func disconnect(_ attachment: AttachmentID) async throws(StorageError)
}

/// A connector whose disks are devices of this node, or files below its mounts: they outlive the agent, and a reboot takes
/// them away.
public protocol DeviceConnector: Connector {
  /// What it has made on this node and `isWanted` knows no attachment for, and what stands in the way of its disks. It asks
  /// only after it has looked, so that what was made meanwhile is known by then.
  func leftovers(
    unless isWanted: @Sendable (AttachmentID) -> Bool
  ) async throws(StorageError) -> [Inventory.Leftover]
}

/// What a hypervisor puts into a disk's `<source>`.
public enum DiskSource: Sendable, Equatable {
  /// QEMU logs in by itself, as `initiator`, with the secret that the hypervisor keeps for this attachment.
  case iscsi(portal: String, iqn: String, lun: Int, initiator: String, chapUser: String, chapSecret: String)
  /// A block device of this node.
  case block(path: String)
  /// Image files, one behind the other.
  case image(DiskImage)
  /// A name only the in-memory drivers know.
  case memory(String)
}
