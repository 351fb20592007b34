public import PumiceModel

/// What a node is made of: the drivers behind the ports.
public struct NodeDrivers: Sendable {
  /// Each with a name of its own.
  public var backends: [any VolumeBackend]
  /// `nil` on a node that exports nothing.
  public var exporter: (any TargetExporter)?
  /// `nil` on a node that runs no instances; so is `connector` then.
  public var hypervisor: (any Hypervisor)?
  public var connector: (any Connector)?
  /// How instances of this node use devices of this node; `nil` where they can't.
  public var local: ConnectorDescription?

  public init(
    backends: [any VolumeBackend] = [], exporter: (any TargetExporter)? = nil, hypervisor: (any Hypervisor)? = nil,
    connector: (any Connector)? = nil, local: ConnectorDescription? = nil
  ) {
    self.backends = backends
    self.exporter = exporter
    self.hypervisor = hypervisor
    self.connector = connector
    self.local = local
  }
}
