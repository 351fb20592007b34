import PumiceModel

/// The first part of a node's initiator names.
///
/// Targets admit initiators by name, so it must not change while disks are attached, whatever the machine is called
/// meanwhile: a name that was derived is kept in the state directory.
enum InitiatorName {
  static func settle(
    _ configuration: AgentConfiguration, in state: StateDirectory
  ) async throws(StorageError) -> String {
    if let name = configuration.initiatorName { return name }
    let derived = AgentConfiguration.initiatorName(for: configuration.name)
    return try await BlockingCalls.run { () throws(StorageError) in
      let folder = try RecordFolder(path: "\(state.path)/identity")
      if let kept = try? String(decoding: folder.read("initiator_name"), as: UTF8.self), !kept.isEmpty { return kept }
      try folder.write(Array(derived.utf8), as: "initiator_name")
      return derived
    }
  }
}
