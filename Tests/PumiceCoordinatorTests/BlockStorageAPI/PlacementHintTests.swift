import HTTPTypes
import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct PlacementHintTests {
  private static let vm = Instance(id: .random(), name: "vm", status: .active)

  private func make(_ hints: String, for project: String = "demo", by coordinator: CoordinatorFixture) async throws
    -> Volume
  {
    let answer = try await coordinator.send(
      .post, "/v3/\(project)/volumes", #"{"volume": {"size": 1}, "OS-SCH-HNT:scheduler_hints": \#(hints)}"#)
    try #require(answer.status == 202, "\(answer.text)")
    let id = try #require(answer["volume"]["id"].string.flatMap { VolumeID($0) })
    try await coordinator.until("it has come to something") { $0.volumes[id]?.pendingWork == nil }
    return try #require(coordinator.tables.volumes[id])
  }

  @Test func volumesAreTogetherOrApartAsTheirOwnersWant() async throws {
    let nodes = [FakeNode("n1"), FakeNode("n2"), FakeNode("n3", instances: [Self.vm])]
    try await withCoordinator(nodes: nodes) { coordinator in
      let first = try await make("{}", by: coordinator)
      for _ in 0..<2 {
        #expect(try await make(#"{"same_host": "\#(first.id)"}"#, by: coordinator).pool == first.pool)
        #expect(try await make(#"{"different_host": ["\#(first.id)"]}"#, by: coordinator).pool != first.pool)
        #expect(try await make(#"{"local_to_instance": "\#(Self.vm.id)"}"#, by: coordinator).pool?.node == "n3")
      }
      let second = try await make(#"{"different_host": "\#(first.id)"}"#, by: coordinator)
      let third = try await make(#"{"different_host": ["\#(first.id)", "\#(second.id)"]}"#, by: coordinator)
      #expect(Set([first, second, third].compactMap { $0.pool?.node }).count == 3)
      let nowhere = try await make(
        #"{"different_host": ["\#(first.id)", "\#(second.id)", "\#(third.id)"]}"#, by: coordinator)
      #expect(nowhere.state == .error && nowhere.failure?.contains("different_host") == true)
      for hint in ["same_host", "local_to_instance"] {
        let lonely = try await make(#"{"\#(hint)": "\#(VolumeID.random())"}"#, for: "other", by: coordinator)
        #expect(lonely.state == .error && lonely.failure?.contains(hint) == true, "\(lonely)")
      }
    }
  }
}
