import Foundation
public import TestBed

/// The product's agent in a node of the lab, straight from the build folder. Its state directory is on the node's own root file
/// system, which survives power cuts.
public struct NodeAgent: Sendable {
  public let daemon: NodeDaemon
  public let name: String
  public let url: String

  /// - Parameter drivers: The lines of its configuration file that say which backends, exporter and hypervisor it has.
  public init(
    on node: LabNode, coordinator: CoordinatorDaemon, of lab: Lab, reportInterval: Int = 1, drivers: String
  ) throws {
    name = node.name
    let address = "\(node.address):9776"
    url = "http://\(address)"
    let configuration = try node.bed.folder.write(
      AgentDaemon.configuration(
        name, address: address, coordinator: coordinator, state: "/var/lib/pumice-agent",
        reportInterval: reportInterval, drivers: drivers),
      to: "\(name).yaml")
    let network = lab.network
    daemon = NodeDaemon(
      "pumice-agent", [try Binaries.path("pumice-agent"), "--config", configuration], on: node
    ) { network.answers(address) }
  }
}
