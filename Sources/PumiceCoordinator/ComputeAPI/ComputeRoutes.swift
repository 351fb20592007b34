import HTTPTypes
import HashTreeCollections
import Hummingbird
import PumiceModel

/// The part of Nova's Compute API v2.1 that attaching volumes needs: servers, and their volumes.
///
/// A server is a libvirt domain that an agent reports. Domains belong to no project, so every caller sees all of them, and
/// only the caller's own volumes on them.
struct ComputeRoutes {
  /// Up to 2.89, the last that changed how volumes are attached.
  static let versions = APIVersions(service: "compute", least: Microversion(2, 1), greatest: Microversion(2, 89))

  let api: CoordinatorAPI

  func add(to router: Router<APIContext>, noting list: RouteList) {
    let api = api
    router.get("compute") { request, _ in try Response.json(["versions": [Self.document(request, api)]]) }
    router.get("compute/v2.1") { request, _ in try Response.json(["version": Self.document(request, api)]) }
    let routes = Routes(
      api: api, versions: Self.versions, under: ["compute/v2.1", "compute/v2.1/:project_id"], of: router, noting: list)
    addServers(to: routes)
    addVolumeAttachments(to: routes)
    addFlavors(to: routes)
    addLimits(to: routes)
    addZones(to: routes)
    addExternalEvents(to: routes)
  }

  private static func document(_ request: Request, _ api: CoordinatorAPI) -> VersionResource {
    VersionResource(
      id: "v2.1", version: "\(versions.greatest)", minimum: "\(versions.least)",
      links: [Link(rel: "self", href: "\(Call.baseURL(of: request, api: api))/compute/v2.1/")],
      mediaType: "application/vnd.openstack.compute+json;version=2.1")
  }
}

extension Call {
  /// The instance in the path, if an agent reports it.
  func instanceInPath() throws -> InstanceOnNode {
    let id: InstanceID = try id("server", ofA: "Instance")
    guard let instance = tables.instances()[id] else {
      throw StorageError(.notFound, "Instance \(id) could not be found.")
    }
    return instance
  }
}

/// An instance, and the node that runs it.
struct InstanceOnNode: Sendable {
  let instance: Instance
  let node: Node
  let reportedAt: Timestamp
}

extension Tables {
  /// Every instance once: where several nodes report one, by that on which it is not shut off.
  func instances() -> [InstanceID: InstanceOnNode] {
    var found: [InstanceID: InstanceOnNode] = [:]
    for (name, observation) in observations {
      guard let node = nodes[name], !node.isLost else { continue }
      for instance in observation.report.instances {
        if let other = found[instance.id], other.instance.status != .shutOff || instance.status == .shutOff { continue }
        found[instance.id] = InstanceOnNode(instance: instance, node: node, reportedAt: observation.receivedAt)
      }
    }
    return found
  }
}
