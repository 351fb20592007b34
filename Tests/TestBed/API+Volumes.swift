public import PumiceModel

/// The verbs of the main job. Each returns when the coordinator has accepted, `wait…` when it is done.
extension API {
  public func createVolume(name: String, gibibytes: Int, type: String? = nil) async throws -> VolumeID {
    var volume: [String: JSON] = ["name": .string(name), "size": .integer(gibibytes)]
    if let type { volume["volume_type"] = .string(type) }
    let answer = try await post("/v3/\(project)/volumes", ["volume": .object(volume)])
    guard let id = answer["volume"]["id"].string.flatMap(VolumeID.init) else {
      throw TestBedFailure("No volume id in the answer: \(answer)")
    }
    return id
  }

  /// A type whose volumes several instances may have.
  public func createSharedType(_ name: String) async throws {
    try await post(
      "/v3/\(project)/types",
      ["volume_type": ["name": .string(name), "extra_specs": ["multiattach": "<is> True"]]])
  }

  public func volume(_ id: VolumeID) async throws -> JSON {
    try await get("/v3/\(project)/volumes/\(id)")["volume"]
  }

  /// Lifts the project's limits.
  public func liftQuota() async throws {
    try await put("/v3/\(project)/os-quota-sets/\(project)", ["quota_set": ["volumes": -1, "gigabytes": -1]])
  }

  public func extend(_ id: VolumeID, toGibibytes size: Int) async throws {
    try await post("/v3/\(project)/volumes/\(id)/action", ["os-extend": ["new_size": .integer(size)]])
  }

  public func deleteVolume(_ id: VolumeID) async throws {
    try await delete("/v3/\(project)/volumes/\(id)")
  }

  public func attach(_ id: VolumeID, to instance: InstanceID) async throws {
    try await post(
      "/compute/v2.1/servers/\(instance)/os-volume_attachments",
      ["volumeAttachment": ["volumeId": .string("\(id)")]])
  }

  public func detach(_ id: VolumeID, from instance: InstanceID) async throws {
    try await delete("/compute/v2.1/servers/\(instance)/os-volume_attachments/\(id)")
  }

  /// Waits for the status, and with `size` for that many gibibytes. Fails at once when the volume is in error instead.
  @discardableResult
  public func waitForVolume(
    _ id: VolumeID, status: String, gibibytes size: Int? = nil, within deadline: Duration = .seconds(60),
    every interval: Duration = .milliseconds(20)
  ) async throws -> JSON {
    var last = JSON.null
    let found: JSON
    do {
      found = try await eventually("volume \(id) is \(status)", within: deadline, every: interval) {
        last = try await volume(id)
        let now = last["status"].string ?? ""
        if now != status, now.hasPrefix("error") { return last }
        return now == status && (size == nil || last["size"].integer == size) ? last : nil
      }
    } catch {
      throw TestBedFailure("\(error)\nThe volume: \(last)")
    }
    guard found["status"].string == status else {
      throw TestBedFailure("Volume \(id) became \(found["status"].string ?? "?") instead of \(status): \(found)")
    }
    return found
  }

  /// Waits until nobody knows the volume any more.
  public func waitUntilGone(
    _ id: VolumeID, within deadline: Duration = .seconds(60), every interval: Duration = .milliseconds(20)
  ) async throws {
    try await eventually("volume \(id) is gone", within: deadline, every: interval) {
      do {
        _ = try await volume(id)
        return false
      } catch let refusal as Refusal where refusal.status == 404 {
        return true
      }
    }
  }

  /// Waits until the coordinator knows the instance by its node's reports.
  public func waitForInstance(
    _ id: InstanceID, status: String = "ACTIVE", within deadline: Duration = .seconds(60)
  ) async throws {
    try await eventually("instance \(id) is known as \(status)", within: deadline) {
      try await get("/compute/v2.1/servers/\(id)")["server"]["status"].string == status
    }
  }
}
