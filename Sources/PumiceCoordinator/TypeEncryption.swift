import HashTreeCollections
import PumiceModel

/// The use cases of what types say of encryption. Each is one transaction.
extension Tables {
  /// Refused where the type says something already, and while it has volumes: they are not encrypted.
  mutating func setEncryption(of id: VolumeTypeID, to encryption: VolumeEncryption) throws(StorageError) {
    var type = try volumeType(id, of: nil)
    guard type.encryption == nil else {
      throw StorageError(.inUse, "Volume type \(type.name) has an encryption already; change that one.")
    }
    try requireNoVolumes(of: type)
    type.encryption = encryption
    put(type)
  }

  mutating func changeEncryption(
    of id: VolumeTypeID, _ encryption: VolumeEncryptionID, at now: Timestamp, _ change: (inout VolumeEncryption) -> Void
  ) throws(StorageError) {
    var type = try volumeType(id, of: nil)
    guard var changed = type.encryption, changed.id == encryption else { throw Self.noEncryption(of: type, encryption) }
    try requireNoVolumes(of: type)
    change(&changed)
    changed.updatedAt = now
    type.encryption = changed
    put(type)
  }

  mutating func removeEncryption(of id: VolumeTypeID, _ encryption: VolumeEncryptionID) throws(StorageError) {
    var type = try volumeType(id, of: nil)
    guard type.encryption?.id == encryption else { throw Self.noEncryption(of: type, encryption) }
    try requireNoVolumes(of: type)
    type.encryption = nil
    put(type)
  }

  private static func noEncryption(of type: VolumeType, _ encryption: VolumeEncryptionID) -> StorageError {
    StorageError(.notFound, "Volume type \(type.name) has no encryption \(encryption).")
  }

  private func requireNoVolumes(of type: VolumeType) throws(StorageError) {
    let users = volumes.values.count { $0.type == type.id && $0.state != .deleted }
    guard users == 0 else {
      throw StorageError(
        .inUse,
        "Volume type \(type.name) is the type of \(users) volume\(users == 1 ? "" : "s"), so its encryption can't be changed."
      )
    }
  }
}

extension VolumeType {
  /// Throws `invalid` where volumes of the type would have to be encrypted: nothing here does that yet.
  func requireUnencrypted() throws(StorageError) {
    guard encryption == nil else {
      throw .invalid("volume_type", "'\(name)' asks for encryption, which is not supported yet: take a type without.")
    }
  }
}
