/// Where the services are, as a client finds them in its token.
enum Catalog {
  struct Service: Encodable, Sendable {
    struct Endpoint: Encodable, Sendable {
      let id: String
      let interface: String
      let region = Catalog.region
      let regionID = Catalog.region
      let url: String

      enum CodingKeys: String, CodingKey {
        case id, interface, region, url
        case regionID = "region_id"
      }
    }

    let id: String
    let type: String
    let name: String
    let endpoints: [Endpoint]

    init(_ type: String, _ name: String, _ url: String) {
      self.type = type
      self.name = name
      id = "service-\(type)"
      endpoints = ["public", "internal", "admin"].map {
        Endpoint(id: "endpoint-\(type)-\($0)", interface: $0, url: url)
      }
    }
  }

  static let region = "RegionOne"

  /// - Parameter base: Such as `http://host:8776`, where the client reaches this coordinator.
  static func services(base: String, project: String) -> [Service] {
    let project = Query.encoded(project)
    return [
      Service("block-storage", "cinder", "\(base)/v3/\(project)"),
      // What clients from before 2023 look for.
      Service("volumev3", "cinderv3", "\(base)/v3/\(project)"),
      Service("compute", "nova", "\(base)/compute/v2.1"),
      Service("identity", "keystone", "\(base)/identity/v3"),
    ]
  }
}
