@testable import pumice

/// Swift Testing has an `ExitStatus` too.
typealias ExitStatus = pumice.ExitStatus

enum Fixture {
  static let volumeID = "11111111-1111-4111-8111-111111111111"
  static let otherID = "22222222-2222-4222-8222-222222222222"
  static let serverID = "33333333-3333-4333-8333-333333333333"
  static let detail = "/v3/p/volumes/detail"
  static let show = "GET /v3/p/volumes/\(volumeID)"
  static let explain = "GET /pumice/v1/volumes/\(volumeID)/explain"
  static let attachments = "/compute/v2.1/servers/\(serverID)/os-volume_attachments"

  static func volume(
    _ status: String, name: String = "db", id: String = volumeID, size: Int = 10, attachedTo server: String? = nil
  ) -> JSONValue {
    [
      "id": .string(id), "name": .string(name), "status": .string(status), "size": .integer(Int64(size)),
      "volume_type": "__DEFAULT__", "availability_zone": "nova", "metadata": [:],
      "attachments": server.map {
        [["server_id": .string($0), "device": "/dev/vdb", "host_name": "compute1", "id": .string(id)]]
      } ?? [],
    ]
  }

  static let snapshotID = "44444444-4444-4444-8444-444444444444"
  static let otherSnapshotID = "55555555-5555-4555-8555-555555555555"
  static let snapshots = "/v3/p/snapshots/detail"
  static let showSnapshot = "GET /v3/p/snapshots/\(snapshotID)"

  static func snapshot(
    _ status: String, name: String = "nightly", id: String = snapshotID, of volume: String = volumeID,
    createdAt: String = "2026-01-01T00:00:00.000000"
  ) -> JSONValue {
    [
      "id": .string(id), "name": .string(name), "status": .string(status), "size": 10, "volume_id": .string(volume),
      "created_at": .string(createdAt), "metadata": [:],
    ]
  }

  static func one(snapshot: JSONValue, status: Int = 200) -> ScriptedCoordinator.Answer {
    .json(["snapshot": snapshot] as [String: JSONValue], status: status)
  }

  static func snapshotList(_ snapshots: JSONValue...) -> ScriptedCoordinator.Answer {
    .json(["snapshots": .array(snapshots)] as [String: JSONValue])
  }

  static func one(_ volume: JSONValue, status: Int = 200) -> ScriptedCoordinator.Answer {
    .json(["volume": volume] as [String: JSONValue], status: status)
  }

  static func many(_ volumes: JSONValue...) -> ScriptedCoordinator.Answer {
    .json(["volumes": .array(volumes)] as [String: JSONValue])
  }

  static let servers = ScriptedCoordinator.Answer.json(
    [
      "servers": [
        [
          "id": .string(serverID), "name": "web1", "status": "ACTIVE", "OS-EXT-SRV-ATTR:host": "compute1",
          "os-extended-volumes:volumes_attached": [["id": .string(volumeID)]],
        ]
      ]
    ] as [String: JSONValue])

  static let missing = ScriptedCoordinator.Answer.error(404, "itemNotFound", "Volume could not be found.")

  /// An explanation with messages about reverts that failed.
  static func messages(_ texts: String...) -> ScriptedCoordinator.Answer {
    let messages = texts.map { text -> JSONValue in
      ["created_at": "2026-01-01T00:00:00Z", "action": "revert", "text": .string(text)]
    }
    return .json(["messages": .array(messages)] as [String: JSONValue])
  }

  static func explained(_ reason: String) -> ScriptedCoordinator.Answer {
    .json(["volume": ["failure": .string(reason)]] as [String: JSONValue])
  }
}
