import HashTreeCollections
import PumiceModel

/// The use cases of projects' default types. Each is one transaction.
extension Tables {
  /// The type of the project's volumes that name none: its own default while it may use that, or else everybody's.
  func defaultType(of project: ProjectID) throws(StorageError) -> VolumeType {
    if let own = defaultTypes[project], let type = types[own.type], type.isOpen(to: project) { return type }
    return try volumeType(nil)
  }

  /// - Parameter nameOrID: Of a type that is open to the project.
  mutating func setDefaultType(
    _ nameOrID: String, of project: ProjectID
  ) throws(StorageError) -> DefaultVolumeType {
    guard let type = try? volumeType(nameOrID), type.isOpen(to: project) else {
      throw .invalid("volume_type", "'\(nameOrID.prefix(64))' is no type that project \(project) may use.")
    }
    let chosen = DefaultVolumeType(project: project, type: type.id)
    put(chosen)
    return chosen
  }

  /// Back to everybody's. Harmless when there is none.
  mutating func unsetDefaultType(of project: ProjectID) {
    if let chosen = defaultTypes[project] { remove(chosen) }
  }
}
