import NIOHTTP1
public import PumiceModel

/// A node's agent, over HTTP.
///
/// A node that is away gives `unavailable`, one that does not answer in time `timeout`; what it did then is not known.
public struct NodeClient: LoggingNodeAPI {
  private let transport: HTTPTransport
  private let peer: HTTPTransport.Peer

  /// - Parameters:
  ///   - address: Where the agent listens, such as `http://10.0.0.7:9776`.
  ///   - deadline: How long one call may take.
  public init(
    _ name: NodeName, at address: String, token: String, transport: HTTPTransport, deadline: Duration = .seconds(30)
  ) {
    self.transport = transport
    peer = HTTPTransport.Peer(
      name: "node \(name)", address: address.withoutTrailingSlash, token: token, deadline: deadline)
  }

  public func report() async throws(StorageError) -> NodeReport {
    try await transport.get("/v1/node", of: peer, as: NodeReport.self)
  }

  public func inventory() async throws(StorageError) -> Inventory {
    try await transport.get("/v1/inventory", of: peer, as: Inventory.self)
  }

  public func ensureVolume(_ id: VolumeID, _ request: VolumeRequest) async throws(StorageError) -> Progress {
    try await transport.send(.PUT, "/v1/volumes/\(id)", request, to: peer, expecting: Progress.self)
  }

  public func removeVolume(_ id: VolumeID, _ request: VolumeRemoval) async throws(StorageError) -> Progress {
    try await transport.send(.DELETE, "/v1/volumes/\(id)", request, to: peer, expecting: Progress.self)
  }

  public func revertVolume(_ id: VolumeID, _ request: RevertRequest) async throws(StorageError) -> Progress {
    try await transport.send(.PUT, "/v1/volumes/\(id)/revert", request, to: peer, expecting: Progress.self)
  }

  public func ensureSnapshot(_ id: SnapshotID, _ request: SnapshotRequest) async throws(StorageError) -> Progress {
    try await transport.send(.PUT, "/v1/snapshots/\(id)", request, to: peer, expecting: Progress.self)
  }

  public func removeSnapshot(_ id: SnapshotID, _ request: SnapshotRemoval) async throws(StorageError) -> Progress {
    try await transport.send(.DELETE, "/v1/snapshots/\(id)", request, to: peer, expecting: Progress.self)
  }

  public func ensureExport(_ id: AttachmentID, _ request: ExportRequest) async throws(StorageError) -> ExportedTarget {
    try await transport.send(.PUT, "/v1/exports/\(id)", request, to: peer, expecting: ExportedTarget.self)
  }

  public func removeExport(_ id: AttachmentID, _ request: ExportRemoval) async throws(StorageError) {
    try await transport.send(.DELETE, "/v1/exports/\(id)", request, to: peer)
  }

  public func ensureConnection(
    _ id: AttachmentID, _ request: ConnectionRequest
  ) async throws(StorageError) -> ConnectedDisk {
    try await transport.send(.PUT, "/v1/connections/\(id)", request, to: peer, expecting: ConnectedDisk.self)
  }

  public func removeConnection(_ id: AttachmentID, _ request: ConnectionRemoval) async throws(StorageError) {
    try await transport.send(.DELETE, "/v1/connections/\(id)", request, to: peer)
  }

  public func freezeInstance(_ id: InstanceID, _ request: FreezeRequest) async throws(StorageError) -> FreezeAnswer {
    try await transport.send(.PUT, "/v1/instances/\(id)/quiescence", request, to: peer, expecting: FreezeAnswer.self)
  }

  public func thawInstance(_ id: InstanceID, _ request: ThawRequest) async throws(StorageError) -> ThawAnswer {
    try await transport.send(.DELETE, "/v1/instances/\(id)/quiescence", request, to: peer, expecting: ThawAnswer.self)
  }

  public func logSetting() async throws(StorageError) -> LogSetting {
    try await transport.get("/v1/log", of: peer, as: LogSetting.self)
  }

  public func setLog(_ setting: LogSetting) async throws(StorageError) {
    try await transport.send(.PUT, "/v1/log", setting, to: peer)
  }
}

/// Finds agents by the address that they reported, all behind one token.
public struct HTTPNodeDirectory: NodeDirectory {
  private let transport: HTTPTransport
  private let token: String
  private let deadline: Duration

  public init(token: String, transport: HTTPTransport, deadline: Duration = .seconds(30)) {
    self.transport = transport
    self.token = token
    self.deadline = deadline
  }

  public func node(_ name: NodeName, at address: String) -> any NodeAPI {
    NodeClient(name, at: address, token: token, transport: transport, deadline: deadline)
  }
}

extension String {
  var withoutTrailingSlash: String { hasSuffix("/") ? String(dropLast()) : self }
}
