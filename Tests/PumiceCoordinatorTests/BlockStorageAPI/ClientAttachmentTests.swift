import HTTPTypes
import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

/// Those who connect to volumes by themselves: attachments since 3.27, and what was said to volumes before.
@Suite struct ClientAttachmentTests {
  private static let initiator = "iqn.2026-11.test:host"
  private static let connector =
    #"{"initiator": "\#(initiator)", "host": "host", "ip": "192.0.2.7", "multipath": false}"#
  private static let vm = Instance(id: .random(), name: "vm", status: .active)

  private func with(
    _ body: @escaping @Sendable (CoordinatorFixture, FakeNode, VolumeID) async throws -> Void
  ) async throws {
    let node = FakeNode("n1", instances: [Self.vm])
    node.setProtocol("iSCSI")
    try await withCoordinator(nodes: [node]) { coordinator in
      try await body(coordinator, node, try await coordinator.volume())
    }
  }

  private func post(
    _ attachment: String, by coordinator: CoordinatorFixture, version: String = "3.70"
  ) async throws -> Answer {
    try await coordinator.send(.post, "/v3/demo/attachments", #"{"attachment": \#(attachment)}"#, version: version)
  }

  private func act(
    _ action: String, on volume: VolumeID, by coordinator: CoordinatorFixture, project: String = "demo"
  ) async throws -> Answer {
    try await coordinator.send(.post, "/v3/\(project)/volumes/\(volume)/action", "{\(action)}")
  }

  private func status(of volume: VolumeID, by coordinator: CoordinatorFixture) async throws -> String? {
    try await coordinator.get("/v3/demo/volumes/\(volume)")["volume"]["status"].string
  }

  @Test func aVolumeIsReservedConnectedCompletedAndLetGo() async throws {
    try await with { coordinator, node, volume in
      let instance = InstanceID.random()
      let reserved = try await post(
        #"{"volume_uuid": "\#(volume)", "instance_uuid": "\#(instance)"}"#, by: coordinator)
      #expect(reserved.status == 200, "\(reserved.text)")
      let id = try #require(reserved["attachment"]["id"].string.flatMap { AttachmentID($0) })
      #expect(reserved["attachment"]["status"] == .string("reserved"))
      #expect(reserved["attachment"]["instance"] == .string("\(instance)"))
      #expect(try await status(of: volume, by: coordinator) == "reserved")
      #expect(node.exports.isEmpty)

      let path = "/v3/demo/attachments/\(id)"
      for _ in 0..<2 {
        let updated = try await coordinator.send(
          .put, path, #"{"attachment": {"connector": \#(Self.connector)}}"#, version: "3.70")
        #expect(updated.status == 200, "\(updated.text)")
        let info = updated["attachment"]["connection_info"]
        #expect(info["driver_volume_type"] == .string("iscsi") && info["target_portal"] == .string("192.0.2.1:3260"))
        #expect(info["auth_password"] == .string("secret-secret") && info["access_mode"] == .string("rw"))
        #expect(updated["attachment"]["status"] == .string("attaching"))
      }
      #expect(node.exports == [id: volume] && node.initiator(of: id) == Self.initiator)
      #expect(try await status(of: volume, by: coordinator) == "attaching")

      let complete = try await coordinator.send(.post, path + "/action", #"{"os-complete": "\#(id)"}"#, version: "3.70")
      #expect(complete.status == 204, "\(complete.text)")
      let shown = try await coordinator.get("/v3/demo/volumes/\(volume)")["volume"]
      #expect(shown["status"] == .string("in-use"))
      #expect(shown["attachments"].array.first?["server_id"] == .string("\(instance)"))
      let attachment = try await coordinator.get(path, version: "3.70")
      #expect(!attachment.text.contains("secret"), "A secret is said once, to who asks for it.")
      #expect(try await coordinator.send(.delete, "/v3/demo/volumes/\(volume)").status == 400)

      let gone = try await coordinator.send(.delete, path, version: "3.70")
      #expect(gone.status == 200 && gone["attachments"].array.isEmpty, "\(gone.text)")
      #expect(node.exports.isEmpty)
      #expect(try await status(of: volume, by: coordinator) == "available")
      #expect(try await coordinator.send(.delete, path, version: "3.70").status == 404)
    }
  }

  @Test func oneCallIsEnoughAndOldClientsDontComplete() async throws {
    try await with { coordinator, node, volume in
      for (version, wanted) in [("3.27", "attached"), ("3.54", "attaching")] {
        let made = try await post(
          #"{"volume_uuid": "\#(volume)", "connector": \#(Self.connector), "mode": "ro"}"#, by: coordinator,
          version: version)
        #expect(made.status == 200, "\(made.text)")
        #expect(made["attachment"]["status"] == .string(wanted))
        #expect(made["attachment"]["connection_info"]["access_mode"] == .string("ro"))
        let id = try #require(made["attachment"]["id"].string)
        #expect(try await coordinator.send(.delete, "/v3/demo/attachments/\(id)", version: version).status == 200)
      }
      #expect(node.exports.isEmpty)
    }
  }

  @Test func whatIsTakenIsRefusedAndLeavesNothing() async throws {
    try await with { coordinator, node, volume in
      let first = try await post(#"{"volume_uuid": "\#(volume)"}"#, by: coordinator)
      #expect(first.status == 200)
      let second = try await post(#"{"volume_uuid": "\#(volume)"}"#, by: coordinator)
      #expect(second.status == 400 && second.text.contains("reserved"), "\(second.text)")
      let attach = try await coordinator.send(
        .post, "/compute/v2.1/servers/\(Self.vm.id)/os-volume_attachments",
        #"{"volumeAttachment": {"volumeId": "\#(volume)"}}"#)
      #expect(attach.status == 400, "\(attach.text)")
      for connector in [#"{}"#, #"{"initiator": "local:n1"}"#, #"{"initiator": "nfs:n1"}"#, #"{"initiator": "x"}"#] {
        let id = try #require(first["attachment"]["id"].string)
        let refused = try await coordinator.send(
          .put, "/v3/demo/attachments/\(id)", #"{"attachment": {"connector": \#(connector)}}"#, version: "3.70")
        #expect(refused.status == 400, "\(refused.text)")
      }
      #expect(node.exports.isEmpty)
      #expect(coordinator.tables.attachments.count == 1)
    }
  }

  @Test func volumesOfSharesAreForAgents() async throws {
    try await with { coordinator, node, volume in
      node.setProtocol("NFS")
      try await coordinator.report()
      let refused = try await post(
        #"{"volume_uuid": "\#(volume)", "connector": \#(Self.connector)}"#, by: coordinator)
      #expect(refused.status == 400 && refused.text.contains("NFS"), "\(refused.text)")
      #expect(try await status(of: volume, by: coordinator) == "available", "Nothing is left of it.")
    }
  }

  @Test func anInstanceOfAComputeNodeIsDetachedByItsNode() async throws {
    let node = FakeNode("n1", instances: [Self.vm])
    try await withCoordinator(nodes: [node]) { coordinator in
      let volume = try await coordinator.volume()
      _ = try await coordinator.send(
        .post, "/compute/v2.1/servers/\(Self.vm.id)/os-volume_attachments",
        #"{"volumeAttachment": {"volumeId": "\#(volume)"}}"#)
      try await coordinator.until("it is attached") { $0.holders(of: volume).first?.state == .attached }
      let id = try #require(coordinator.tables.holders(of: volume).first?.id)
      let taken = try await coordinator.send(
        .put, "/v3/demo/attachments/\(id)", #"{"attachment": {"connector": \#(Self.connector)}}"#, version: "3.70")
      #expect(taken.status == 409 || taken.status == 400, "\(taken.text)")
      for action in [#""os-begin_detaching": {}"#, #""os-detach": {}"#] {
        #expect(try await act(action, on: volume, by: coordinator).status == 404)
      }
      #expect(node.connections == 1)
      #expect(try await coordinator.send(.delete, "/v3/demo/attachments/\(id)", version: "3.70").status == 200)
      try await coordinator.until("it is free") { $0.holders(of: volume).isEmpty }
      #expect(node.connections == 0 && node.exports.isEmpty)
    }
  }

  // MARK: Before 3.27

  @Test func theOldWayLeadsThereAndBack() async throws {
    try await with { coordinator, node, volume in
      #expect(try await act(#""os-reserve": {}"#, on: volume, by: coordinator).status == 202)
      #expect(try await status(of: volume, by: coordinator) == "attaching")
      let connected = try await act(
        #""os-initialize_connection": {"connector": \#(Self.connector)}"#, on: volume, by: coordinator)
      #expect(connected.status == 200, "\(connected.text)")
      let info = connected["connection_info"]
      #expect(info["driver_volume_type"] == .string("iscsi") && info["data"]["auth_method"] == .string("CHAP"))
      #expect(node.exports.count == 1)
      let attached = try await act(
        #""os-attach": {"host_name": "host", "mountpoint": "/dev/sdb", "mode": "rw"}"#, on: volume, by: coordinator)
      #expect(attached.status == 202, "\(attached.text)")
      let shown = try await coordinator.get("/v3/demo/volumes/\(volume)")["volume"]
      #expect(shown["status"] == .string("in-use"))
      #expect(shown["attachments"].array.first?["device"] == .string("/dev/sdb"))

      #expect(try await act(#""os-begin_detaching": {}"#, on: volume, by: coordinator).status == 202)
      #expect(try await status(of: volume, by: coordinator) == "detaching")
      #expect(try await act(#""os-roll_detaching": {}"#, on: volume, by: coordinator).status == 202)
      #expect(try await status(of: volume, by: coordinator) == "in-use")
      #expect(try await act(#""os-begin_detaching": {}"#, on: volume, by: coordinator).status == 202)
      let ended = try await act(
        #""os-terminate_connection": {"connector": \#(Self.connector)}"#, on: volume, by: coordinator)
      #expect(ended.status == 202, "\(ended.text)")
      #expect(try await act(#""os-detach": {}"#, on: volume, by: coordinator).status == 202)
      #expect(try await status(of: volume, by: coordinator) == "available")
      #expect(node.exports.isEmpty)
    }
  }

  @Test func aReservationAndAConnectionAreTakenBack() async throws {
    try await with { coordinator, node, volume in
      for _ in 0..<2 {
        #expect(try await act(#""os-unreserve": {}"#, on: volume, by: coordinator).status == 202)
        #expect(try await status(of: volume, by: coordinator) == "available")
        _ = try await act(#""os-reserve": {}"#, on: volume, by: coordinator)
      }
      #expect(try await act(#""os-unreserve": {}"#, on: volume, by: coordinator).status == 202)
      let connector = #"{"connector": \#(Self.connector)}"#
      #expect(try await act(#""os-initialize_connection": \#(connector)"#, on: volume, by: coordinator).status == 200)
      #expect(try await status(of: volume, by: coordinator) == "attaching", "Nobody else gets it meanwhile.")
      #expect(try await act(#""os-terminate_connection": \#(connector)"#, on: volume, by: coordinator).status == 202)
      #expect(try await status(of: volume, by: coordinator) == "available")
      #expect(node.exports.isEmpty)
    }
  }

  // MARK: Read-only, and types

  @Test func aReadOnlyVolumeIsReadOnlyToWhoeverGetsIt() async throws {
    try await with { coordinator, node, volume in
      #expect(
        try await act(#""os-update_readonly_flag": {"readonly": true}"#, on: volume, by: coordinator).status == 202)
      #expect(
        try await coordinator.get("/v3/demo/volumes/\(volume)")["volume"]["metadata"]["readonly"] == .string("True"))
      let refused = try await post(#"{"volume_uuid": "\#(volume)", "mode": "rw"}"#, by: coordinator)
      #expect(refused.status == 400, "\(refused.text)")
      let made = try await post(#"{"volume_uuid": "\#(volume)"}"#, by: coordinator)
      #expect(made["attachment"]["attach_mode"] == .string("ro"))
      let taken = try await act(#""os-update_readonly_flag": {"readonly": false}"#, on: volume, by: coordinator)
      #expect(taken.status == 400 && taken.text.contains("detach it first"), "\(taken.text)")
    }
  }

  @Test func aTypeIsChangedWhereTheVolumeCanStay() async throws {
    try await with { coordinator, _, volume in
      for (name, specs) in [
        ("same", #"{"media": "ssd"}"#), ("far", #"{"media": "tape"}"#), ("shared", #"{"multiattach": "<is> True"}"#),
      ] {
        let made = try await coordinator.send(
          .post, "/v3/demo/types", #"{"volume_type": {"name": "\#(name)", "extra_specs": \#(specs)}}"#)
        try #require(made.status == 200)
      }
      func retype(_ name: String) async throws -> Answer {
        try await act(
          #""os-retype": {"new_type": "\#(name)", "migration_policy": "never"}"#, on: volume, by: coordinator)
      }
      for name in ["far", "shared"] {
        let refused = try await retype(name)
        #expect(refused.status == 400 && refused.text.contains("new volume of that type"), "\(refused.text)")
      }
      #expect(try await retype("nothing").status == 400)
      for _ in 0..<2 { #expect(try await retype("same").status == 202) }
      #expect(try await coordinator.get("/v3/demo/volumes/\(volume)")["volume"]["volume_type"] == .string("same"))
      _ = try await coordinator.send(
        .put, "/v3/demo/os-quota-sets/demo", #"{"quota_set": {"volumes___DEFAULT__": 0}}"#)
      let full = try await retype("__DEFAULT__")
      #expect(full.status == 413, "\(full.text)")
    }
  }
}
