import PumiceModel

/// What a list of volumes is narrowed to, as its query says.
struct VolumeFilter: Sendable {
  private enum Test: Sendable {
    case name(String)
    case nameContains(String)
    case status(String)
    case metadata([String: String])
    case zone(String)
    case type(String)
    case size(Int)
    case id(VolumeID)
    case host(String)
    case project(ProjectID)
    case createdAt([TimeBound])
    case updatedAt([TimeBound])
    case nothing

    func passes(_ row: VolumeRow) -> Bool {
      let volume = row.volume
      return switch self {
      case .name(let name): volume.name == name
      case .nameContains(let part): volume.name.contains(part)
      case .status(let status): row.status == status
      case .metadata(let entries): entries.allSatisfy { volume.metadata[$0.key] == $0.value }
      case .zone(let zone): volume.availabilityZone == zone
      case .type(let type): row.typeName == type || volume.type.description == type
      case .size(let size): volume.size.gibibytesRoundedUp == size
      case .id(let id): volume.id == id
      case .host(let host): volume.pool.map { "\($0)" == host || "\($0.node)@\($0.backend)" == host } ?? false
      case .project(let project): volume.project == project
      case .createdAt(let bounds): bounds.allSatisfy { $0.admits(volume.createdAt) }
      case .updatedAt(let bounds): volume.updatedAt.map { moment in bounds.allSatisfy { $0.admits(moment) } } ?? false
      case .nothing: false
      }
    }
  }

  private static let pagination: Set<String> = [
    "limit", "offset", "marker", "sort", "sort_key", "sort_dir", "all_tenants", "with_count",
  ]

  private var tests: [Test] = []
  /// Whether an admin asks for the volumes of every project.
  let isForAllProjects: Bool

  var passesAll: Bool { tests.isEmpty }

  /// - Throws: `invalid` for a wrong value and, from 3.31 on as in Cinder, for a filter that is not known.
  init(_ call: Call) throws(StorageError) {
    let isAdmin = call.caller.role == .admin
    isForAllProjects = try call.query.flag("all_tenants") && isAdmin
    for (name, value) in call.query.items where !Self.pagination.contains(name) {
      switch name {
      case "name", "display_name": tests.append(.name(value))
      case "name~" where call.version >= Microversion(3, 34): tests.append(.nameContains(value))
      case "status": tests.append(.status(value))
      case "metadata": tests.append(.metadata(try Self.metadata(value)))
      case "availability_zone": tests.append(.zone(value))
      case "volume_type", "volume_type_id": tests.append(.type(value))
      case "id": tests.append(VolumeID(value).map { .id($0) } ?? .nothing)
      case "size":
        guard let size = Int(value) else {
          throw .invalid("size", "must be a whole number, not '\(value.prefix(40))'.")
        }
        tests.append(.size(size))
      case "bootable", "multiattach", "encrypted":
        guard let flag = Bool(openStack: value) else {
          throw .invalid(name, "must be true or false, not '\(value.prefix(40))'.")
        }
        if flag { tests.append(.nothing) }
      case "consumes_quota" where call.version >= Microversion(3, 65):
        guard let flag = Bool(openStack: value) else {
          throw .invalid(name, "must be true or false, not '\(value.prefix(40))'.")
        }
        if !flag { tests.append(.nothing) }
      case "host" where isAdmin: tests.append(.host(value))
      case "project_id", "tenant_id": if isForAllProjects { tests.append(.project(value)) }
      case "created_at" where call.version >= Microversion(3, 60):
        tests.append(.createdAt(try TimeBound.list(value, name)))
      case "updated_at" where call.version >= Microversion(3, 60):
        tests.append(.updatedAt(try TimeBound.list(value, name)))
      case "group_id", "migration_status", "glance_metadata", "image_id", "snapshot_id", "source_volid":
        tests.append(.nothing)
      default:
        if call.version >= Microversion(3, 31) {
          throw .invalid(String(name.prefix(64)), "is not a filter of volumes.")
        }
      }
    }
  }

  func passes(_ row: VolumeRow) -> Bool { tests.allSatisfy { $0.passes(row) } }

  /// `{"key": "value"}`; OpenStack's own clients write it with single quotes, as Python prints it.
  static func metadata(_ text: String) throws(StorageError) -> [String: String] {
    for candidate in [text, String(text.map { $0 == "'" ? "\"" : $0 })] {
      let bytes = Array(candidate.utf8)
      let value = bytes.withUnsafeBufferPointer { try? JSONParser.parse($0) }
      if case .object(let values) = value, let texts = try? RequestFields(values, prefix: "metadata.").allTexts() {
        return texts
      }
    }
    throw .invalid("metadata", "must be an object of texts, such as {\"key\": \"value\"}.")
  }
}

/// One of the comparisons in `created_at=gt:2026-01-01,lte:2026-02-01` (3.60).
struct TimeBound: Sendable {
  enum Comparison: String { case gt, gte, eq, neq, lt, lte }

  let comparison: Comparison
  let moment: Timestamp

  static func list(_ text: String, _ name: String) throws(StorageError) -> [TimeBound] {
    var bounds: [TimeBound] = []
    for part in text.split(separator: ",") {
      let pair = part.split(separator: ":", maxSplits: 1)
      let comparison = Comparison(rawValue: String(pair.first ?? ""))
      guard let moment = Timestamp(iso8601: String(comparison == nil ? part : pair.count == 2 ? pair[1] : "")) else {
        throw .invalid(name, "must be like gt:2026-01-31T12:00:00, not '\(part.prefix(40))'.")
      }
      bounds.append(TimeBound(comparison: comparison ?? .eq, moment: moment))
    }
    return bounds
  }

  func admits(_ other: Timestamp) -> Bool {
    switch comparison {
    case .gt: other > moment
    case .gte: other >= moment
    case .eq: other == moment
    case .neq: other != moment
    case .lt: other < moment
    case .lte: other <= moment
    }
  }
}
