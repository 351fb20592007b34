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
    if let metadata {
      volume.metadata = try MetadataChange.replace(metadata).applied(to: volume.metadata, of: volume.label)
    }
    volume.touch(at: now)
    put(volume)
    return volume
  }

  mutating func setBootable(
    _ id: VolumeID, of project: ProjectID?, _ isBootable: Bool, at now: Timestamp
  ) throws(StorageError) {
    var volume = try volume(id, of: project)
    volume.bootable = isBootable ? true : nil
    volume.touch(at: now)
    put(volume)
  }

  /// An operator's word over an error state; see `Volume.reset(to:at:)`.
  mutating func resetVolume(_ id: VolumeID, to state: Volume.State, at now: Timestamp) throws(StorageError) {
    var volume = try volume(id, of: nil)
    try volume.reset(to: state, at: now)
    put(volume)
  }
}
