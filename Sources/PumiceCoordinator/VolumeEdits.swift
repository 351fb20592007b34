import HashTreeCollections
import PumiceModel

/// The use cases that change what a volume is called and what its owner notes on it. Each is one transaction.
extension Tables {
  /// Changes what is given and leaves the rest.
  mutating func editVolume(
    _ id: VolumeID, of project: ProjectID?, name: String? = nil, summary: String? = nil,
    metadata: [String: String]? = nil, at now: Timestamp
  ) throws(StorageError) -> Volume {
    var volume = try volume(id, of: project)
    if let name { volume.name = name }
    if let summary { volume.summary = summary }
    if let metadata { volume.metadata = try checkedMetadata(metadata) }
    volume.touch(at: now)
    put(volume)
    return volume
  }

  /// Adds entries to the metadata, over those of the same names.
  mutating func mergeMetadata(
    _ entries: [String: String], into id: VolumeID, of project: ProjectID?, at now: Timestamp
  ) throws(StorageError) -> Volume {
    let volume = try volume(id, of: project)
    return try editVolume(id, of: project, metadata: volume.metadata.merging(entries) { _, new in new }, at: now)
  }

  mutating func removeMetadata(
    _ key: String, of id: VolumeID, of project: ProjectID?, at now: Timestamp
  ) throws(StorageError) {
    var metadata = try volume(id, of: project).metadata
    guard metadata.removeValue(forKey: key) != nil else {
      throw StorageError(.notFound, "Volume \(id) has no metadata with key '\(key.prefix(64))'.")
    }
    _ = try editVolume(id, of: project, metadata: metadata, at: now)
  }

  /// An operator's word over an error state; see `Volume.reset(to:at:)`.
  mutating func resetVolume(_ id: VolumeID, to state: Volume.State, at now: Timestamp) throws(StorageError) {
    var volume = try volume(id, of: nil)
    try volume.reset(to: state, at: now)
    put(volume)
  }
}
