public import PumiceModel
import PumiceWire

/// What a node is made of: the drivers behind the ports.
public struct NodeDrivers: Sendable {
  /// Each with a name of its own.
  public var backends: [any VolumeBackend]
  /// `nil` on a node that exports nothing.
  public var exporter: (any TargetExporter)?
  /// `nil` on a node that runs no instances; so is `connector` then.
  public var hypervisor: (any Hypervisor)?
  public var connector: (any Connector)?
  /// The same for volumes that are files of shares.
  public var imageConnector: (any Connector)?
  /// How instances of this node use devices of this node; `nil` where they can't.
  public var local: ConnectorDescription?

  public init(
    backends: [any VolumeBackend] = [], exporter: (any TargetExporter)? = nil, hypervisor: (any Hypervisor)? = nil,
    connector: (any Connector)? = nil, imageConnector: (any Connector)? = nil, local: ConnectorDescription? = nil
  ) {
    self.backends = backends
    self.exporter = exporter
    self.hypervisor = hypervisor
    self.connector = connector
    self.imageConnector = imageConnector
    self.local = local
  }

  var connectors: [any Connector] { [connector, imageConnector].compactMap(\.self) }

  /// The one that reaches a target.
  func connector(for target: ExportedTarget) -> (any Connector)? {
    target.image == nil ? connector : imageConnector
  }
}
