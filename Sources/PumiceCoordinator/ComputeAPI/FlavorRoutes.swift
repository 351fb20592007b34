import HTTPTypes
import HashTreeCollections
import Hummingbird
import PumiceModel

/// How much of a machine a server has. Domains are of no flavor: there is one for each combination that some server has.
struct Flavor: Hashable {
  let vcpus: Int
  let memory: ByteCount

  init(_ instance: Instance) {
    vcpus = instance.vcpus
    memory = instance.memory
  }

  var id: String { "\(vcpus)x\(mebibytes)MiB" }
  var mebibytes: Int { Int(memory.bytes >> 20) }
}

/// The flavor of a server, in the server: by its id, and since 2.47 by what it is.
struct EmbeddedFlavor: Encodable {
  var id: String?
  var links: [Link]?
  var vcpus: Int?
  var memory: Int?
  var disk: Int?
  var ephemeral: Int?
  var swap: Int?
  var name: String?
  var extraSpecs: [String: String]?

  init(_ flavor: Flavor, _ call: Call) {
    guard call.version >= Microversion(2, 47) else {
      id = flavor.id
      links = call.links(to: "flavors", flavor.id).filter { $0.rel == "bookmark" }
      return
    }
    vcpus = flavor.vcpus
    memory = flavor.mebibytes
    (disk, ephemeral, swap) = (0, 0, 0)
    name = flavor.id
    extraSpecs = [:]
  }

  enum CodingKeys: String, CodingKey {
    case id, links, vcpus, disk, ephemeral, swap
    case memory = "ram"
    case name = "original_name"
    case extraSpecs = "extra_specs"
  }
}

private struct FlavorReference: Encodable {
  let id: String
  let name: String
  let links: [Link]
  /// Since 2.55.
  var description: OrNull<String>?

  init(_ flavor: Flavor, _ call: Call) {
    id = flavor.id
    name = flavor.id
    links = call.links(to: "flavors", flavor.id)
    if call.version >= Microversion(2, 55) { description = OrNull(wrappedValue: nil) }
  }
}

private struct FlavorResource: Encodable {
  let reference: FlavorReference
  let facts: Facts

  /// None, which is an empty text until 2.75.
  struct Swap: Encodable {
    let isNumber: Bool

    func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      if isNumber { try container.encode(0) } else { try container.encode("") }
    }
  }

  struct Facts: Encodable {
    let vcpus: Int
    let memory: Int
    let disk = 0
    let ephemeral = 0
    let isDisabled = false
    let isPublic = true
    let transferFactor = 1.0
    let swap: Swap
    /// Since 2.61.
    var extraSpecs: [String: String]?

    enum CodingKeys: String, CodingKey {
      case vcpus, disk, swap
      case memory = "ram"
      case ephemeral = "OS-FLV-EXT-DATA:ephemeral"
      case isDisabled = "OS-FLV-DISABLED:disabled"
      case isPublic = "os-flavor-access:is_public"
      case transferFactor = "rxtx_factor"
      case extraSpecs = "extra_specs"
    }
  }

  init(_ flavor: Flavor, _ call: Call) {
    reference = FlavorReference(flavor, call)
    var facts = Facts(
      vcpus: flavor.vcpus, memory: flavor.mebibytes, swap: Swap(isNumber: call.version >= Microversion(2, 75)))
    if call.version >= Microversion(2, 61) { facts.extraSpecs = [:] }
    self.facts = facts
  }

  func encode(to encoder: any Encoder) throws {
    try reference.encode(to: encoder)
    try facts.encode(to: encoder)
  }
}

private struct FlavorList<Resource: Encodable>: Encodable {
  let flavors: [Resource]
  var links: [Link]?

  enum CodingKeys: String, CodingKey {
    case flavors
    case links = "flavors_links"
  }
}

extension ComputeRoutes {
  func addFlavors(to routes: Routes) {
    routes.on(.get, "flavors", needs: .readServers) { call in
      let (flavors, links) = try Self.page(call)
      return try Response.json(FlavorList(flavors: flavors.map { FlavorReference($0, call) }, links: links))
    }
    routes.on(.get, "flavors/detail", needs: .readServers) { call in
      let (flavors, links) = try Self.page(call)
      return try Response.json(FlavorList(flavors: flavors.map { FlavorResource($0, call) }, links: links))
    }
    routes.on(.get, "flavors/:id", needs: .readServers) { call in
      try Response.json(["flavor": FlavorResource(try Self.flavorInPath(call), call)])
    }
    addFlavorExtraSpecs(to: routes)
  }

  /// What is more to be known of flavors: nothing. Clients ask for it whenever a flavor comes without.
  func addFlavorExtraSpecs(to routes: Routes) {
    routes.on(.get, "flavors/:id/os-extra_specs", needs: .readServers) { call in
      _ = try Self.flavorInPath(call)
      return try Response.json(["extra_specs": [String: String]()])
    }
    routes.on(.get, "flavors/:id/os-extra_specs/:key", needs: .readServers) { call in
      let flavor = try Self.flavorInPath(call)
      throw StorageError(.notFound, "Flavor \(flavor.id) has no extra spec '\(try call.parameter("key").prefix(64))'.")
    }
  }

  private static func flavorInPath(_ call: Call) throws -> Flavor {
    let id = try call.parameter("id")
    guard let flavor = flavors(call).first(where: { $0.id == id }) else {
      throw StorageError(.notFound, "Flavor \(id.prefix(64)) could not be found.")
    }
    return flavor
  }

  private static func flavors(_ call: Call) -> [Flavor] {
    Set(call.tables.instances().values.map { Flavor($0.instance) })
      .sorted { ($0.vcpus, $0.memory) < ($1.vcpus, $1.memory) }
  }

  /// The flavors that a list is narrowed to. All are public, and have no disk.
  private static func wanted(_ call: Call) throws -> [Flavor] {
    let query = call.query
    if call.version >= Microversion(2, 75) {
      try query.refuseUnknown(
        except: ["is_public", "minDisk", "minRam", "limit", "marker", "sort_key", "sort_dir"])
    }
    let memory = try query.integer("minRam", atLeast: 0) ?? 0
    guard try query.integer("minDisk", atLeast: 0) ?? 0 == 0 else { return [] }
    // For admins alone there are flavors that are not public; `None` is both.
    let isPublic = query["is_public"].flatMap { Bool(openStack: $0) }
    if call.caller.role == .admin, isPublic == false { return [] }
    return try ListSort(flavors: query).applied(to: flavors(call).filter { $0.mebibytes >= memory })
  }

  private static func page(_ call: Call) throws -> ([Flavor], [Link]?) {
    let (slice, hasMore) = try Page(call.query).slice(of: wanted(call), unknownMarker: .invalid) { $0.id }
    return (Array(slice), hasMore ? slice.last.map { [call.nextPage(after: $0.id)] } : nil)
  }
}
