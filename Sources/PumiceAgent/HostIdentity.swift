import PumiceModel

/// What a host is called as an instance: a number made once and kept in the state directory.
///
/// Neither machine-id nor the firmware's number will do: machines made from one image often share them, and two nodes with
/// the same instance would be sent each other's disks.
enum HostIdentity {
  /// Throws when what was kept can't be read: another number would be another host.
  static func settle(in stateDirectory: String) async throws(StorageError) -> InstanceID {
    try await BlockingCalls.run { () throws(StorageError) in
      let folder = try RecordFolder(path: "\(stateDirectory)/identity")
      do throws(StorageError) {
        let kept = String(decoding: try folder.read("host_id"), as: UTF8.self)
        guard let id = InstanceID(kept) else {
          throw StorageError(.failed, "\(folder.path)/host_id holds no UUID; write this host's instance id into it.")
        }
        return id
      } catch {
        guard error.code == .missingPart else { throw error }
      }
      let id = InstanceID.random()
      try folder.write(Array(id.description.utf8), as: "host_id")
      return id
    }
  }
}
