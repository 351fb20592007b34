import FoundationEssentials
import PumiceModel
import PumiceWire

/// What lies beside a volume's bytes and says what they are, so that a lost coordinator store can be rebuilt from the folder.
struct VolumeSidecar: Sidecar {
  /// The last one that was begun. It is done when `inode` is that of the volume's data: the new content is put in place by
  /// one rename(2), after this is written down.
  struct Revert: Codable, Equatable {
    var revision: Revision
    var snapshot: SnapshotID
    var inode: UInt64
  }

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
  /// What its first bytes were a copy of.
  var sourceVolume: VolumeID?
  var sourceSnapshot: SnapshotID?
  var revert: Revert?

  init(_ id: VolumeID, _ request: VolumeRequest, size: ByteCount, created: Timestamp) {
    self.id = id
    name = request.description.name
    project = request.description.project
    type = request.description.type
    metadata = request.description.metadata
    self.size = size
    revision = request.revision
    self.created = created
    sourceVolume = request.source?.volume
    sourceSnapshot = request.source?.snapshot
  }

  /// A volume that says nothing about itself any more, as far as a snapshot of it can tell.
  init(_ snapshot: SnapshotSidecar, size: ByteCount) {
    id = snapshot.volume
    name = ""
    project = snapshot.project
    type = snapshot.type
    metadata = [:]
    self.size = size
    revision = 0
    created = snapshot.created
  }

  var description: VolumeDescription {
    VolumeDescription(name: name, project: project, type: type, metadata: metadata)
  }

  func describes(_ names: FileNames) -> Bool { names.owner == .volume(id) }
}

/// The same for a snapshot.
struct SnapshotSidecar: Sidecar {
  var id: SnapshotID
  var volume: VolumeID
  var name: String
  var project: ProjectID
  var type: String
  var metadata: [String: String]
  var size: ByteCount
  var format = "raw"
  var revision: Revision
  var created: Timestamp

  init(_ id: SnapshotID, _ request: SnapshotRequest, size: ByteCount, created: Timestamp) {
    self.id = id
    volume = request.volume
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

  func describes(_ names: FileNames) -> Bool { names.owner == .snapshot(id, of: volume) }
}

/// A small JSON file beside the bytes that it is about.
protocol Sidecar: Codable, Equatable {
  func describes(_ names: FileNames) -> Bool
}

extension Sidecar {
  /// Reads the JSON; `nil` unless it describes what has these names.
  init?(_ bytes: [UInt8], of names: FileNames) {
    guard let sidecar = try? JSONDecoder().decode(Self.self, from: Data(bytes)), sidecar.describes(names) else {
      return nil
    }
    self = sidecar
  }
}
