import FoundationEssentials
import PumiceModel
import PumiceWire

/// What lies beside a volume's bytes and says what they are, so that a lost coordinator store can be rebuilt from the folder.
struct VolumeSidecar: Codable, Equatable {
  var id: VolumeID
  var name: String
  var project: ProjectID
  var type: String
  var metadata: [String: String]
  /// What was asked for; the file is at least this large.
  var size: ByteCount
  /// Always `raw`: recorded, never probed on bytes that a guest can write.
  var format = "raw"
  var revision: Revision
  /// Milliseconds since 1970.
  var created: Timestamp

  init(_ id: VolumeID, _ request: VolumeRequest, size: ByteCount, created: Timestamp) {
    self.id = id
    name = request.description.name
    project = request.description.project
    type = request.description.type
    metadata = request.description.metadata
    self.size = size
    revision = request.revision
    self.created = created
  }

  var description: VolumeDescription {
    VolumeDescription(name: name, project: project, type: type, metadata: metadata)
  }

  /// Reads the JSON; `nil` unless it describes this volume.
  init?(_ bytes: [UInt8], of id: VolumeID) {
    guard let sidecar = try? JSONDecoder().decode(Self.self, from: Data(bytes)), sidecar.id == id else { return nil }
    self = sidecar
  }

  func encoded() throws(StorageError) -> [UInt8] {
    do {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      return Array(try encoder.encode(self)) + [UInt8(ascii: "\n")]
    } catch {
      throw StorageError.wrap(error, "Describing volume \(id)")
    }
  }
}

/// The names that belong to one volume in a folder.
struct VolumeFileNames {
  let id: VolumeID

  var data: String { "volume-\(id)" }
  var sidecar: String { "volume-\(id).json" }
  /// Bytes that are not a volume yet.
  var newData: String { ".volume-\(id).new" }
  var newSidecar: String { ".volume-\(id).json.new" }

  init(_ id: VolumeID) { self.id = id }

  enum Role { case data, sidecar, temporary }

  /// What a file in the folder is; `nil` when it is none of ours.
  static func role(of name: String) -> (VolumeID, Role)? {
    for (prefix, suffix, role) in [
      (".volume-", ".json.new", Role.temporary), (".volume-", ".new", .temporary), ("volume-", ".json", .sidecar),
      ("volume-", "", .data),
    ] where name.hasPrefix(prefix) && name.hasSuffix(suffix) {
      let id = name.dropFirst(prefix.count).dropLast(suffix.count)
      if id.utf8.count == 36, let id = VolumeID(String(id)) { return (id, role) }
    }
    return nil
  }
}
