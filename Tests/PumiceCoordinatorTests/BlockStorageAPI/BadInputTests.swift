import HTTPTypes
import HashTreeCollections
import Hummingbird
import NIOCore
import PumiceModel
import Testing

@testable import PumiceCoordinator

/// Whatever is wrong gets a 4xx in Cinder's shape that names the field, and leaves no row.
@Suite struct BadInputTests {
  /// Bodies of `POST /v3/demo/volumes`, the field that is wrong, and the status.
  static let volumes: [(body: String, field: String, status: Int)] = [
    (#"{"volume": {"size": -1}}"#, "size", 400),
    (#"{"volume": {"size": 0}}"#, "size", 400),
    (#"{"volume": {"size": 1.5}}"#, "size", 400),
    (#"{"volume": {"size": 1.0}}"#, "size", 400),
    (#"{"volume": {"size": 1e3}}"#, "size", 400),
    (#"{"volume": {"size": 1e999}}"#, "size", 400),
    (#"{"volume": {"size": 2147483648}}"#, "size", 400),
    (#"{"volume": {"size": 99999999999999999999999999}}"#, "size", 400),
    (#"{"volume": {"size": "1"}}"#, "size", 400),
    (#"{"volume": {"size": "big"}}"#, "size", 400),
    (#"{"volume": {"size": true}}"#, "size", 400),
    (#"{"volume": {"size": [1]}}"#, "size", 400),
    (#"{"volume": {"size": {}}}"#, "size", 400),
    (#"{"volume": {"size": null}}"#, "size", 400),
    (#"{"volume": {}}"#, "size", 400),
    (#"{"volume": []}"#, "volume", 400),
    (#"{"volume": "v"}"#, "volume", 400),
    (#"{"volume": null}"#, "volume", 400),
    (#"{}"#, "volume", 400),
    (#"[]"#, "body", 400),
    (#""volume""#, "body", 400),
    (#"null"#, "body", 400),
    (#"{"disk": {"size": 1}}"#, "disk", 400),
    (#"{"volume": {"size": 1, "name": 5}}"#, "name", 400),
    (#"{"volume": {"size": 1, "name": ["a"]}}"#, "name", 400),
    (#"{"volume": {"size": 1, "name": "a\u0000b"}}"#, "name", 400),
    (#"{"volume": {"size": 1, "name": "a\nb"}}"#, "name", 400),
    (#"{"volume": {"size": 1, "name": "a\u001bb"}}"#, "name", 400),
    (#"{"volume": {"size": 1, "name": "a\u0085b"}}"#, "name", 400),
    (#"{"volume": {"size": 1, "name": "\#(String(repeating: "n", count: 256))"}}"#, "name", 400),
    (#"{"volume": {"size": 1, "description": {"a": 1}}}"#, "description", 400),
    (#"{"volume": {"size": 1, "description": "a\u0000"}}"#, "description", 400),
    (#"{"volume": {"size": 1, "description": "\#(String(repeating: "ü", count: 256))"}}"#, "description", 400),
    (#"{"volume": {"size": 1, "metadata": "a"}}"#, "metadata", 400),
    (#"{"volume": {"size": 1, "metadata": {"a": 1}}}"#, "metadata.a", 400),
    (#"{"volume": {"size": 1, "metadata": {"a": null}}}"#, "metadata.a", 400),
    (#"{"volume": {"size": 1, "metadata": {"": "a"}}}"#, "metadata", 400),
    (#"{"volume": {"size": 1, "metadata": {"a\u0000": "a"}}}"#, "metadata", 400),
    (#"{"volume": {"size": 1, "metadata": {"a": "\u0000"}}}"#, "metadata.a", 400),
    (#"{"volume": {"size": 1, "metadata": {"a": "\#(String(repeating: "v", count: 256))"}}}"#, "metadata.a", 400),
    (#"{"volume": {"size": 1, "metadata": {"\#(String(repeating: "k", count: 256))": "v"}}}"#, "metadata", 400),
    (#"{"volume": {"size": 1, "volume_type": "nope"}}"#, "volume_type", 404),
    (#"{"volume": {"size": 1, "volume_type": 3}}"#, "volume_type", 400),
    (#"{"volume": {"size": 1, "availability_zone": "mars"}}"#, "availability_zone", 400),
    (#"{"volume": {"size": 1, "availability_zone": 3}}"#, "availability_zone", 400),
    (#"{"volume": {"size": 1, "multiattach": "maybe"}}"#, "multiattach", 400),
    (#"{"volume": {"size": 1, "multiattach": true}}"#, "multiattach", 400),
    (#"{"volume": {"size": 1, "snapshot_id": "5a8a1a7e-0000-4000-8000-000000000000"}}"#, "snapshot_id", 404),
    (#"{"volume": {"snapshot_id": "x"}}"#, "snapshot_id", 400),
    (#"{"volume": {"snapshot_id": 5}}"#, "snapshot_id", 400),
    (#"{"volume": {"snapshot_id": ""}}"#, "size", 400),
    (#"{"volume": {"size": 1, "source_volid": "x"}}"#, "source_volid", 400),
    (#"{"volume": {"source_volid": "5a8a1a7e-0000-4000-8000-000000000000"}}"#, "source_volid", 404),
    (
      #"{"volume": {"source_volid": "5a8a1a7e-0000-4000-8000-000000000000", "snapshot_id": "5a8a1a7e-0000-4000-8000-000000000000"}}"#,
      "source_volid", 400
    ),
    (#"{"volume": {"size": 1, "imageRef": "x"}}"#, "imageRef", 400),
    (#"{"volume": {"size": 1}, "OS-SCH-HNT:scheduler_hints": {"same_host": "x"}}"#, "same_host", 400),
    (#"{"volume": {"size": 1}, "OS-SCH-HNT:scheduler_hints": 5}"#, "scheduler_hints", 400),
    (#"{"volume": {"size": 1, "colour": "red"}}"#, "colour", 400),
    (#"{"volume": {"size": 1"#, "body", 400),
    (#"{"volume": {"size": 1}} x"#, "body", 400),
    (#"not json"#, "body", 400),
    ("", "body", 400),
    (String(repeating: "[", count: 500_000), "body", 400),
    (#"{"volume": {"size": 1, "metadata": \#(String(repeating: #"{"a":"#, count: 1000))"#, "body", 400),
  ]

  @Test func aWrongOrderIsRefusedByNameAndLeavesNoRow() async throws {
    try await withCoordinator { (coordinator) async throws in
      for (body, field, status) in Self.volumes {
        let answer = try await coordinator.send(.post, "/v3/demo/volumes", body, version: "3.60")
        let shown = "\(body.prefix(120)) → \(answer.text.prefix(300))"
        #expect(answer.status == status, "\(shown)")
        #expect(answer.error?.key == (status == 404 ? "itemNotFound" : "badRequest"), "\(shown)")
        #expect(answer.error?.code == status, "\(shown)")
        #expect(answer.message.contains(field), "\(shown)")
        #expect(answer.message.utf8.count < 600, "\(shown)")
      }
      #expect(coordinator.tables.volumes.isEmpty)
      #expect(coordinator.tables.messages.isEmpty)
    }
  }

  @Test func aNameOfNearlyAMebibyteIsRefusedByNameAndOneOverByItsSize() async throws {
    try await withCoordinator { (coordinator) async throws in
      let long = #"{"volume": {"size": 1, "name": "\#(String(repeating: "n", count: 1 << 20 - 100))"}}"#
      let named = try await coordinator.send(.post, "/v3/demo/volumes", long)
      #expect(named.status == 400)
      #expect(named.message.contains("name") && named.message.utf8.count < 200)
      let longer = #"{"volume": {"size": 1, "name": "\#(String(repeating: "n", count: 1 << 20))"}}"#
      let sized = try await coordinator.send(.post, "/v3/demo/volumes", longer)
      #expect(sized.status == 413)
      #expect(sized.error?.key == "overLimit")
      #expect(coordinator.tables.volumes.isEmpty)
    }
  }

  @Test(arguments: [
    ("text/plain", 415), ("application/x-www-form-urlencoded", 415), ("application/jsonx", 415), ("", 415),
    ("multipart/form-data; boundary=x", 415), ("application/json", 202), ("application/json; charset=utf-8", 202),
    ("APPLICATION/JSON", 202),
  ])
  func onlyJSONIsTaken(type: String, status: Int) async throws {
    try await withCoordinator { (coordinator) async throws in
      let answer = try await coordinator.send(
        .post, "/v3/demo/volumes", #"{"volume": {"size": 1}}"#, headers: ["Content-Type": type])
      #expect(answer.status == status, "\(answer.text)")
      if status == 415 { #expect(answer.error?.key == "badMediaType") }
      #expect(coordinator.tables.volumes.count == (status == 202 ? 1 : 0))
    }
  }

  @Test func bytesThatAreNotUTF8AreRefused() async throws {
    try await withCoordinator { (coordinator) async throws in
      var bytes = ByteBuffer(string: #"{"volume": {"size": 1, "name": ""#)
      bytes.writeBytes([0xC3, 0x28, 0xFF])
      bytes.writeString(#""}}"#)
      let answer = try await coordinator.send(.post, "/v3/demo/volumes", bytes: bytes)
      #expect(answer.status == 400)
      #expect(answer.message.contains("body"))
      #expect(coordinator.tables.volumes.isEmpty)
    }
  }

  /// Paths whose identity is none, and one that nobody has.
  @Test(arguments: [
    "nope", "1", "%00", "..%2f..%2fetc", "ffffffff-ffff-4fff-8fff-ffffffffffff", "ffffffff-ffff-4fff-8fff-fffffffffffg",
    "%FF%FE", "ffffffff-ffff-4fff-8fff-ffffffffffff'--",
  ])
  func anIdentityThatIsNoneIsNotFound(id: String) async throws {
    let paths: [(HTTPRequest.Method, String, String?)] = [
      (.get, "/v3/demo/volumes/\(id)", nil), (.get, "/v3/volumes/\(id)", nil),
      (.delete, "/v3/demo/volumes/\(id)", nil), (.put, "/v3/demo/volumes/\(id)", #"{"volume": {"name": "a"}}"#),
      (.get, "/v3/demo/volumes/\(id)/metadata", nil),
      (.post, "/v3/demo/volumes/\(id)/action", #"{"os-extend": {"new_size": 5}}"#),
      (.get, "/v3/demo/snapshots/\(id)", nil), (.delete, "/v3/demo/snapshots/\(id)", nil),
      (.put, "/v3/demo/snapshots/\(id)", #"{"snapshot": {"name": "a"}}"#),
      (.get, "/v3/demo/snapshots/\(id)/metadata", nil),
      (.post, "/v3/demo/snapshots/\(id)/action", #"{"os-force_delete": {}}"#),
      (.get, "/pumice/v1/snapshots/\(id)/explain", nil), (.get, "/v3/demo/snapshots?marker=\(id)", nil),
      (.get, "/v3/demo/types/\(id)", nil), (.delete, "/v3/demo/types/\(id)", nil),
      (.get, "/v3/demo/types/\(id)/extra_specs", nil), (.get, "/v3/demo/attachments/\(id)", nil),
      (.get, "/v3/demo/messages/\(id)", nil), (.delete, "/v3/demo/messages/\(id)", nil),
      (.get, "/compute/v2.1/servers/\(id)", nil), (.get, "/compute/v2.1/servers/\(id)/os-volume_attachments", nil),
      (.post, "/compute/v2.1/servers/\(id)/os-volume_attachments", #"{"volumeAttachment": {"volumeId": "x"}}"#),
      (.delete, "/compute/v2.1/servers/\(id)/os-volume_attachments/\(id)", nil),
      (.get, "/pumice/v1/volumes/\(id)/explain", nil), (.get, "/pumice/v1/nodes/\(id)", nil),
      (.get, "/v3/demo/volumes?marker=\(id)", nil),
    ]
    try await withCoordinator { (coordinator) async throws in
      for (method, path, body) in paths {
        let answer = try await coordinator.send(method, path, body, version: "3.60")
        #expect(answer.status == 404, "\(method) \(path): \(answer.text)")
        #expect(answer.error?.key == "itemNotFound", "\(method) \(path): \(answer.text)")
      }
    }
  }

  /// Bodies for one volume that is there.
  static let changes: [(method: HTTPRequest.Method, path: String, body: String, field: String)] = [
    (.put, "", #"{"volume": {"name": 1}}"#, "name"),
    (.put, "", #"{"volume": {"size": 5}}"#, "size"),
    (.put, "", #"{"volume": {"metadata": {"a": 1}}}"#, "metadata.a"),
    (.put, "", #"{"volume": {}}"#, "volume"),
    (.put, "", #"{"name": "a"}"#, "name"),
    (.post, "/metadata", #"{"metadata": 5}"#, "metadata"),
    (.post, "/metadata", #"{"meta": {}}"#, "meta"),
    (.put, "/metadata", #"{}"#, "metadata"),
    (.put, "/metadata/a", #"{"meta": {"b": "c"}}"#, "meta"),
    (.put, "/metadata/a", #"{"meta": {"a": "b", "c": "d"}}"#, "meta"),
    (.post, "/action", #"{}"#, "action"),
    (.post, "/action", #"{"os-extend": {"new_size": 2}, "os-reset_status": {}}"#, "action"),
    (.post, "/action", #"{"os-extend": {}}"#, "new_size"),
    (.post, "/action", #"{"os-extend": {"new_size": 1}}"#, "new_size"),
    (.post, "/action", #"{"os-extend": {"new_size": 0}}"#, "new_size"),
    (.post, "/action", #"{"os-extend": {"new_size": -5}}"#, "new_size"),
    (.post, "/action", #"{"os-extend": {"new_size": "5"}}"#, "new_size"),
    (.post, "/action", #"{"os-extend": {"new_size": 5.5}}"#, "new_size"),
    (.post, "/action", #"{"os-extend": {"new_size": 99999999999}}"#, "new_size"),
    (.post, "/action", #"{"os-extend": {"new_size": 5, "x": 1}}"#, "x"),
    (.post, "/action", #"{"os-extend": 5}"#, "os-extend"),
    (.post, "/action", #"{"os-reset_status": {"status": "happy"}}"#, "status"),
    (.post, "/action", #"{"os-reset_status": {"status": null}}"#, "status"),
    (.post, "/action", #"{"os-reset_status": {"status": "available", "attach_status": "detached"}}"#, "attach_status"),
    (.post, "/action", #"{"revert": {}}"#, "snapshot_id"),
    (.post, "/action", #"{"revert": {"snapshot_id": null}}"#, "snapshot_id"),
    (.post, "/action", #"{"revert": {"snapshot_id": "x"}}"#, "snapshot_id"),
    (.post, "/action", #"{"revert": {"snapshot_id": 5}}"#, "snapshot_id"),
    (.post, "/action", #"{"revert": {"snapshot_id": "x", "colour": "red"}}"#, "colour"),
    (.post, "/action", #"{"os-set_bootable": {"bootable": "perhaps"}}"#, "bootable"),
    (.post, "/action", #"{"os-retype": {"new_type": "x"}}"#, "new_type"),
    (.post, "/action", #"{"os-explode": {}}"#, "os-explode"),
  ]

  @Test func aWrongChangeIsRefusedByNameAndChangesNothing() async throws {
    try await withCoordinator { (coordinator) async throws in
      let id = try await coordinator.volume()
      let before = coordinator.tables.volumes[id]
      for (method, path, body, field) in Self.changes {
        let answer = try await coordinator.send(method, "/v3/demo/volumes/\(id)\(path)", body, version: "3.60")
        #expect(answer.status == 400, "\(body): \(answer.text)")
        #expect(answer.error?.key == "badRequest", "\(body): \(answer.text)")
        #expect(answer.message.contains(field), "\(body): \(answer.text)")
      }
      #expect(coordinator.tables.volumes[id] == before)
    }
  }

  /// Bodies of `POST /v3/demo/snapshots`, where `VOLUME` is there, and the field that is wrong.
  static let snapshots: [(body: String, field: String, status: Int)] = [
    (#"{}"#, "snapshot", 400),
    (#"[]"#, "body", 400),
    ("", "body", 400),
    (#"{"snapshot": []}"#, "snapshot", 400),
    (#"{"snapshot": null}"#, "snapshot", 400),
    (#"{"snapshot": {}}"#, "volume_id", 400),
    (#"{"snapshot": {"volume_id": null}}"#, "volume_id", 400),
    (#"{"snapshot": {"volume_id": 5}}"#, "volume_id", 400),
    (#"{"snapshot": {"volume_id": "x"}}"#, "volume_id", 400),
    (#"{"snapshot": {"volume_id": "ffffffff-ffff-4fff-8fff-ffffffffffff"}}"#, "Volume", 404),
    (#"{"snapshot": {"volume_id": "VOLUME", "name": 5}}"#, "name", 400),
    (#"{"snapshot": {"volume_id": "VOLUME", "name": "a\u0000b"}}"#, "name", 400),
    (#"{"snapshot": {"volume_id": "VOLUME", "name": "\#(String(repeating: "n", count: 256))"}}"#, "name", 400),
    (#"{"snapshot": {"volume_id": "VOLUME", "description": {"a": 1}}}"#, "description", 400),
    (#"{"snapshot": {"volume_id": "VOLUME", "force": "perhaps"}}"#, "force", 400),
    (#"{"snapshot": {"volume_id": "VOLUME", "force": 5}}"#, "force", 400),
    (#"{"snapshot": {"volume_id": "VOLUME", "metadata": {"a": 1}}}"#, "metadata.a", 400),
    (#"{"snapshot": {"volume_id": "VOLUME", "metadata": "a"}}"#, "metadata", 400),
    (#"{"snapshot": {"volume_id": "VOLUME", "size": 5}}"#, "size", 400),
    (#"{"snapshot": {"volume_id": "VOLUME"}, "colour": "red"}"#, "colour", 400),
    (#"{"snapshot": {"volume_id": "VOLUME"}"#, "body", 400),
  ]

  @Test func aWrongSnapshotIsRefusedByNameAndLeavesNoRow() async throws {
    try await withCoordinator { (coordinator) async throws in
      let volume = try await coordinator.volume()
      for (body, field, status) in Self.snapshots {
        let filled = body.split(separator: "VOLUME", omittingEmptySubsequences: false).joined(separator: "\(volume)")
        let answer = try await coordinator.send(.post, "/v3/demo/snapshots", filled, version: "3.60")
        #expect(answer.status == status, "\(body): \(answer.text)")
        #expect(answer.error?.key == (status == 404 ? "itemNotFound" : "badRequest"), "\(body): \(answer.text)")
        #expect(answer.message.contains(field), "\(body): \(answer.text)")
      }
      #expect(coordinator.tables.snapshots.isEmpty)
    }
  }

  /// Bodies for one snapshot that is there.
  static let snapshotChanges: [(method: HTTPRequest.Method, path: String, body: String, field: String)] = [
    (.put, "", #"{"snapshot": {}}"#, "snapshot"),
    (.put, "", #"{"snapshot": {"name": 1}}"#, "name"),
    (.put, "", #"{"snapshot": {"metadata": {}}}"#, "metadata"),
    (.put, "", #"{"volume": {"name": "a"}}"#, "volume"),
    (.post, "/metadata", #"{"metadata": 5}"#, "metadata"),
    (.put, "/metadata", #"{}"#, "metadata"),
    (.put, "/metadata/a", #"{"meta": {"b": "c"}}"#, "meta"),
    (.post, "/action", #"{}"#, "action"),
    (.post, "/action", #"{"os-reset_status": {"status": "happy"}}"#, "status"),
    (.post, "/action", #"{"os-reset_status": {}}"#, "status"),
    (.post, "/action", #"{"os-update_snapshot_status": {}}"#, "os-update_snapshot_status"),
    (.post, "/action", #"{"os-explode": {}}"#, "os-explode"),
  ]

  @Test func aWrongChangeOfASnapshotIsRefusedByNameAndChangesNothing() async throws {
    try await withCoordinator { (coordinator) async throws in
      let id = try await coordinator.snapshot(of: try await coordinator.volume())
      let before = coordinator.tables.snapshots[id]
      for (method, path, body, field) in Self.snapshotChanges {
        let answer = try await coordinator.send(method, "/v3/demo/snapshots/\(id)\(path)", body, version: "3.60")
        #expect(answer.status == 400, "\(body): \(answer.text)")
        #expect(answer.message.contains(field), "\(body): \(answer.text)")
      }
      #expect(coordinator.tables.snapshots[id] == before)
    }
  }

  @Test(arguments: [
    "limit=-1", "offset=x", "sort=colour", "sort_dir=up", "all_tenants=perhaps", "with_count=perhaps", "metadata=x",
    "consumes_quota=some", "colour=red", "size=1",
  ])
  func aWrongQueryOfSnapshotsIsRefusedByName(query: String) async throws {
    try await withCoordinator { (coordinator) async throws in
      let answer = try await coordinator.get("/v3/demo/snapshots?\(query)", version: "3.65")
      #expect(answer.status == 400, "\(answer.text)")
      #expect(answer.message.contains(query.split(separator: "=")[0].split(separator: "_")[0]), "\(answer.text)")
    }
  }

  @Test(arguments: [
    "limit=-1", "limit=x", "limit=1.5", "limit=99999999999999999999", "offset=-1", "offset=x", "sort=colour",
    "sort=name:up", "sort_key=colour", "sort_dir=up", "all_tenants=perhaps", "with_count=perhaps", "metadata=x",
    "size=big", "bootable=perhaps", "created_at=yesterday", "updated_at=gt:never", "consumes_quota=some", "colour=red",
  ])
  func aWrongQueryIsRefusedByName(query: String) async throws {
    try await withCoordinator { (coordinator) async throws in
      for path in ["/v3/demo/volumes", "/v3/demo/volumes/detail"] {
        let answer = try await coordinator.get("\(path)?\(query)", version: "3.65")
        #expect(answer.status == 400, "\(answer.text)")
        let field = query.split(separator: "=")[0].split(separator: "_")[0]
        #expect(answer.message.contains(field), "\(answer.text)")
      }
    }
  }

  @Test(arguments: [
    ("/v3/demo/types", HTTPRequest.Method.post, #"{"volume_type": {}}"#, "name"),
    ("/v3/demo/types", .post, #"{"volume_type": {"name": ""}}"#, "name"),
    ("/v3/demo/types", .post, #"{"volume_type": {"name": 1}}"#, "name"),
    ("/v3/demo/types", .post, #"{"volume_type": {"name": "a", "extra_specs": {"a": 1}}}"#, "extra_specs.a"),
    ("/v3/demo/types", .post, #"{"volume_type": {"name": "a", "extra_specs": {"a/b": "1"}}}"#, "extra_specs"),
    ("/v3/demo/types", .post, #"{"volume_type": {"name": "a", "is_public": "so"}}"#, "is_public"),
    ("/v3/demo/types", .post, #"{"volume_type": {"name": "a", "colour": 1}}"#, "colour"),
    ("/v3/demo/os-quota-sets/demo", .put, #"{"quota_set": {}}"#, "quota_set"),
    ("/v3/demo/os-quota-sets/demo", .put, #"{"quota_set": {"volumes": -2}}"#, "volumes"),
    ("/v3/demo/os-quota-sets/demo", .put, #"{"quota_set": {"volumes": "many"}}"#, "volumes"),
    ("/v3/demo/os-quota-sets/demo", .put, #"{"quota_set": {"volumes": 1.5}}"#, "volumes"),
    ("/v3/demo/os-quota-sets/demo", .put, #"{"quota_set": {"volumes": 99999999999}}"#, "volumes"),
    ("/v3/demo/os-quota-sets/demo", .put, #"{"quota_set": {"colours": 5}}"#, "colours"),
    ("/v3/demo/os-quota-sets/%00", .put, #"{"quota_set": {"volumes": 5}}"#, "project"),
    ("/v3/demo/os-services/disable", .put, #"{}"#, "host"),
    ("/v3/demo/os-services/disable", .put, #"{"host": "n1", "binary": "cinder-backup"}"#, "binary"),
    ("/v3/demo/os-services/disable-log-reason", .put, #"{"host": "n1", "binary": "cinder-volume"}"#, "disabled_reason"),
    ("/pumice/v1/nodes/n1", .put, #"{}"#, "enabled"),
    ("/pumice/v1/nodes/n1", .put, #"{"enabled": "perhaps"}"#, "enabled"),
    ("/pumice/v1/nodes/n1", .put, #"{"lost": 5}"#, "lost"),
    ("/v3/%00/volumes", .post, #"{"volume": {"size": 1}}"#, "project"),
  ])
  func wrongAdministrationIsRefusedByName(
    path: String, method: HTTPRequest.Method, body: String, field: String
  ) async throws {
    try await withCoordinator { (coordinator) async throws in
      let answer = try await coordinator.send(method, path, body, version: "3.60")
      #expect(answer.status == 400, "\(answer.text)")
      #expect(answer.message.contains(field), "\(answer.text)")
      #expect(coordinator.tables.types.count == 1)
      #expect(coordinator.tables.quotas.isEmpty)
      #expect(coordinator.tables.volumes.isEmpty)
    }
  }
}
