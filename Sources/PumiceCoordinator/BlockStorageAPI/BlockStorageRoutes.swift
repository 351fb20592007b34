import HTTPTypes
import Hummingbird

/// The Block Storage API v3, as Cinder's clients know it, with and without the project's id in the URL.
struct BlockStorageRoutes {
  /// Up to 3.70 every change that concerns a resource served here is honoured. 3.71 brings the call by which Nova answers
  /// an online extend; here agents do that themselves, so nobody may be told that it is there.
  static let versions = APIVersions(service: "volume", least: Microversion(3, 0), greatest: Microversion(3, 70))

  let api: CoordinatorAPI

  func add(to router: Router<APIContext>, noting list: RouteList) {
    addVersions(to: router)
    let routes = Routes(
      api: api, versions: Self.versions, under: ["v3", "v3/:project_id"], of: router, noting: list)
    addVolumes(to: routes)
    addVolumeActions(to: routes)
    addSnapshots(to: routes)
    addMetadata(to: routes)
    addTypes(to: routes)
    addExtraSpecs(to: routes)
    addTypeAccess(to: routes)
    addTypeEncryption(to: routes)
    addQoSSpecs(to: routes)
    addTransfers(to: routes)
    addDefaultTypes(to: routes)
    addServiceActions(to: routes)
    addServiceLogs(to: routes)
    addCapabilities(to: routes)
    addClusters(to: routes)
    addGroupTypes(to: routes)
    addGroupSpecs(to: routes)
    addGroups(to: routes)
    addGroupSnapshots(to: routes)
    addQuotas(to: routes)
    addServices(to: routes)
    addHosts(to: routes)
    addPools(to: routes)
    addAttachments(to: routes)
    addExtensions(to: routes)
    addManageable(to: routes)
    addMessages(to: routes)
  }

  private func addVersions(to router: Router<APIContext>) {
    let api = api
    router.get("/") { request, _ in
      try Response.json(Self.document(Call.baseURL(of: request, api: api)), status: .multipleChoices)
    }
    router.get("v3") { request, _ in try Response.json(Self.document(Call.baseURL(of: request, api: api))) }
  }

  private static func document(_ base: String) -> [String: [VersionResource]] {
    [
      "versions": [
        VersionResource(
          id: "v3.0", version: "\(versions.greatest)", minimum: "\(versions.least)",
          links: [
            Link(rel: "describedby", href: "https://docs.openstack.org/", type: "text/html"),
            Link(rel: "self", href: "\(base)/v3/"),
          ],
          mediaType: "application/vnd.openstack.volume+json;version=3")
      ]
    ]
  }
}

/// One entry of a version document.
struct VersionResource: Encodable {
  struct MediaType: Encodable {
    let base = "application/json"
    let type: String
  }

  let id: String
  let status = "CURRENT"
  let version: String
  let minimum: String
  let updated = "2026-11-21T00:00:00Z"
  let links: [Link]
  let mediaTypes: [MediaType]

  init(id: String, version: String, minimum: String, links: [Link], mediaType: String) {
    self.id = id
    self.version = version
    self.minimum = minimum
    self.links = links
    mediaTypes = [MediaType(type: mediaType)]
  }

  enum CodingKeys: String, CodingKey {
    case id, status, version, updated, links
    case minimum = "min_version"
    case mediaTypes = "media-types"
  }
}
