import HashTreeCollections
import PumiceModel

/// One change to what an owner notes on a thing.
enum MetadataChange: Sendable, Equatable {
  /// Adds entries, over those of the same names.
  case merge([String: String])
  case replace([String: String])
  case remove(String)

  /// - Parameter owner: How the message about an unknown key calls the thing.
  func applied(to metadata: [String: String], of owner: String) throws(StorageError) -> [String: String] {
    var metadata = metadata
    switch self {
    case .merge(let entries): metadata.merge(entries) { _, new in new }
    case .replace(let entries): metadata = entries
    case .remove(let key):
      guard metadata.removeValue(forKey: key) != nil else {
        throw StorageError(.notFound, "\(owner) has no metadata with key '\(key.prefix(64))'.")
      }
    }
    guard metadata.count <= 128 else {
      throw .invalid("metadata", "must have at most 128 entries, not \(metadata.count).")
    }
    return metadata
  }
}

/// Each is one transaction, and gives all that is noted then.
extension Tables {
  mutating func changeMetadata(
    of id: VolumeID, of project: ProjectID?, _ change: MetadataChange, at now: Timestamp
  ) throws(StorageError) -> [String: String] {
    var volume = try volume(id, of: project)
    volume.metadata = try change.applied(to: volume.metadata, of: "Volume \(id)")
    volume.touch(at: now)
    put(volume)
    return volume.metadata
  }

  mutating func changeMetadata(
    of id: SnapshotID, of project: ProjectID?, _ change: MetadataChange, at now: Timestamp
  ) throws(StorageError) -> [String: String] {
    var snapshot = try snapshot(id, of: project)
    snapshot.metadata = try change.applied(to: snapshot.metadata, of: "Snapshot \(id)")
    snapshot.touch(at: now)
    put(snapshot)
    return snapshot.metadata
  }

  mutating func changeImageMetadata(
    of id: VolumeID, of project: ProjectID?, _ change: MetadataChange, at now: Timestamp
  ) throws(StorageError) -> [String: String] {
    var volume = try volume(id, of: project)
    let metadata = try change.applied(to: volume.imageMetadata ?? [:], of: "The image of volume \(id)")
    volume.imageMetadata = metadata.isEmpty ? nil : metadata
    volume.touch(at: now)
    put(volume)
    return metadata
  }
}
