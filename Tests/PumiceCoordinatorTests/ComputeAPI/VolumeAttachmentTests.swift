import HTTPTypes
import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct VolumeAttachmentTests {
  static let vm = Instance(
    id: InstanceID(high: 0x1111_2222_3333_4444, low: 0x8555_6666_7777_8888), name: "vm-1", status: .active, vcpus: 2,
    memory: .mebibytes(512))
  static let other = Instance(id: .random(), name: "vm-2", status: .shutOff)

  private func withServers(_ body: @escaping @Sendable (CoordinatorFixture) async throws -> Void) async throws {
    try await withCoordinator(
      nodes: [FakeNode("n1"), FakeNode("c1", instances: [Self.vm, Self.other])], body)
  }

  @Test func serversAreTheInstancesThatAgentsReport() async throws {
    try await withServers { (coordinator) async throws in
      let servers = try await coordinator.get("/compute/v2.1/servers/detail")["servers"].array
      #expect(servers.map { $0["name"].string } == ["vm-1", "vm-2"])
      #expect(servers.map { $0["status"].string } == ["ACTIVE", "SHUTOFF"])
      #expect(servers[0]["OS-EXT-SRV-ATTR:host"] == .string("c1"))
      #expect(servers[0]["OS-EXT-STS:vm_state"] == .string("active"))
      #expect(try await coordinator.get("/compute/v2.1/servers")["servers"].array.count == 2)
      #expect(try await coordinator.get("/compute/v2.1/demo/servers")["servers"].array.count == 2)
      #expect(try await coordinator.get("/compute/v2.1/servers?name=vm-1")["servers"].array.count == 1)
      #expect(try await coordinator.get("/compute/v2.1/servers?name=%5Evm-2%24")["servers"].array.count == 1)
      #expect(try await coordinator.get("/compute/v2.1/servers?limit=1")["servers_links"].array.count == 1)
      let shown = try await coordinator.get("/compute/v2.1/servers/\(Self.vm.id)")["server"]
      #expect(shown["id"] == .string(Self.vm.id.description))
    }
  }

  @Test(arguments: [true, false], [true, false])
  func onItsOwnNodeAVolumeIsUsedWithoutATargetAndTheWayItCameItStays(isSameNode: Bool, isDevice: Bool) async throws {
    let storage = FakeNode("n1", instances: isSameNode ? [Self.vm] : [])
    let compute = FakeNode("c1", poolSize: .zero, instances: isSameNode ? [] : [Self.vm])
    for node in [storage, compute] { node.setLocal(isDevice) }
    try await withCoordinator(nodes: [storage, compute]) { (coordinator) async throws in
      let volume = try await coordinator.volume()
      _ = try await coordinator.send(
        .post, "/compute/v2.1/servers/\(Self.vm.id)/os-volume_attachments",
        #"{"volumeAttachment": {"volumeId": "\#(volume)"}}"#)
      try await coordinator.until("it is attached") { $0.holders(of: volume).first?.state == .attached }
      let attachment = try #require(coordinator.tables.holders(of: volume).first)
      let isLocal = isSameNode && isDevice
      let way = isLocal ? "local:n1" : isSameNode ? "iqn.2026-11.test:n1" : "iqn.2026-11.test:c1"
      #expect(attachment.isLocal == isLocal)
      #expect(storage.initiator(of: attachment.id) == way)

      // Whatever the nodes offer later.
      for node in [storage, compute] { node.setLocal(!isDevice) }
      try await coordinator.report()
      _ = try await coordinator.send(
        .post, "/v3/demo/volumes/\(volume)/action", #"{"os-extend": {"new_size": 2}}"#, version: "3.42")
      try await coordinator.until("it is extended") { $0.volumes[volume]?.size == .gibibytes(2) }
      #expect(storage.initiator(of: attachment.id) == way)
    }
  }

  @Test func aVolumeIsAttachedShownEverywhereAndDetached() async throws {
    try await withServers { (coordinator) async throws in
      let volume = try await coordinator.volume()
      let path = "/compute/v2.1/servers/\(Self.vm.id)/os-volume_attachments"
      let attached = try await coordinator.send(
        .post, path, #"{"volumeAttachment": {"volumeId": "\#(volume)", "device": "/dev/vdc"}}"#)
      #expect(attached.status == 200, "\(attached.text)")
      #expect(attached["volumeAttachment"]["volumeId"] == .string("\(volume)"))
      #expect(attached["volumeAttachment"]["serverId"] == .string("\(Self.vm.id)"))
      #expect(attached["volumeAttachment"]["device"] == .string("/dev/vdc"))
      try await coordinator.until("it is attached") { $0.holders(of: volume).first?.state == .attached }

      let shown = try await coordinator.get("/v3/demo/volumes/\(volume)")["volume"]
      #expect(shown["status"] == .string("in-use"))
      #expect(shown["attachments"][0]["server_id"] == .string("\(Self.vm.id)"))
      #expect(shown["attachments"][0]["device"] == .string("/dev/vdc"))
      #expect(shown["attachments"][0]["host_name"] == .string("c1"))
      #expect(shown["attachments"][0]["volume_id"] == .string("\(volume)"))
      let attachmentID = try #require(shown["attachments"][0]["attachment_id"].string)
      #expect(try await coordinator.get(path)["volumeAttachments"].array.count == 1)
      #expect(try await coordinator.get("\(path)/\(volume)")["volumeAttachment"]["device"] == .string("/dev/vdc"))
      let server = try await coordinator.get("/compute/v2.1/servers/\(Self.vm.id)")["server"]
      #expect(server["os-extended-volumes:volumes_attached"][0]["id"] == .string("\(volume)"))

      let listed = try await coordinator.get("/v3/demo/attachments", version: "3.27")["attachments"]
      #expect(listed[0].object.keys.sorted() == ["id", "instance", "status", "volume_id"])
      let detail = try await coordinator.get("/v3/demo/attachments/detail?volume_id=\(volume)", version: "3.27")[
        "attachments"]
      #expect(detail[0]["attach_mode"] == .string("rw"))
      let one = try await coordinator.get("/v3/demo/attachments/\(attachmentID)", version: "3.27")["attachment"]
      #expect(one["status"] == .string("attached"))
      #expect(one["instance"] == .string("\(Self.vm.id)"))

      // What is held can't go, nor be held twice; it can grow since 3.42.
      #expect(try await coordinator.send(.delete, "/v3/demo/volumes/\(volume)").status == 400)
      let again = try await coordinator.send(.post, path, #"{"volumeAttachment": {"volumeId": "\#(volume)"}}"#)
      #expect(again.status == 400)
      let action = #"{"os-extend": {"new_size": 2}}"#
      #expect(
        try await coordinator.send(.post, "/v3/demo/volumes/\(volume)/action", action, version: "3.41").status == 400)
      #expect(
        try await coordinator.send(.post, "/v3/demo/volumes/\(volume)/action", action, version: "3.42").status == 202)
      try await coordinator.until("it has grown") { $0.volumes[volume]?.size == .gibibytes(2) }

      #expect(try await coordinator.send(.delete, "\(path)/\(volume)").status == 202)
      try await coordinator.until("it is detached") { $0.holders(of: volume).isEmpty }
      let free = try await coordinator.get("/v3/demo/volumes/\(volume)")["volume"]
      #expect(free["status"] == .string("available"))
      #expect(free["attachments"] == .array([]))
      #expect(try await coordinator.get("\(path)/\(volume)").status == 404)
      #expect(try await coordinator.get("/v3/demo/attachments/\(attachmentID)", version: "3.27").status == 404)
      #expect(try await coordinator.send(.delete, "\(path)/\(volume)").status == 404)
      #expect(coordinator.nodes[1].connections == 0)
    }
  }

  @Test(arguments: [
    (#"{}"#, "volumeAttachment", 400), (#"{"volumeAttachment": {}}"#, "volumeId", 400),
    (#"{"volumeAttachment": {"volumeId": "x"}}"#, "volumeId", 400),
    (#"{"volumeAttachment": {"volumeId": 5}}"#, "volumeId", 400),
    (#"{"volumeAttachment": {"volumeId": "ffffffff-ffff-4fff-8fff-ffffffffffff"}}"#, "Volume", 404),
    (#"{"volumeAttachment": {"volumeId": "VOLUME", "device": "/etc/passwd"}}"#, "device", 400),
    (#"{"volumeAttachment": {"volumeId": "VOLUME", "device": "vd1"}}"#, "device", 400),
    (#"{"volumeAttachment": {"volumeId": "VOLUME", "device": "vdb'/><x"}}"#, "device", 400),
    (#"{"volumeAttachment": {"volumeId": "VOLUME", "device": 5}}"#, "device", 400),
    (#"{"volumeAttachment": {"volumeId": "VOLUME", "tag": "x"}}"#, "tag", 400),
    (#"{"volumeAttachment": {"volumeId": "VOLUME", "colour": "x"}}"#, "colour", 400),
  ])
  func aWrongRequestIsRefusedByNameAndAttachesNothing(body: String, field: String, status: Int) async throws {
    try await withServers { (coordinator) async throws in
      let volume = try await coordinator.volume()
      let filled = body.split(separator: "VOLUME", omittingEmptySubsequences: false).joined(separator: "\(volume)")
      let answer = try await coordinator.send(
        .post, "/compute/v2.1/servers/\(Self.vm.id)/os-volume_attachments", filled)
      #expect(answer.status == status, "\(answer.text)")
      #expect(answer.message.contains(field), "\(answer.text)")
      #expect(coordinator.tables.attachments.isEmpty)
    }
  }

  @Test func ofTwoThatWantAVolumeOneGetsIt() async throws {
    try await withServers { (coordinator) async throws in
      let volume = try await coordinator.volume()
      let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
        for instance in [Self.vm, Self.other, Self.vm, Self.other] {
          group.addTask {
            try await coordinator.send(
              .post, "/compute/v2.1/servers/\(instance.id)/os-volume_attachments",
              #"{"volumeAttachment": {"volumeId": "\#(volume)"}}"#
            ).status
          }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(statuses.sorted() == [200, 400, 400, 400])
    }
  }
}
