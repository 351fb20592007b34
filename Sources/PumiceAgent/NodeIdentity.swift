public import PumiceModel

/// Who a node is, as far as its configuration says.
public struct NodeIdentity: Sendable, Equatable {
  public var name: NodeName
  public var version: String
  /// Where the coordinator reaches this agent.
  public var address: String
  public var availabilityZone: String

  public init(
    name: NodeName, version: String = AgentVersion.current, address: String, availabilityZone: String = "nova"
  ) {
    self.name = name
    self.version = version
    self.address = address
    self.availabilityZone = availabilityZone
  }
}

/// The release that this is.
public enum AgentVersion {
  public static let current = "0.1.0"
}
