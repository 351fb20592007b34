public import PumiceModel
public import PumiceWire

/// Logs in to targets of an `InMemoryFabric`, and stays logged in until `disconnect` or until the target ends it.
public struct InMemoryConnector: Connector {
  /// Awaited with a name before each step that changes something, and after the last: `connect`, `connect.done`,
  /// `disconnect`, `disconnect.done`. To delay, to fail, to crash.
  public typealias Fault = @Sendable (_ step: String) async throws(StorageError) -> Void

  public let description: ConnectorDescription
  private let fabric: InMemoryFabric
  private let fault: Fault?

  /// - Parameter initiator: The first part of this node's initiator names; unique in the fabric.
  public init(fabric: InMemoryFabric, initiator: String, fault: Fault? = nil) {
    self.fabric = fabric
    self.fault = fault
    description = ConnectorDescription(
      kind: "memory", protocolName: "memory", initiator: initiator, namesInitiatorPerAttachment: true)
  }

  public func connect(
    _ attachment: AttachmentID, _ request: ConnectionRequest
  ) async throws(StorageError) -> DiskSource {
    try await reach("connect")
    let portal = try logIn(attachment, request)
    try await reach("connect.done")
    return .memory("\(portal)/\(request.target.iqn)")
  }

  public func disconnect(_ attachment: AttachmentID) async throws(StorageError) {
    try await reach("disconnect")
    fabric.logOut(attachment, initiator: description.initiatorName(for: attachment))
    try await reach("disconnect.done")
  }

  /// The first portal that lets this node in, to the right disk.
  private func logIn(_ attachment: AttachmentID, _ request: ConnectionRequest) throws(StorageError) -> String {
    let target = request.target
    var failure = StorageError(.invalid, "Target \(target.iqn) has no portal.", field: "portals")
    for portal in target.portals {
      do throws(StorageError) {
        let session = InMemoryFabric.Session(
          portal: portal, iqn: target.iqn, initiator: target.initiator, attachment: attachment)
        let disk = try fabric.logIn(session, user: target.chapUser, secret: target.chapSecret)
        if disk.volume == request.volume, disk.size >= request.size { return portal }
        fabric.logOut(attachment, initiator: target.initiator)
        throw StorageError(
          .wrongDevice,
          "The disk behind \(target.iqn) at \(portal) is volume \(disk.volume) with \(disk.size), not volume "
            + "\(request.volume) with \(request.size).")
      } catch {
        if error.code == .wrongDevice { throw error }
        failure = error
      }
    }
    throw failure
  }

  private func reach(_ step: String) async throws(StorageError) {
    if let fault { try await fault(step) }
  }
}
