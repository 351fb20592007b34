import HashTreeCollections
import PumiceModel

/// The use cases that change what a snapshot is called and what its owner notes on it. Each is one transaction.
extension Tables {
  /// Changes what is given and leaves the rest.
  mutating func editSnapshot(
    _ id: SnapshotID, of project: ProjectID?, name: String? = nil, summary: String? = nil,
    metadata: [String: String]? = nil, at now: Timestamp
  ) throws(StorageError) -> Snapshot {
    var snapshot = try snapshot(id, of: project)
    if let name { snapshot.name = name }
    if let summary { snapshot.summary = summary }
    if let metadata { snapshot.metadata = try checkedMetadata(metadata) }
    snapshot.touch(at: now)
    put(snapshot)
    return snapshot
  }

  /// Adds entries to the metadata, over those of the same names.
  mutating func mergeMetadata(
    _ entries: [String: String], into id: SnapshotID, of project: ProjectID?, at now: Timestamp
  ) throws(StorageError) -> Snapshot {
    let snapshot = try snapshot(id, of: project)
    return try editSnapshot(id, of: project, metadata: snapshot.metadata.merging(entries) { _, new in new }, at: now)
  }

  mutating func removeMetadata(
    _ key: String, of id: SnapshotID, of project: ProjectID?, at now: Timestamp
  ) throws(StorageError) {
    var metadata = try snapshot(id, of: project).metadata
    guard metadata.removeValue(forKey: key) != nil else {
      throw StorageError(.notFound, "Snapshot \(id) has no metadata with key '\(key.prefix(64))'.")
    }
    _ = try editSnapshot(id, of: project, metadata: metadata, at: now)
  }

  /// An operator's word; see `Snapshot.reset(to:)`.
  func resetSnapshot(_ id: SnapshotID, to state: Snapshot.State) throws(StorageError) {
    try snapshot(id, of: nil).reset(to: state)
  }

  func checkedMetadata(_ metadata: [String: String]) throws(StorageError) -> [String: String] {
    guard metadata.count <= 128 else {
      throw .invalid("metadata", "must have at most 128 entries, not \(metadata.count).")
    }
    return metadata
  }
}
