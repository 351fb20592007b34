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

/// A volume as the Block Storage API shows it.
struct VolumeResource: NamedResource {
  let json: JSONValue

  var status: String { json["status"].text }
  /// In GiB.
  var size: Int? { json["size"].int }
  var attachments: [JSONValue] { json["attachments"].array }
  /// How messages call it.
  var label: String { name.isEmpty ? id : name }
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
