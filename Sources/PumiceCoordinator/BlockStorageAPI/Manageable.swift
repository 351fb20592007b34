import HTTPTypes
import HashTreeCollections
import Hummingbird
import PumiceModel
import PumiceWire

/// A kind of thing that a node may have and that the store does not know: left to itself by `os-unmanage`, or found on a disk.
protocol Manageable: Sendable {
  associatedtype Kind

  /// In Cinder's words: `volume`. Of this its name on the node is made, too.
  static var kind: String { get }
  static func all(in inventory: Inventory) -> [Self]

  var id: Identifier<Kind> { get }
  var backend: String { get }
  var pool: String { get }
  var size: ByteCount { get }
  /// What it was made of, if it says so.
  var source: VolumeID? { get }

  /// Why the store can't take it in; `nil` when it can.
  func obstacle(on node: NodeName, _ inventory: Inventory, in tables: Tables) -> String?
  func isManaged(in tables: Tables) -> Bool
}

extension Manageable {
  var reference: String { "\(Self.kind)-\(id)" }

  /// Whether it lies on this host: `node@backend` or `node@backend#pool`.
  func isOn(_ host: String, of node: NodeName) -> Bool {
    host == "\(node)@\(backend)" || host == "\(node)@\(backend)#\(pool)"
  }

  /// Which one the member `ref` of a request means.
  static func id(in fields: RequestFields) throws(StorageError) -> (id: Identifier<Kind>, text: String) {
    guard let reference = try fields.object("ref") else { throw StorageError.invalid("ref", "is required.") }
    let (name, other) = (try reference.text("source-name"), try reference.text("source-id"))
    let text = name ?? other ?? ""
    let prefix = "\(kind)-"
    guard let id = Identifier<Kind>(text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : text) else {
      throw StorageError.invalid("ref", "must be source-name or source-id of a \(kind) that is listed as manageable.")
    }
    return (id, text)
  }
}

extension Inventory.StoredVolume: Manageable {
  static let kind = "volume"
  static func all(in inventory: Inventory) -> [Self] { inventory.volumes }

  var source: VolumeID? { nil }

  func obstacle(on node: NodeName, _ inventory: Inventory, in tables: Tables) -> String? {
    tables.obstacle(to: self, on: node, inventory)
  }

  func isManaged(in tables: Tables) -> Bool { tables.volumes[id].map { $0.state != .deleted } ?? false }
}

extension Inventory.StoredSnapshot: Manageable {
  static let kind = "snapshot"
  static func all(in inventory: Inventory) -> [Self] { inventory.snapshots }

  var source: VolumeID? { volume }

  func obstacle(on node: NodeName, _ inventory: Inventory, in tables: Tables) -> String? {
    tables.obstacle(to: self, on: node)
  }

  func isManaged(in tables: Tables) -> Bool { tables.snapshots[id].map { $0.state != .deleted } ?? false }
}

/// One of them as Cinder shows it to whoever wants to manage it.
private struct ManageableResource: Encodable {
  let reference: [String: String]
  let size: Int
  let isSafe: Bool
  var source: [String: String]?
  var reason: OrNull<String>?
  var managedAs: OrNull<String>?
  var extra: OrNull<String>?

  init(_ stored: some Manageable, obstacle: String?, isManaged: Bool, isDetailed: Bool) {
    reference = ["source-name": stored.reference]
    size = stored.size.gibibytesRoundedUp
    isSafe = obstacle == nil
    source = stored.source.map { ["source-name": "\(Inventory.StoredVolume.kind)-\($0)"] }
    guard isDetailed else { return }
    reason = OrNull(wrappedValue: obstacle)
    managedAs = OrNull(wrappedValue: isManaged ? stored.id.description : nil)
    extra = OrNull(wrappedValue: nil)
  }

  enum CodingKeys: String, CodingKey {
    case reference, size
    case isSafe = "safe_to_manage"
    case source = "source_reference"
    case reason = "reason_not_safe"
    case managedAs = "cinder_id"
    case extra = "extra_info"
  }
}

extension Call {
  /// What there is of a kind on the host that the query names.
  func listManageable<Thing: Manageable>(_ kind: Thing.Type, isDetailed: Bool) async throws -> Response {
    guard let host = query["host"] else { throw StorageError.invalid("host", "is required.") }
    let (node, inventory) = try await inventory(of: host)
    let tables = tables
    let sort = try ListSort<Thing>(
      query, byDefault: "reference",
      ["size": { $0.size.order(to: $1.size) }, "reference": { $0.id.order(to: $1.id) }])
    let found = sort.applied(
      to: Thing.all(in: inventory).filter { $0.isOn(host, of: node) }.sorted { $0.id < $1.id })
    let (slice, hasMore) = try Page(query).slice(of: found) { $0.id.description }
    let fragments = try slice.map {
      try JSONBytes.encode(
        ManageableResource(
          $0, obstacle: $0.obstacle(on: node, inventory, in: tables), isManaged: $0.isManaged(in: tables),
          isDetailed: isDetailed))
    }
    let collection = "manageable-\(Thing.kind)s"
    var rest = ListRest(name: "\(collection)_links")
    if hasMore, let last = slice.last { rest.links = [nextPage(after: last.id.description)] }
    return .json(JSONBytes.list(collection, fragments, and: try JSONBytes.encode(rest)))
  }

  /// The node of `node`, `node@backend` or `node@backend#pool`, and what it has now.
  ///
  /// A node that can't be asked is a thing in the wrong state, as it is to Cinder (400), and not our own failure.
  func inventory(of host: String) async throws -> (NodeName, Inventory) {
    let name = NodeName(host.prefix { $0 != "@" })
    guard let node = tables.nodes[name], !node.isLost else {
      throw StorageError(.notFound, "Service \(host.prefix(255)) could not be found.")
    }
    do throws(StorageError) {
      return (name, try await api.watch.directory.node(name, at: node.address).inventory())
    } catch {
      throw StorageError(.conflict, "What node \(name) has can't be told at the moment. \(error.message)")
    }
  }
}
