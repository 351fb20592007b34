import HTTPTypes
import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

/// Lists of things that are few: what they can be sorted and narrowed by.
@Suite struct ListSortTests {
  private func ids(
    _ path: String, _ collection: String, _ member: String, by coordinator: CoordinatorFixture, version: String = "3.70"
  ) async throws -> [String?] {
    let answer = try await coordinator.get("/v3/demo/\(path)", version: version)
    #expect(answer.status == 200, "\(path): \(answer.text)")
    return answer[collection].array.map { $0[member].string }
  }

  @Test func attachmentsAreSortedAndNarrowed() async throws {
    try await withCoordinator { (coordinator) async throws in
      var volumes: [String] = []
      let instance = InstanceID.random()
      for name in ["a", "b", "c"] {
        let volume = try await coordinator.volume(name)
        volumes.append("\(volume)")
        let made = try await coordinator.send(
          .post, "/v3/demo/attachments",
          #"{"attachment": {"volume_uuid": "\#(volume)", "instance_uuid": "\#(instance)"}}"#, version: "3.70")
        try #require(made.status == 200, "\(made.text)")
      }
      func list(_ query: String) async throws -> [String?] {
        try await ids("attachments?\(query)", "attachments", "volume_id", by: coordinator)
      }
      #expect(try await list("") == volumes.reversed(), "The newest comes first.")
      #expect(try await list("sort=created_at:asc") == volumes)
      #expect(try await list("sort_key=volume_id&sort_dir=asc") == volumes.sorted())
      #expect(try await list("sort=status,created_at:asc&limit=2") == Array(volumes.prefix(2)))
      #expect(try await list("status=reserved&instance_id=\(instance)").count == 3)
      #expect(try await list("status=attached") == [])
      #expect(try await list("attach_status=reserved&volume_id=\(volumes[1])") == [volumes[1]])
      #expect(try await list("volume_id=x") == [])
      #expect(try await list("instance_id=\(InstanceID.random())") == [])
      for query in ["sort=color", "sort=id:up", "sort_dir=up", "color=red"] {
        #expect(try await coordinator.get("/v3/demo/attachments?\(query)", version: "3.70").status == 400, "\(query)")
      }
      #expect(try await coordinator.get("/v3/demo/attachments?color=red", version: "3.30").status == 200)
    }
  }

  @Test func offersAndMessagesAreSorted() async throws {
    try await withCoordinator { (coordinator) async throws in
      for name in ["b", "a"] {
        let volume = try await coordinator.volume(name)
        let offer = try await coordinator.send(
          .post, "/v3/demo/os-volume-transfer", #"{"transfer": {"volume_id": "\#(volume)", "name": "\#(name)"}}"#)
        try #require(offer.status == 202, "\(offer.text)")
      }
      func offers(_ query: String) async throws -> [String?] {
        try await ids("volume-transfers?\(query)", "transfers", "name", by: coordinator)
      }
      #expect(try await offers("") == ["a", "b"])
      #expect(try await offers("sort=name") == ["b", "a"])
      #expect(try await offers("sort_key=created_at&sort_dir=asc") == ["b", "a"])
      #expect(try await coordinator.get("/v3/demo/volume-transfers?sort=x", version: "3.70").status == 400)

      for _ in 0..<2 {
        _ = try await coordinator.send(.post, "/v3/demo/volumes", #"{"volume": {"size": 100000}}"#)
        _ = try await coordinator.send(.put, "/v3/demo/os-quota-sets/demo", #"{"quota_set": {"gigabytes": -1}}"#)
      }
      try await coordinator.until("there is a message") { !$0.messages.isEmpty }
      let message = try #require(coordinator.tables.messages.values.first)
      func messages(_ query: String) async throws -> [String?] {
        try await ids("messages?\(query)", "messages", "id", by: coordinator)
      }
      #expect(try await messages("sort=created_at:asc") == ["\(message.id)"])
      let event = try await ids("messages", "messages", "event_id", by: coordinator)[0] ?? ""
      #expect(try await messages("event_id=\(event)&sort=event_id:asc") == ["\(message.id)"])
      #expect(try await messages("event_id=x") == [])
      #expect(try await coordinator.get("/v3/demo/messages?color=red", version: "3.70").status == 400)
      #expect(try await coordinator.get("/v3/demo/messages?color=red", version: "3.5").status == 200)
    }
  }
}
