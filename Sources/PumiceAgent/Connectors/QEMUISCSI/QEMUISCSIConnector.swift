public import PumiceModel
public import PumiceWire

/// Leaves the login to QEMU's own libiscsi: no kernel part, no session of the node, nothing to clean up.
///
/// Each attachment has an initiator name of its own, so a target can tell the attachments of one node apart. Before a disk
/// goes to a guest, this node logs in once itself and looks at its serial and size.
public struct QEMUISCSIConnector: Connector {
  public let description: ConnectorDescription
  private let probe = ISCSIProbe()

  /// - Parameter initiator: The first part of this node's initiator names, such as `iqn.2026-11.io.pumice:node-1`.
  public init(initiator: String) {
    description = ConnectorDescription(
      kind: "iscsi-qemu", protocolName: "iSCSI", initiator: initiator, namesInitiatorPerAttachment: true)
  }

  public func connect(
    _ attachment: AttachmentID, _ request: ConnectionRequest
  ) async throws(StorageError) -> DiskSource {
    let probe = probe
    let portal = try await BlockingCalls.run { () throws(StorageError) in try probe.portal(of: request) }
    let target = request.target
    return .iscsi(
      portal: portal, iqn: target.iqn, lun: target.lun, initiator: target.initiator, chapUser: target.chapUser,
      chapSecret: target.chapSecret)
  }

  /// Nothing is held outside QEMU.
  public func disconnect(_ attachment: AttachmentID) async throws(StorageError) {}
}
