import ArgumentParser

struct SnapshotCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "snapshot", abstract: "What volumes held at one moment: take, list, show and delete snapshots.",
    discussion: """
      pumice volume create --snapshot makes a volume from one; pumice volume revert gives a volume its content back.
      """,
    subcommands: [
      SnapshotCreate.self, SnapshotList.self, SnapshotShow.self, SnapshotExplain.self, SnapshotDelete.self,
    ])
}

extension SnapshotResource {
  var facts: [(name: String, value: String)] {
    [
      ("id", id), ("name", name), ("description", json["description"].text), ("status", status),
      ("size", size.map { "\($0) GiB" } ?? ""), ("volume", volume), ("consistency", json["pumice:consistency"].text),
      ("metadata", json["metadata"].text),
      ("created", createdAt), ("updated", json["updated_at"].text),
    ]
  }
}
