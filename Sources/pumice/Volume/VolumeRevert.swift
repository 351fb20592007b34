import ArgumentParser

struct VolumeRevert: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "revert", abstract: "Give a volume back the content of its latest snapshot.",
    discussion: """
      What was written since the snapshot was taken is lost; without --yes the command only says which snapshot that is. \
      The volume must not be attached, must not have grown since, and the snapshot must be its latest: delete later ones \
      first, or make a new volume from an older one with pumice volume create --snapshot. The snapshot stays.

      A revert that fails leaves the volume as it was.

      EXAMPLES
        pumice volume revert db
        pumice volume revert db before-upgrade --yes --wait
      """)

  @Argument(help: "The volume, by name or id.")
  var volume: String

  @Argument(help: "The snapshot, by name or id; the volume's latest without this.")
  var snapshot: String?

  @Flag(help: "I know that what was written since then is lost.")
  var yes = false

  @OptionGroup var waiting: WaitOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let client = connection.client
    let volume = try await client.volume(volume)
    let snapshot = try await snapshot(of: volume, client)
    guard yes else {
      throw CommandFailure(
        .usage,
        "Reverting volume \(volume.label) to snapshot \(snapshot.label), taken \(snapshot.createdAt), "
          + "loses what was written to it since.", advice: "Give --yes to do so.")
    }
    let toldBefore = waiting.wait ? try await reasons(volume, client) : []
    // The first version that reverts.
    _ = try await client.post(
      .blockStorage("volumes", volume.id, "action").requiring("3.40"),
      ["revert": ["snapshot_id": .string(snapshot.id)]])
    guard waiting.wait else {
      output.confirm("Volume \(volume.label) is being reverted to snapshot \(snapshot.label).", id: volume.id)
      return
    }
    let reverted = try await waiting.follow(volume, whileItIsBeing: "reverted", client) { now in
      now.status == "reverting" ? .going(await client.state(of: now)) : .done(now)
    }
    // Reverted or not, it is available again: only a message tells that it was not.
    if let reason = try await reasons(volume, client).first(where: { !toldBefore.contains($0) }) {
      throw CommandFailure(.failed, "Volume \(volume.label) could not be reverted: \(reason["text"].text)")
    }
    output.print(reverted) { reverted.facts }
  }

  private func snapshot(of volume: VolumeResource, _ client: CoordinatorClient) async throws -> SnapshotResource {
    if let snapshot { return try await client.snapshot(snapshot, of: volume) }
    let path = APIPath.blockStorage("snapshots", "detail").adding("volume_id", volume.id)
    let latest = try await client.list(path, "snapshots").map(SnapshotResource.init)
      .filter { $0.volume == volume.id && $0.status == "available" }.max { $0.createdAt < $1.createdAt }
    guard let latest else {
      throw CommandFailure(.conflict, "Volume \(volume.label) has no snapshot that is available.")
    }
    return latest
  }

  /// Why reverts of the volume have failed so far.
  private func reasons(_ volume: VolumeResource, _ client: CoordinatorClient) async throws -> [JSONValue] {
    try await client.explanation(of: volume)["messages"].array.filter { $0["action"].string == "revert" }
  }
}
