public import PumiceModel

extension API {
  /// Of a volume that may be attached.
  public func takeSnapshot(name: String, of volume: VolumeID) async throws -> SnapshotID {
    let answer = try await post(
      "/v3/\(project)/snapshots",
      ["snapshot": ["name": .string(name), "volume_id": .string("\(volume)"), "force": true]])
    guard let id = answer["snapshot"]["id"].string.flatMap(SnapshotID.init) else {
      throw TestBedFailure("No snapshot id in the answer: \(answer)")
    }
    return id
  }

  public func snapshot(_ id: SnapshotID) async throws -> JSON {
    try await get("/v3/\(project)/snapshots/\(id)")["snapshot"]
  }

  public func deleteSnapshot(_ id: SnapshotID) async throws { try await delete("/v3/\(project)/snapshots/\(id)") }

  /// Gives a volume that is not attached the content of its newest snapshot.
  public func revert(_ id: VolumeID, to snapshot: SnapshotID) async throws {
    try await post("/v3/\(project)/volumes/\(id)/action", ["revert": ["snapshot_id": .string("\(snapshot)")]])
  }

  /// A new volume with the content of a snapshot.
  public func createVolume(name: String, from snapshot: SnapshotID, gibibytes: Int) async throws -> VolumeID {
    try await createVolume(name: name, gibibytes, from: "snapshot_id", "\(snapshot)")
  }

  public func createVolume(name: String, from volume: VolumeID, gibibytes: Int) async throws -> VolumeID {
    try await createVolume(name: name, gibibytes, from: "source_volid", "\(volume)")
  }

  private func createVolume(
    name: String, _ gibibytes: Int, from field: String, _ source: String
  ) async throws -> VolumeID {
    let answer = try await post(
      "/v3/\(project)/volumes",
      ["volume": ["name": .string(name), "size": .integer(gibibytes), field: .string(source)]])
    guard let id = answer["volume"]["id"].string.flatMap(VolumeID.init) else {
      throw TestBedFailure("No volume id in the answer: \(answer)")
    }
    return id
  }

  /// Waits for the status. Fails at once when the snapshot is in error instead.
  public func waitForSnapshot(_ id: SnapshotID, status: String, within deadline: Duration = .seconds(60)) async throws {
    let found = try await eventually("snapshot \(id) is \(status)", within: deadline) {
      let now = try await snapshot(id)
      let word = now["status"].string ?? ""
      return word == status || word.hasPrefix("error") ? now : nil
    }
    guard found["status"].string == status else {
      throw TestBedFailure("Snapshot \(id) is not \(status): \(found)")
    }
  }

  /// Waits until nobody knows the snapshot any more.
  public func waitUntilGone(_ id: SnapshotID, within deadline: Duration = .seconds(60)) async throws {
    try await eventually("snapshot \(id) is gone", within: deadline) {
      do {
        _ = try await snapshot(id)
        return false
      } catch let refusal as Refusal where refusal.status == 404 {
        return true
      }
    }
  }
}
