import PumiceModel

typealias RowTest<Row> = @Sendable (Row) -> Bool

/// What a list is narrowed to, as its query says.
struct RowFilter<Row: ListedRow>: Sendable {
  private var tests: [RowTest<Row>] = []
  /// Whether an admin asks for those of every project.
  let isForAllProjects: Bool

  var passesAll: Bool { tests.isEmpty }

  /// - Throws: `invalid` for a wrong value and, from 3.31 on as in Cinder, for a filter that is not known.
  init(_ call: Call) throws(StorageError) {
    isForAllProjects = try call.query.flag("all_tenants") && call.caller.role == .admin
    for (name, value) in call.query.items {
      switch name {
      case "limit", "offset", "marker", "sort", "sort_key", "sort_dir", "all_tenants", "with_count": continue
      case "project_id", "tenant_id": if isForAllProjects { tests.append { $0.project == value } }
      default:
        var test = try Self.test(name, value, of: call)
        if test == nil { test = try Row.test(name, value, of: call) }
        if let test {
          tests.append(test)
        } else if call.version >= Microversion(3, 31) {
          throw .invalid(String(name.prefix(64)), "is not a filter of \(Row.collection).")
        }
      }
    }
  }

  func passes(_ row: Row) -> Bool { tests.allSatisfy { $0(row) } }

  /// The test behind a filter that all kinds have.
  private static func test(
    _ name: String, _ value: String, of call: Call
  ) throws(StorageError) -> RowTest<Row>? {
    switch name {
    case "name", "display_name": return { $0.name == value }
    case "name~" where call.version >= Microversion(3, 34): return { $0.name.contains(value) }
    case "status": return { $0.status == value }
    case "availability_zone": return { $0.zone == value }
    case "id":
      let id = Identifier<Row.Kind>(value)
      return { $0.id == id }
    case "metadata" where Row.metadataFilterSince.map { call.version >= $0 } ?? false:
      let entries = try MetadataFilter.entries(value)
      return { row in entries.allSatisfy { row.metadata[$0.key] == $0.value } }
    case "consumes_quota" where call.version >= Microversion(3, 65):
      let isWanted = try flag(name, value)
      return { _ in isWanted }
    default: return nil
    }
  }

  static func flag(_ name: String, _ value: String) throws(StorageError) -> Bool {
    guard let flag = Bool(openStack: value) else {
      throw .invalid(name, "must be true or false, not '\(value.prefix(40))'.")
    }
    return flag
  }
}

enum MetadataFilter {
  /// `{"key": "value"}`; OpenStack's own clients write it with single quotes, as Python prints it.
  static func entries(_ text: String) throws(StorageError) -> [String: String] {
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
