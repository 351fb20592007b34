import HashTreeCollections
import PumiceModel

/// The use cases that change what a snapshot is called. Each is one transaction.
extension Tables {
  /// Changes what is given and leaves the rest.
  mutating func editSnapshot(
    _ id: SnapshotID, of project: ProjectID?, name: String? = nil, summary: String? = nil, at now: Timestamp
  ) throws(StorageError) -> Snapshot {
    var snapshot = try snapshot(id, of: project)
    if let name { snapshot.name = name }
    if let summary { snapshot.summary = summary }
    snapshot.touch(at: now)
    put(snapshot)
    return snapshot
  }

  /// An operator's word; see `Snapshot.reset(to:)`.
  func resetSnapshot(_ id: SnapshotID, to state: Snapshot.State) throws(StorageError) {
    try snapshot(id, of: nil).reset(to: state)
  }
}
