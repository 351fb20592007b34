import PumiceModel
import PumiceWire

/// Looks at the disk behind a target before a guest does, with the same library, name and secret as QEMU will.
struct ISCSIProbe: Sendable {
  /// For connection and login at each portal.
  var deadline = Duration.seconds(10)

  /// The first of the target's portals that let this initiator in, to the right disk. Blocking.
  ///
  /// Throws `wrongDevice` when the disk's serial is not the volume's id or it is too small; else what the last portal said.
  func portal(of request: ConnectionRequest) throws(StorageError) -> String {
    var failure = StorageError(.invalid, "Target \(request.target.iqn) has no portal.", field: "portals")
    for portal in request.target.portals {
      do throws(StorageError) {
        try check(request, at: portal)
        return portal
      } catch {
        if error.code == .wrongDevice { throw error }
        failure = error
      }
    }
    throw failure
  }

  private func check(_ request: ConnectionRequest, at portal: String) throws(StorageError) {
    let target = request.target
    let session = try ISCSISession(
      ISCSISession.Address(portal: portal, iqn: target.iqn, lun: target.lun), initiator: target.initiator,
      user: target.chapUser, secret: target.chapSecret, deadline: deadline)
    let disk = "The disk behind \(target.iqn) LUN \(target.lun) at \(portal)"
    guard session.isReady() else { throw StorageError(.unavailable, "\(disk) is not ready.") }
    let serial = try session.unitSerial()
    guard VolumeID(serial) == request.volume else {
      throw StorageError(.wrongDevice, "\(disk) has the serial \"\(serial)\", not that of volume \(request.volume).")
    }
    let size = try session.capacity()
    guard size >= request.size else {
      throw StorageError(.wrongDevice, "\(disk) has \(size) (\(size.bytes) bytes), less than \(request.size).")
    }
  }
}
