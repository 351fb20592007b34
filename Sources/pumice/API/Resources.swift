/// A view of one JSON object that the API answered.
protocol NamedResource: Sendable {
  var json: JSONValue { get }
  var id: String { get }
  var name: String { get }
}

extension NamedResource {
  var id: String { json["id"].text }
  var name: String { json["name"].text }
}

/// What a project has several of, under ids and names, in a collection of the Block Storage API.
protocol ProjectResource: NamedResource {
  /// One of them in a sentence, and the member of an answer that has one.
  static var kind: String { get }
  /// The collection's name in paths and answers.
  static var collection: String { get }
  /// The command that says what holds one of them up.
  static var explainer: String { get }

  init(json: JSONValue)
}

extension ProjectResource {
  var status: String { json["status"].text }
  /// In GiB.
  var size: Int? { json["size"].int }
  /// How messages call it.
  var label: String { name.isEmpty ? id : name }
  /// How sentences about it begin, such as `Volume db`.
  var title: String { Self.kind.prefix(1).uppercased() + Self.kind.dropFirst() + " " + label }
}

/// A volume as the Block Storage API shows it.
struct VolumeResource: ProjectResource {
  static let kind = "volume"
  static let collection = "volumes"
  static let explainer = "pumice explain"

  let json: JSONValue

  var attachments: [JSONValue] { json["attachments"].array }
}

/// A snapshot as the Block Storage API shows it.
struct SnapshotResource: ProjectResource {
  static let kind = "snapshot"
  static let collection = "snapshots"
  static let explainer = "pumice snapshot explain"

  let json: JSONValue

  /// The id of the volume that it is of.
  var volume: String { json["volume_id"].text }
  var createdAt: String { json["created_at"].text }
}

/// A libvirt domain as the Compute API shows it.
struct InstanceResource: NamedResource {
  let json: JSONValue

  var status: String { json["status"].text }
  var node: String { json["OS-EXT-SRV-ATTR:host"].text }
  var volumes: [String] { json["os-extended-volumes:volumes_attached"].array.map { $0["id"].text } }
}

struct TypeResource: NamedResource {
  let json: JSONValue
}

/// A machine with an agent, as Pumice's own API shows it.
struct NodeResource: NamedResource {
  let json: JSONValue

  var id: String { name }
  var state: String { json["lost"].bool == true ? "lost" : json["state"].text }
}

/// A pool as `get_pools` shows it.
struct PoolResource: NamedResource {
  let json: JSONValue

  var id: String { name }
  var capabilities: JSONValue { json["capabilities"] }
}
