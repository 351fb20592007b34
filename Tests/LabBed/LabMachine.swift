public import TestBed

/// A node of the lab and the product's agent on it.
public struct LabMachine: Sendable {
  public let node: LabNode
  public let agent: NodeAgent
  private let preparation: String

  /// - Parameters:
  ///   - preparation: What is run on the node after each boot, before its agent starts; harmless when repeated.
  ///   - drivers: The lines of its agent's configuration file that say which backends, exporter and hypervisor it has.
  public init(
    _ node: LabNode, coordinator: CoordinatorDaemon, of lab: Lab, reportInterval: Int = 1, preparation: String,
    drivers: String
  ) throws {
    self.node = node
    self.preparation = preparation
    agent = try NodeAgent(
      on: node, coordinator: coordinator, of: lab, reportInterval: reportInterval, drivers: drivers)
  }

  /// Boots it and starts its agent, as systemd would.
  public func start() async throws {
    try await node.start()
    try await node.run(preparation)
    try await agent.daemon.start()
  }

  /// Cuts its power and starts it again.
  public func crash() async throws {
    try await node.powerCut()
    try await start()
  }

  /// What its agent, its console and its kernel have to say.
  public func report() async -> String {
    """
    -- the agent of \(node.name):
    \(agent.daemon.logTail)
    \(await node.report())
    """
  }
}
