public import PumiceModel

/// A client that gets its way although its calls may be lost: it looks what has become of a call before it repeats it.
public struct InsistentClient: Sendable {
  public let api: API

  public init(api: API) { self.api = api }

  public func create(_ name: String, gibibytes: Int) async throws -> VolumeID {
    try await insist("volume \(name) is accepted") {
      if let known = try await volume(named: name) { return known }
      return try await api.createVolume(name: name, gibibytes: gibibytes)
    }
  }

  public func attach(_ volume: VolumeID, to instance: InstanceID) async throws {
    try await insist("the attachment of \(volume) is accepted") {
      if try await status(volume) != "available" { return }
      try await api.attach(volume, to: instance)
    }
  }

  public func extend(_ volume: VolumeID, toGibibytes size: Int) async throws {
    try await insist("the extension of \(volume) is accepted") {
      let now = try await api.volume(volume)
      if now["size"].integer == size || now["status"].string == "extending" { return }
      try await api.extend(volume, toGibibytes: size)
    }
  }

  public func detach(_ volume: VolumeID, from instance: InstanceID) async throws {
    try await insist("the detachment of \(volume) is accepted") {
      if try await status(volume) != "in-use" { return }
      try await api.detach(volume, from: instance)
    }
  }

  public func delete(_ volume: VolumeID) async throws {
    try await insist("the deletion of \(volume) is accepted") {
      do {
        if try await status(volume) == "deleting" { return }
        try await api.deleteVolume(volume)
      } catch let refusal as API.Refusal where refusal.status == 404 {
        return
      }
    }
  }

  /// A new volume with the content of a snapshot.
  public func create(_ name: String, from snapshot: SnapshotID, gibibytes: Int) async throws -> VolumeID {
    try await insist("volume \(name) is accepted") {
      if let known = try await volume(named: name) { return known }
      return try await api.createVolume(name: name, from: snapshot, gibibytes: gibibytes)
    }
  }

  public func takeSnapshot(_ name: String, of volume: VolumeID) async throws -> SnapshotID {
    try await insist("snapshot \(name) is accepted") {
      let snapshots = try await api.get("/v3/\(api.project)/snapshots?name=\(name)")["snapshots"].array
      if let known = snapshots.first?["id"].string.flatMap(SnapshotID.init) { return known }
      return try await api.takeSnapshot(name: name, of: volume)
    }
  }

  public func deleteSnapshot(_ snapshot: SnapshotID) async throws {
    try await insist("the deletion of \(snapshot) is accepted") {
      do {
        if try await api.snapshot(snapshot)["status"].string == "deleting" { return }
        try await api.deleteSnapshot(snapshot)
      } catch let refusal as API.Refusal where refusal.status == 404 {
        return
      }
    }
  }

  /// Harmless when it is done twice, as it is when the answer to the first call is lost and its end is not seen.
  public func revert(_ volume: VolumeID, to snapshot: SnapshotID) async throws {
    try await insist("the revert of \(volume) is accepted") {
      if try await status(volume) == "reverting" { return }
      try await api.revert(volume, to: snapshot)
    }
  }

  private func volume(named name: String) async throws -> VolumeID? {
    try await api.get("/v3/\(api.project)/volumes?name=\(name)")["volumes"].array.first?["id"].string
      .flatMap(VolumeID.init)
  }

  private func status(_ volume: VolumeID) async throws -> String? {
    try await api.volume(volume)["status"].string
  }

  private func insist<Answer: Sendable>(_ claim: String, _ call: () async throws -> Answer) async throws -> Answer {
    try await eventually(claim, within: .seconds(30), every: .milliseconds(50), call)
  }
}
