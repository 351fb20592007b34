import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct LastFindingsTests {
  private func finding(_ resource: String, on node: NodeName = "n1") -> Finding {
    Finding(kind: .orphanVolume, node: node, resource: resource, detail: "", remedy: "")
  }

  @Test func whatStaysIsNewsOnceAndWhatComesAgainIsNewsAgain() {
    let found = LastFindings()
    #expect(found.replace([finding("a")], of: "n1") == [finding("a")])
    #expect(found.replace([finding("a"), finding("b")], of: "n1") == [finding("b")])
    #expect(found.replace([finding("a", on: "n2")], of: "n2") == [finding("a", on: "n2")])
    #expect(found.replace([finding("b")], of: "n1").isEmpty)
    found.replace([], of: "n1")
    #expect(found.replace([finding("b")], of: "n1") == [finding("b")])
  }
}
