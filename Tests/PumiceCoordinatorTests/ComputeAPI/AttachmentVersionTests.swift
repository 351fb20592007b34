import Foundation
import HTTPTypes
import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

/// What each of Nova's microversions knows of an attached volume.
@Suite struct AttachmentVersionTests {
  private static let words = #", "tag": "data", "delete_on_termination": true"#

  @Test(arguments: [
    ("2.1", ["device", "id", "serverId", "volumeId"], ["device", "id", "serverId", "volumeId"]),
    ("2.69", ["device", "id", "serverId", "volumeId"], ["device", "id", "serverId", "volumeId"]),
    ("2.70", ["device", "id", "serverId", "tag", "volumeId"], ["device", "id", "serverId", "tag", "volumeId"]),
    (
      "2.79", ["delete_on_termination", "device", "id", "serverId", "tag", "volumeId"],
      ["delete_on_termination", "device", "id", "serverId", "tag", "volumeId"]
    ),
    (
      "2.89", ["delete_on_termination", "device", "id", "serverId", "tag", "volumeId"],
      ["attachment_id", "bdm_uuid", "delete_on_termination", "device", "serverId", "tag", "volumeId"]
    ),
  ])
  func anAnswerHasTheMembersOfItsVersion(version: String, made: [String], shown: [String]) async throws {
    try await ComputeFixture.with { (coordinator) async throws in
      let volume = try await coordinator.volume()
      let answer = try await coordinator.attach(volume, version: version)
      #expect(answer.status == 200, "\(answer.text)")
      #expect(answer["volumeAttachment"].object.keys.sorted() == made)
      let one = try await coordinator.compute(.get, "\(ComputeFixture.attachments)/\(volume)", version: version)
      #expect(one["volumeAttachment"].object.keys.sorted() == shown)
      let list = try await coordinator.compute(.get, ComputeFixture.attachments, version: version)
      #expect(list["volumeAttachments"].array.map { $0.object.keys.sorted() } == [shown])
      #expect(answer.headers[.apiVersion] == "compute \(version)")
    }
  }

  @Test(arguments: [
    ("2.48", #", "tag": "data""#, "tag"), ("2.78", #", "delete_on_termination": true"#, "delete_on_termination"),
    ("2.89", #", "tag": """#, "tag"), ("2.89", #", "tag": "a/b""#, "tag"), ("2.89", #", "tag": "a,b""#, "tag"),
    ("2.89", #", "tag": "\#(String(repeating: "x", count: 61))""#, "tag"),
    ("2.89", #", "delete_on_termination": "perhaps""#, "delete_on_termination"),
    ("2.89", #", "bdm_uuid": "x""#, "bdm_uuid"),
  ])
  func whatAVersionDoesNotKnowIsRefused(version: String, more: String, field: String) async throws {
    try await ComputeFixture.with { (coordinator) async throws in
      let answer = try await coordinator.attach(try await coordinator.volume(), more: more, version: version)
      #expect(answer.status == 400 && answer.message.contains(field), "\(answer.text)")
      #expect(coordinator.tables.attachments.isEmpty)
    }
  }

  @Test func aTagAndWhetherTheVolumeGoesWithTheServerAreKept() async throws {
    try await ComputeFixture.with { (coordinator) async throws in
      let volume = try await coordinator.volume()
      let made = try await coordinator.attach(volume, more: Self.words)["volumeAttachment"]
      #expect(made["tag"] == .string("data") && made["delete_on_termination"] == .bool(true))
      try await coordinator.until("it is attached") { $0.holders(of: volume).first?.state == .attached }
      let path = "\(ComputeFixture.attachments)/\(volume)"
      let shown = try await coordinator.compute(.get, path)["volumeAttachment"]
      #expect(shown["tag"] == .string("data") && shown["delete_on_termination"] == .bool(true))
      let attachment = try #require(coordinator.tables.holders(of: volume).first)
      #expect(shown["attachment_id"] == .string("\(attachment.id)"))
      let server = try await coordinator.compute(.get, "servers/\(ComputeFixture.vm.id)")["server"]
      #expect(server["os-extended-volumes:volumes_attached"][0]["delete_on_termination"] == .bool(true))

      // What an answer has may stand in a request, and one thing of it may differ.
      let edit = """
        {"volumeAttachment": {"volumeId": "\(volume)", "serverId": "\(ComputeFixture.vm.id)", "id": "\(volume)",
         "device": "/dev/\(attachment.device ?? "")", "tag": "data", "delete_on_termination": false}}
        """
      let edited = try await coordinator.compute(.put, path, edit)
      #expect(edited.status == 202 && edited.text.isEmpty, "\(edited.text)")
      let now = try #require(coordinator.tables.holders(of: volume).first)
      #expect(!now.isVolumeForInstanceOnly && now.tag == "data" && now.revision == attachment.revision)
      #expect(try await coordinator.compute(.put, path, edit).status == 202)
    }
  }

  @Test(arguments: [
    (#""volumeId": "OTHER""#, "2.89", "volumeId"), (#""volumeId": "OTHER""#, "2.84", "volumeId"),
    (#""volumeId": "VOLUME""#, "2.84", "volumeId"), (#""volumeId": "VOLUME", "tag": "data""#, "2.84", "tag"),
    (#""volumeId": "VOLUME", "tag": "another""#, "2.89", "tag"),
    (#""volumeId": "VOLUME", "device": "/dev/vdz""#, "2.89", "device"),
    (#""volumeId": "VOLUME", "serverId": "OTHER""#, "2.89", "serverId"),
    (#""volumeId": "VOLUME", "id": "OTHER""#, "2.89", "id"),
    (#""tag": "data""#, "2.89", "volumeId"), (#""volumeId": "VOLUME", "colour": 1"#, "2.89", "colour"),
  ])
  func nothingElseCanBeChangedAndNoVolumeExchanged(fields: String, version: String, field: String) async throws {
    try await ComputeFixture.with { (coordinator) async throws in
      let volume = try await coordinator.volume()
      let other = try await coordinator.volume("other")
      _ = try await coordinator.attach(volume, more: Self.words)
      let body = "{\"volumeAttachment\": {\(fields)}}".replacing("VOLUME", with: "\(volume)")
        .replacing("OTHER", with: "\(other)")
      let answer = try await coordinator.compute(
        .put, "\(ComputeFixture.attachments)/\(volume)", body, version: version)
      #expect(answer.status == 400 && answer.message.contains(field), "\(answer.text)")
      let attachment = try #require(coordinator.tables.holders(of: volume).first)
      #expect(attachment.tag == "data" && attachment.isVolumeForInstanceOnly)
      #expect(coordinator.tables.holders(of: other).isEmpty)
    }
  }

  @Test func whatIsNotAttachedCanNotBeChanged() async throws {
    try await ComputeFixture.with { (coordinator) async throws in
      let volume = try await coordinator.volume()
      let body = #"{"volumeAttachment": {"volumeId": "\#(volume)", "delete_on_termination": true}}"#
      #expect(try await coordinator.compute(.put, "\(ComputeFixture.attachments)/\(volume)", body).status == 404)
    }
  }

  @Test func aDeviceThatIsTakenIsAConflict() async throws {
    try await ComputeFixture.with { (coordinator) async throws in
      let device = #", "device": "/dev/vdf""#
      #expect(try await coordinator.attach(try await coordinator.volume(), more: device).status == 200)
      let again = try await coordinator.attach(try await coordinator.volume("other"), more: device)
      #expect(again.status == 409 && again.message.contains("vdf"))
    }
  }

  @Test func since275AnUnknownQueryIsRefused() async throws {
    try await ComputeFixture.with { (coordinator) async throws in
      let path = "\(ComputeFixture.attachments)?colour=red"
      #expect(try await coordinator.compute(.get, path, version: "2.74").status == 200)
      #expect(try await coordinator.compute(.get, path, version: "2.75").status == 400)
    }
  }

  @Test func aRowFromBeforeHasNoTagAndItsVolumeStays() throws {
    let old = """
      {"id": "11111111-1111-4111-8111-111111111111", "volume": "22222222-2222-4222-8222-222222222222", "project": "demo",
       "instance": "33333333-3333-4333-8333-333333333333", "node": "n1", "mode": "rw", "device": "vdb",
       "state": "attached", "revision": 2, "needsRepair": false, "retry": {"attempts": 0},
       "createdAt": 1000000000000, "updatedAt": 1000000000000}
      """
    let attachment = try JSONDecoder().decode(PumiceModel.Attachment.self, from: Data(old.utf8))
    #expect(attachment.tag == nil && !attachment.isVolumeForInstanceOnly)
    let new = try JSONDecoder().decode(PumiceModel.Attachment.self, from: JSONEncoder().encode(attachment))
    #expect(new == attachment)
  }
}
