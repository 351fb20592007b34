import PumiceModel
import PumiceWire

/// Volumes for instances of their own node: the instance has the device itself, and no target is in between.
///
/// The record of the export is there as for any other: it says who may use the volume, keeps it active over a restart, and
/// keeps it from being removed. Plugging and withdrawing exclude each other, so that a volume that was withdrawn is in no
/// instance of this node.
extension NodeService {
  func requireLocal(_ request: ExportRequest, _ backend: any VolumeBackend) throws(StorageError) {
    guard request.initiator == drivers.local?.initiator, backend is any ActivatingBackend, !request.readOnly else {
      throw StorageError(
        .unsupported,
        "Volume \(request.volume) can't be used by \(request.initiator) without a target: only instances of node "
          + "\(identity.name) can, and only volumes that are devices, to write to.")
    }
  }

  /// The device, if the volume is on record for this attachment. Inside the volume's lock.
  func localSource(of record: ConnectionRecord) throws(StorageError) -> DiskSource {
    guard let export = exports.record(of: record.attachment), !export.isLeaving, export.export.isLocal,
      export.export.volume == record.request.volume
    else {
      throw StorageError(
        .conflict,
        "Volume \(record.request.volume) is not there for attachment \(record.attachment): it has to be exported first."
      )
    }
    return .block(path: export.export.path)
  }

  /// Throws `inUse` while an instance has the disk. Inside the volume's lock.
  func requireUnplugged(_ export: Export) async throws(StorageError) {
    guard let disk = try await drivers.hypervisor?.disks().first(where: { $0.attachment == export.attachment }) else {
      return
    }
    throw StorageError(
      .inUse, "Volume \(export.volume) can't be withdrawn: instance \(disk.instance) has it as \(disk.device).")
  }
}

extension ExportRequest {
  var isLocal: Bool { ConnectorDescription.isLocal(initiator) }
}

extension ExportedTarget {
  var isLocal: Bool { protocolName == ConnectorDescription.localProtocol }
}

extension Export {
  /// What is answered in place of a target. The path is not in it: the node asks its own records for that.
  var localTarget: ExportedTarget {
    let name = ConnectorDescription.localProtocol
    return ExportedTarget(
      protocolName: name, portals: [name], iqn: name, lun: 0, initiator: initiator, chapUser: chapUser,
      chapSecret: chapSecret)
  }
}
